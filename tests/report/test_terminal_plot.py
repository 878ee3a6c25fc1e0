from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bstsearch.report.axis import cost_axis
from bstsearch.report.terminal_plot import ASCII, HEIGHT, LINES, NARROWEST, Marks, _apart, _text, terminal_plot
from bstsearch.searching.budget import Budget
from bstsearch.searching.costs import COSTS
from bstsearch.searching.front_file import FrontFile
from bstsearch.space import Space

MakeFront = Callable[..., FrontFile]
GRID = [submodel.id for submodel in Space.bst(stacks=(4, 4)).grid()]


@pytest.mark.parametrize("marks", [LINES, ASCII])
@pytest.mark.parametrize("width", [NARROWEST, 60, 79, 100])
@pytest.mark.parametrize("budget", [Budget(), Budget(latency_ms=0.4), Budget(latency_ms=60.0)])
def test_every_line_fits_and_every_row_is_there(
    make_front: MakeFront, width: int, marks: Marks, budget: Budget
) -> None:
    file = make_front(budget, estimated=GRID)
    plot = terminal_plot(file, width, marks)
    assert plot is not None
    assert max(map(len, plot.lines)) <= width
    assert HEIGHT + 4 <= len(plot.lines) <= HEIGHT + 6
    body = "\n".join(line.partition(marks.side)[2] for line in plot.lines[1 : HEIGHT + 1])
    shown = {int(word.rstrip("*")) for word in body.replace(",", " ").split() if word.rstrip("*").isdecimal()}
    ends = {row for word in body.replace(",", " ").split() if "-" in word for row in range(*map(int, word.split("-")))}
    assert shown | ends | {max(ends, default=0) + 1} >= set(range(1, len(file.front) + 1))


def test_the_recommended_row_is_marked(make_front: MakeFront) -> None:
    file = make_front()
    plot = terminal_plot(file, 80, LINES)
    assert plot is not None
    line, begin, end = plot.marked
    assert plot.lines[line][begin:end] == f"{file.front.index(file.recommended) + 1}*"


def test_a_number_stands_where_its_row_lies(make_front: MakeFront) -> None:
    file = make_front()
    plot = terminal_plot(file, 100, ASCII)
    assert plot is not None
    _, begin, _ = plot.marked
    axis, left = cost_axis(file, COSTS["latency"]), plot.lines[1].index("|") + 1
    assert begin - left == round(axis.share(file.recommended.latency.safe_ms) * (100 - left - 1))
    best = max(file.candidates, key=lambda one: one.score)
    worst = min(file.candidates, key=lambda one: one.score)
    top, bottom = plot.lines[1], plot.lines[HEIGHT]
    assert top[left + round(axis.share(best.latency.safe_ms) * (99 - left))] != " "
    assert bottom[left + round(axis.share(worst.latency.safe_ms) * (99 - left))] != " "


def test_the_budget_is_a_line_where_it_lies_inside(make_front: MakeFront) -> None:
    inside, beyond = (terminal_plot(make_front(Budget(latency_ms=ms)), 80, ASCII) for ms in (0.5, 60.0))
    assert inside is not None
    assert beyond is not None
    columns = {line.index(":") for line in inside.lines[1 : HEIGHT + 1] if ":" in line}
    assert len(columns) == 1
    assert abs(columns.pop() - (inside.lines[0].index("budget 0.500 ms") + len("budget 0.500 ms") / 2)) <= 1
    assert not any(":" in line for line in beyond.lines)
    assert beyond.lines[0].endswith("budget 60.0 ms, beyond this axis >")


def test_too_narrow_a_terminal_gets_none(make_front: MakeFront) -> None:
    assert terminal_plot(make_front(), NARROWEST - 1, LINES) is None


def test_plain_characters_are_ascii(make_front: MakeFront) -> None:
    plot = terminal_plot(make_front(Budget(latency_ms=0.5)), 80, ASCII)
    assert plot is not None
    assert "".join(plot.lines).isascii()
    assert all(len(mark) == 1 for mark in (*dataclasses.astuple(LINES), *dataclasses.astuple(ASCII)))


def test_one_submodel_is_a_plot_too(make_front: MakeFront) -> None:
    file = make_front(Budget(latency_ms=0.15))
    alone = dataclasses.replace(file, candidates=file.front[:1], front=file.front[:1], recommended=file.front[0])
    plot = terminal_plot(alone, 60, LINES)
    assert plot is not None
    assert "1*" in "\n".join(plot.lines)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20), st.integers(1, 20))
def test_numbers_on_a_line_never_touch_and_none_is_lost(columns: list[int], recommended: int) -> None:
    places = [(column, (row,)) for row, column in enumerate(sorted(columns), start=1)]
    joined = _apart(places, recommended, 51)
    assert [row for _, rows in joined for row in rows] == list(range(1, len(columns) + 1))
    texts = [(begin, begin + len(_text(rows, recommended))) for begin, rows in joined]
    assert all(end < begin for (_, end), (begin, _) in pairwise(texts))


def test_rows_that_share_a_place_are_joined_around_the_recommended_one() -> None:
    assert _text([3, 4, 5, 6], 6) == "3-5,6*"
    assert _text([1, 2, 3, 4, 5], 2) == "1,2*,3-5"
    assert _text([7], 2) == "7"
