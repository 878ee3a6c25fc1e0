from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bstsearch.report.axis import cost_axis, linear_ticks, log_ticks
from bstsearch.searching.budget import MIDDLE, Budget
from bstsearch.searching.costs import COSTS
from bstsearch.searching.front_file import FrontFile
from bstsearch.space import Space

MakeFront = Callable[..., FrontFile]
LATENCY = COSTS["latency"]
GRID = [submodel.id for submodel in Space.bst(stacks=(4, 4)).grid()]


@pytest.mark.parametrize("key", ["latency", "gflops"])
@pytest.mark.parametrize("budget", [Budget(), Budget(latency_ms=60.0, gflops=2.0), Budget(latency_ms=0.3)])
def test_the_points_choose_the_ends_whatever_the_budget(make_front: MakeFront, key: str, budget: Budget) -> None:
    file = make_front(budget, estimated=GRID)
    axis, free = cost_axis(file, COSTS[key]), cost_axis(make_front(estimated=GRID), COSTS[key])
    shares = [axis.share(axis.of(one)) for one in file.candidates]
    assert min(shares) > 0
    assert 0.85 < max(shares) < 1
    assert axis.high == free.high


def test_what_decides_is_drawn(make_front: MakeFront) -> None:
    """The upper end of a range, or its middle where the budget is held against that."""
    high, middle = (
        cost_axis(make_front(Budget(latency_ms=2.0, at=at), estimated=GRID), COSTS["latency"])
        for at in ("high", MIDDLE)
    )
    full = make_front(estimated=GRID).full
    assert (high.of(full), middle.of(full)) == (full.latency.high_ms, full.latency.ms)
    assert "the upper end of each range" in high.label
    assert "upper end" not in middle.label
    assert "upper end" not in cost_axis(make_front(), COSTS["latency"]).label


def test_more_than_a_decade_is_logarithmic(make_front: MakeFront) -> None:
    latency, gflops = (cost_axis(make_front(), COSTS[key]) for key in ("latency", "gflops"))
    costs = [one.gflops for one in make_front().candidates]
    assert max(costs) / min(costs) > 10
    assert (latency.is_log, gflops.is_log) == (False, True)
    assert gflops.label.endswith("(log scale)")
    assert latency.label == "latency, ms (measured)"


def test_a_budget_outside_is_told_at_the_edge(make_front: MakeFront) -> None:
    inside, beyond, none = (
        cost_axis(make_front(budget), COSTS["latency"])
        for budget in (Budget(latency_ms=0.4), Budget(latency_ms=60.0), Budget())
    )
    assert (inside.is_budget_inside, inside.budget_words) == (True, "budget 0.400 ms")
    assert (beyond.is_budget_inside, beyond.budget_words) == (False, "budget 60.0 ms, beyond this axis >")
    assert (none.is_budget_inside, none.budget_words) == (False, "")


@given(st.floats(1e-6, 1e6), st.floats(1.0001, 1e6), st.integers(2, 10))
def test_ticks_are_few_rise_and_lie_on_the_axis(low: float, factor: float, most: int) -> None:
    for ticks in (linear_ticks(low, low * factor, most), log_ticks(low, low * factor, most)):
        assert len(ticks) <= most
        assert all(one < other for one, other in pairwise(ticks))
        assert all(low * (1 - 1e-9) - 1e-12 <= tick <= low * factor * (1 + 1e-9) + 1e-12 for tick in ticks)


def test_ticks_are_round() -> None:
    assert linear_ticks(0.083, 0.91, 5) == [0.2, 0.4, 0.6, 0.8]
    assert log_ticks(0.11, 2.5, 7) == [0.2, 0.5, 1.0, 2.0]
    assert log_ticks(0.09, 15000, 7) == [0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0]
