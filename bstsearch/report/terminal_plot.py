"""The front in a terminal: score over the first cost in some fifteen lines of text, the rows by number."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from bstsearch.report.axis import CostAxis, cost_axis, linear_ticks
from bstsearch.report.labels import numbers
from bstsearch.report.table import shorten
from bstsearch.score import Metric
from bstsearch.searching.front_file import FrontFile
from bstsearch.searching.pareto import Candidate

HEIGHT = 12  # lines of the area with the points; three more are head, ticks and title
NARROWEST = 50  # columns, below which nothing is drawn
STAR = "*"  # behind the recommended row's number, as before its row in the table
TICK_ROOM = 12  # columns for each number under the axis


@dataclass(frozen=True, kw_only=True)
class Marks:
    """The characters to draw with."""

    point: str
    budget: str
    side: str
    corner: str
    bottom: str
    tick: str


LINES = Marks(point="·", budget="┆", side="│", corner="└", bottom="─", tick="┴")
ASCII = Marks(point=".", budget=":", side="|", corner="+", bottom="-", tick="+")


@dataclass(frozen=True, kw_only=True)
class TerminalPlot:
    """Lines of text, and the line, begin and end of the recommended row's number in them."""

    lines: tuple[str, ...]
    marked: tuple[int, int, int]


def terminal_plot(file: FrontFile, width: int, marks: Marks) -> TerminalPlot | None:
    """The plot in `width` columns; None where they are too few for one.

    Rows that lie so close that their numbers would run into one another share a place: "3,4*".
    """
    if width < NARROWEST:
        return None
    axis = cost_axis(file, file.objectives.first)
    scored = [one for one in file.candidates if one.accuracy is not None]
    heights = _Heights(scored, file.objectives.metric)
    left = max(map(len, heights.ticks.values())) + 2
    area = width - left
    canvas = [[" "] * area for _ in range(HEIGHT)]
    if axis.budget is not None and axis.is_budget_inside:
        for line in canvas:
            line[_column(axis, axis.budget, area)] = marks.budget
    for one in scored:
        canvas[heights.line(one)][_column(axis, axis.of(one), area)] = marks.point
    marked = _write_rows(canvas, file, axis, heights)
    lines = [_head(file.objectives.metric.title, axis, left, area)]
    for number, line in enumerate(canvas):
        lines.append(f"{heights.ticks.get(number, ''):>{left - 2}} {marks.side}{''.join(line)}".rstrip())
    title = textwrap.indent(textwrap.fill(axis.label, area), " " * left)
    lines += [*_foot(axis, left, area, marks), *title.split("\n")]
    at, begin, end = marked
    return TerminalPlot(lines=tuple(lines), marked=(at + 1, left + begin, left + end))


class _Heights:
    """Which line a score is on, and the round numbers beside some lines."""

    def __init__(self, scored: Sequence[Candidate], metric: Metric) -> None:
        self._factor = metric.factor
        values = [self._factor * one.score for one in scored]
        self._low, high = min(values), max(values)
        self._span = high - self._low or 1.0
        ticks = linear_ticks(self._low, self._low + self._span, 5)
        self.ticks = {self._of(tick): f"{tick:.10g}" for tick in ticks}

    def line(self, one: Candidate) -> int:
        """The line of that candidate, counted from the top."""
        return self._of(self._factor * one.score)

    def _of(self, value: float) -> int:
        return round((HEIGHT - 1) * (1 - (value - self._low) / self._span))


def _column(axis: CostAxis, value: float, area: int) -> int:
    return round(axis.share(value) * (area - 1))


def _write_rows(canvas: list[list[str]], file: FrontFile, axis: CostAxis, heights: _Heights) -> tuple[int, int, int]:
    """Writes the numbers of the front's rows; the line, begin and end of the recommended one."""
    area, recommended = len(canvas[0]), file.front.index(file.recommended) + 1
    rows = enumerate(file.front, start=1)
    places = sorted((heights.line(one), _column(axis, axis.of(one), area), number) for number, one in rows)
    found = (0, 0, 0)
    for line, group in itertools.groupby(places, key=lambda place: place[0]):
        for begin, shown in _apart([(column, (number,)) for _, column, number in group], recommended, area):
            text = shorten(_text(shown, recommended), area)
            canvas[line][begin : begin + len(text)] = text
            if recommended in shown:
                at = begin + len(_text(shown[: shown.index(recommended) + 1], recommended))
                found = (line, at - len(f"{recommended}{STAR}"), at)
    return found


def _apart(places: list[tuple[int, tuple[int, ...]]], recommended: int, area: int) -> list[tuple[int, tuple[int, ...]]]:
    """The rows at columns of one line as (begin, rows), joined where a space would not stay between them."""
    joined: list[tuple[int, int, tuple[int, ...]]] = []  # the point's column, where the text begins, its rows
    for column, rows in places:
        begin = _begin(column, _text(rows, recommended), area)
        while joined and joined[-1][1] + len(_text(joined[-1][2], recommended)) >= begin:
            column, _, before = joined.pop()
            rows = tuple(sorted((*before, *rows)))
            begin = _begin(column, _text(rows, recommended), area)
        joined.append((column, begin, rows))
    return [(begin, rows) for _, begin, rows in joined]


def _begin(column: int, text: str, area: int) -> int:
    return max(0, min(column, area - len(text)))


def _text(rows: Sequence[int], recommended: int) -> str:
    before, after = [row for row in rows if row < recommended], [row for row in rows if row > recommended]
    star = [f"{recommended}{STAR}"] if recommended in rows else []
    return ",".join([*([numbers(before)] if before else []), *star, *([numbers(after)] if after else [])])


def _head(title: str, axis: CostAxis, left: int, area: int) -> str:
    """What is drawn upwards (`title`), and the budget over its line, or at the edge beyond which it lies."""
    if axis.budget is None:
        return title
    words = axis.budget_words
    at = left + round(min(1.0, max(0.0, axis.share(axis.budget))) * (area - 1)) - len(words) // 2
    at = max(len(title) + 2, min(at, left + area - len(words)))
    return shorten(f"{title:{at}}{words}", left + area)


def _foot(axis: CostAxis, left: int, area: int, marks: Marks) -> list[str]:
    """The axis, and round numbers under it."""
    line, under = [marks.bottom] * area, [" "] * (left + area)
    free = 0
    for tick in axis.ticks(max(3, area // TICK_ROOM)):
        column, text = _column(axis, tick, area), f"{tick:.10g}"
        begin = min(left + column - len(text) // 2, left + area - len(text))
        if begin >= free:
            line[column] = marks.tick
            under[begin : begin + len(text)] = text
            free = begin + len(text) + 1
    return [" " * (left - 1) + marks.corner + "".join(line), "".join(under).rstrip()]
