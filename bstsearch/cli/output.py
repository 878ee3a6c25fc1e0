"""What the user sees: the only file that prints.

Results go to stdout; notes, warnings, hints, errors and progress go to stderr. Off a terminal there is no
colour, lines in place of a progress bar, and tables make do with 80 columns (or $COLUMNS).
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

import typer

from bstsearch.cli.progress import Bar, Lines, Progress, beating, rich_progress

PIPED_WIDTH = 80
MISSING = "-"


@dataclasses.dataclass(frozen=True)
class Column:
    """The head of a table's column: its title, the unit under it, and whether its cells align right."""

    title: str
    unit: str = ""
    is_number: bool = False


class Output:
    """Where a command hands its values: tables and lines for people, or with `is_json` one JSON object."""

    def __init__(self, is_json: bool = False) -> None:
        self.is_json = is_json

    def text(self, line: str = "") -> None:
        """Writes one line of the result to stdout; nothing in JSON mode."""
        if not self.is_json:
            _write(sys.stdout, line)

    def table(
        self,
        columns: Sequence[Column],
        rows: Sequence[Sequence[object]],
        title: str | None = None,
        marked: int | None = None,
    ) -> None:
        """Writes a table to stdout; nothing in JSON mode.

        None is shown as a dash. `marked` is the index in `rows` of the row that gets a star. Numbers come
        as strings with the digits that they deserve.
        """
        if self.is_json:
            return
        if title:
            _write(sys.stdout, _styled(sys.stdout, title, bold=True))
        _write(sys.stdout, _render(columns, rows, marked, _width(sys.stdout)))

    def json(self, data: Any) -> None:
        """Writes `data` as the one JSON object on stdout; nothing outside JSON mode."""
        if self.is_json:
            _write(sys.stdout, json.dumps(data, indent=2, allow_nan=False))

    def note(self, line: str) -> None:
        """Writes a remark to stderr."""
        _write(sys.stderr, line)

    def warning(self, line: str) -> None:
        """Writes what may be wrong, and its remedy, to stderr."""
        _write(sys.stderr, _styled(sys.stderr, "warning: ", fg="yellow") + line)

    def hint(self, line: str) -> None:
        """Writes what to type next to stderr."""
        _write(sys.stderr, _styled(sys.stderr, "hint: ", fg="cyan") + line)

    def error(self, line: str) -> None:
        """Writes why the command failed to stderr."""
        _write(sys.stderr, _styled(sys.stderr, "error: ", fg="red") + line)

    @contextlib.contextmanager
    def progress(self, description: str, total: int | None = None) -> Iterator[Progress]:
        """How far the block has come, on stderr: a bar with the time left, off a terminal a line now and then."""
        if not _is_screen(sys.stderr):
            with beating(Lines(self.note, description, total)) as lines:
                yield lines
            return
        with rich_progress() as bar:
            yield Bar(bar, bar.add_task(description, total=total, info=""))


def _render(columns: Sequence[Column], rows: Sequence[Sequence[object]], marked: int | None, width: int) -> str:
    """Heads, a rule, one line per row (so that grep and awk work); tighter where it would not fit `width`."""
    cells = [[MISSING if cell is None else str(cell) for cell in row] for row in rows]
    if marked is not None:
        cells = [[("* " if index == marked else "  ") + row[0].strip(), *row[1:]] for index, row in enumerate(cells)]
    heads = _heads(columns)
    widths = [max(map(len, column)) for column in zip(*heads, *cells, strict=True)]
    gap = "  " if sum(widths) + 2 * (len(widths) - 1) <= width else " "

    def line(row: Sequence[str]) -> str:
        aligned = [
            cell.rjust(size) if column.is_number else cell.ljust(size)
            for cell, size, column in zip(row, widths, columns, strict=True)
        ]
        return gap.join(aligned).rstrip()

    rule = gap.join("-" * size for size in widths)
    return "\n".join([*map(line, heads), rule, *map(line, cells)])


def _heads(columns: Sequence[Column]) -> list[list[str]]:
    """The lines of a table's head: titles (which may hold line breaks), then units; titles end together."""
    titles = [column.title.split("\n") for column in columns]
    height = max(map(len, titles))
    lines = [[*[""] * (height - len(title)), *title] for title in titles]
    heads = [list(row) for row in zip(*lines, strict=True)]
    units = [column.unit for column in columns]
    return [*heads, units] if any(units) else heads


def _width(stream: TextIO) -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal():
        return int(columns)
    return shutil.get_terminal_size().columns if stream.isatty() else PIPED_WIDTH


def _styled(stream: TextIO, text: str, **style: Any) -> str:
    return text if os.environ.get("NO_COLOR") or not _is_screen(stream) else typer.style(text, **style)


def _is_screen(stream: TextIO) -> bool:
    """Whether colours and bars can be shown there."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def _write(stream: TextIO, text: str) -> None:
    # A terminal that cannot show a character gets its escape, never an exception.
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()
