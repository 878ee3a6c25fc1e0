"""A table as lines that fit a terminal: heads, a rule, and one line per row, so that grep and awk work."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterator, Mapping, Sequence

GAPS = (2, 1)  # between columns; the wide one where it fits
SHORTEST_TEXT = 12  # texts are not cut further: every id of a grid stays whole
MISSING, CUT = "-", ".."


@dataclasses.dataclass(frozen=True)
class Column:
    """The head of a table's column: its title, the unit under it, and whether its cells align right.

    `rank` tells what a narrow terminal does without: the highest is left out first, of equals the last one. Columns
    of rank 0 are left out only where cutting long texts does not make room enough; the first one never is.
    """

    title: str
    unit: str = ""
    is_number: bool = False
    rank: int = 0


Widths = Mapping[int, int]  # of the columns that are shown, by index


def render(columns: Sequence[Column], rows: Sequence[Sequence[object]], marked: int | None, width: int) -> str:
    """The table in lines of at most `width`; the last one names the columns that were left out for it.

    None is shown as a dash; the row at the index `marked` gets a star.
    """
    cells = [[MISSING if cell is None else str(cell) for cell in row] for row in rows]
    if marked is not None:
        cells = [[("* " if index == marked else "  ") + row[0].strip(), *row[1:]] for index, row in enumerate(cells)]
    widths, gap = _fit(columns, _natural(columns, cells), width)
    lines = [
        *(_line(columns, widths, gap, head) for head in _heads(columns, widths)),
        (" " * gap).join("-" * size for size in widths.values()),
        *(_line(columns, widths, gap, row) for row in cells),
    ]
    return "\n".join([*lines, *_left_out(columns, widths, width)])


def _natural(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> list[int]:
    """The width of each column where nothing is cut."""
    heads = [[*column.title.split("\n"), column.unit] for column in columns]
    return [max(map(len, [*head, *(row[index] for row in cells)])) for index, head in enumerate(heads)]


def _fit(columns: Sequence[Column], natural: Sequence[int], width: int) -> tuple[Widths, int]:
    """Which columns are shown, how wide, and the gap between them."""
    for kept in _ever_fewer(columns, natural):
        for gap in GAPS:
            if _total(kept, gap) <= width:
                return kept, gap
    tight = GAPS[-1]
    while _total(cut := _cut(columns, kept, width - tight * (len(kept) - 1)), tight) > width and len(kept) > 1:
        kept.popitem()
    return (cut if len(kept) > 1 else {0: min(natural[0], width)}), tight


def _ever_fewer(columns: Sequence[Column], natural: Sequence[int]) -> Iterator[dict[int, int]]:
    """All columns, then one less each time, until only those are left that the table cannot do without."""
    kept = dict(enumerate(natural))
    yield kept
    dispensable = [index for index in kept if index and columns[index].rank]
    for index in sorted(dispensable, key=lambda index: (columns[index].rank, index), reverse=True):
        del kept[index]
        yield kept


def _cut(columns: Sequence[Column], kept: Widths, room: int) -> dict[int, int]:
    """The same columns, the widest texts cut until all fit `room`, or none may be cut further."""
    cut = dict(kept)
    while sum(cut.values()) > room:
        texts = [index for index, size in cut.items() if not columns[index].is_number and size > SHORTEST_TEXT]
        if not texts:
            break
        cut[max(texts, key=cut.__getitem__)] -= 1
    return cut


def _total(widths: Widths, gap: int) -> int:
    return sum(widths.values()) + gap * (len(widths) - 1)


def _heads(columns: Sequence[Column], widths: Widths) -> list[dict[int, str]]:
    """The lines of the table's head: titles (which may hold line breaks), then units; titles end together."""
    titles = {index: columns[index].title.split("\n") for index in widths}
    height = max(map(len, titles.values()))
    heads = [
        {index: ([""] * (height - len(title)) + title)[line] for index, title in titles.items()}
        for line in range(height)
    ]
    units = {index: columns[index].unit for index in widths}
    return [*heads, units] if any(units.values()) else heads


def _line(columns: Sequence[Column], widths: Widths, gap: int, cells: Sequence[str] | Mapping[int, str]) -> str:
    aligned = [
        (str.rjust if columns[index].is_number else str.ljust)(_shorten(cells[index], size), size)
        for index, size in widths.items()
    ]
    return (" " * gap).join(aligned).rstrip()


def _shorten(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - len(CUT))] + CUT[:width]


def _left_out(columns: Sequence[Column], widths: Widths, width: int) -> list[str]:
    names = [" ".join(column.title.split()) for index, column in enumerate(columns) if index not in widths]
    if not names:
        return []
    text = f"left out for width: {', '.join(names)}; a wider terminal or --json shows all"
    return textwrap.wrap(text, width, break_on_hyphens=False)
