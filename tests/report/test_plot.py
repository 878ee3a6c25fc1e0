from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bstsearch.budget import Budget
from bstsearch.front_file import FrontFile
from bstsearch.report.plot import AXES, Axis, make_plot
from bstsearch.report.staircase import staircase

MakeFront = Callable[..., FrontFile]


def by_name(plot: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {trace["name"]: trace for trace in plot["data"] if "name" in trace}


@pytest.mark.parametrize("axis", AXES, ids=lambda axis: axis.key)
def test_every_scored_submodel_is_one_point(make_front: MakeFront, axis: Axis) -> None:
    file = make_front(Budget(latency_ms=0.6))
    traces = by_name(make_plot(file, axis))
    points = sorted(point for trace in traces.values() for point in zip(trace["x"], trace["y"], strict=True))
    assert points == sorted((axis.cost(one), 100 * one.share) for one in file.candidates)
    assert (traces["recommended"]["x"], traces["recommended"]["y"]) == (
        [axis.cost(file.recommended)],
        [100 * file.recommended.share],
    )
    assert len(traces["front"]["x"]) == len(file.front) - 1
    over = [one for one in file.candidates if not file.budget.admits(one)]
    assert sorted(traces["over the budget"]["x"]) == sorted(map(axis.cost, over))


def test_bars_are_the_intervals(make_front: MakeFront) -> None:
    file = make_front()
    trace = by_name(make_plot(file, AXES[0]))["recommended"]
    low, high = file.recommended.interval
    assert trace["y"][0] - trace["error_y"]["arrayminus"][0] == pytest.approx(100 * low)
    assert trace["y"][0] + trace["error_y"]["array"][0] == pytest.approx(100 * high)


def test_hover_tells_id_accuracy_and_costs(make_front: MakeFront) -> None:
    (text,) = by_name(make_plot(make_front(), AXES[0]))["recommended"]["hovertext"]
    for words in ("<b>w", "accuracy", "ms, measured", "GFLOPs", "parameters", "peak memory"):
        assert words in text


def test_budget_is_a_line_on_its_own_axis(make_front: MakeFront) -> None:
    file = make_front(Budget(latency_ms=0.6, gflops=0.03))
    lines = [make_plot(file, axis)["layout"]["shapes"] for axis in AXES]
    assert [[line["x0"] for line in shapes] for shapes in lines] == [[0.6], [0.03], []]
    assert make_plot(make_front(), AXES[0])["layout"]["shapes"] == []


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9))))
def test_staircase_is_the_best_accuracy_at_each_cost(points: list[tuple[int, int]]) -> None:
    steps = staircase(points)
    for cost in range(10):
        affordable = [accuracy for at, accuracy in points if at <= cost]
        assert [accuracy for at, accuracy in steps if at <= cost][-1:] == ([max(affordable)] if affordable else [])
