from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bstsearch.profiles import robust

TIMES = st.lists(st.floats(0.01, 1000), min_size=1, max_size=9)


def brute_median(values: list[float]) -> float:
    """A value (or the mean of two) with as many values above as below, found by counting."""
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def brute_deviation(values: list[float]) -> float:
    return brute_median([abs(value - brute_median(values)) for value in values])


@given(TIMES)
def test_median_and_spread_equal_brute_force(values: list[float]) -> None:
    assert robust.median(values) == pytest.approx(brute_median(values))
    assert robust.spread(values) == pytest.approx(brute_deviation(values) / brute_median(values))


@given(TIMES)
def test_nine_of_ten_do_not_exceed_p90(values: list[float]) -> None:
    result = robust.p90(values)
    assert min(values) <= result <= max(values)
    assert sum(value > result for value in values) <= 0.1 * len(values) + 1
    assert sum(value < result for value in values) <= 0.9 * len(values) + 1


def test_p90_interpolates_between_neighbours() -> None:
    assert robust.p90([float(n) for n in range(11)]) == 9.0
    assert robust.p90([1.0, 2.0]) == pytest.approx(1.9)


@given(TIMES)
def test_outliers_equal_brute_force(values: list[float]) -> None:
    middle, deviation = brute_median(values), brute_deviation(values)
    mean = math.fsum(abs(value - middle) for value in values) / len(values)
    scale = 1.4826 * deviation if deviation else 1.2533 * mean
    expected = sum(abs(value - middle) > 3.5 * scale for value in values) if scale else 0
    assert robust.count_outliers(values) == expected


def test_an_outlier_on_either_side_counts() -> None:
    assert robust.count_outliers([10.0, 10.1, 9.9, 10.05, 9.95, 1.0, 90.0]) == 2


def test_equal_times_have_no_outliers_and_one_other_time_is_one() -> None:
    assert robust.count_outliers([1.0] * 20) == 0
    assert robust.count_outliers([*[1.0] * 20, 5.0]) == 1  # the median deviation is 0 here


@pytest.mark.parametrize("count", [6, 10, 20, 40, 60])
def test_the_interval_covers_the_median_in_95_of_100_draws(count: int) -> None:
    """Draws have a fair coin's chance to lie above the true median; ranks are then binomial, counted exactly."""
    low, high = robust.quantile_interval([float(rank) for rank in range(1, count + 1)], 0.5)
    # The interval from the low-th to the high-th smallest misses if fewer than low, or high or more, lie below.
    ways = sum(math.comb(count, below) for below in range(count + 1) if low <= below < high)
    assert ways / 2**count >= 0.94
    assert low + high == count + 1


@pytest.mark.parametrize("count", [10, 20, 40, 60])
@pytest.mark.parametrize("share", [0.1, 0.25])
def test_the_interval_covers_lower_quantiles_too(count: int, share: float) -> None:
    low, high = robust.quantile_interval([float(rank) for rank in range(1, count + 1)], share)
    ways = [math.comb(count, below) * share**below * (1 - share) ** (count - below) for below in range(count + 1)]
    is_open = low == 1  # nothing lies below the smallest value: where few are below the quantile, it is the end
    assert sum(way for below, way in enumerate(ways) if (low <= below or is_open) and below < high) >= 0.94


@pytest.mark.parametrize("count", range(1, 6))
def test_few_values_span_from_smallest_to_largest(count: int) -> None:
    values = [float(rank) for rank in range(1, count + 1)]
    for order in itertools.permutations(values):
        assert robust.quantile_interval(order, 0.5) == (1.0, float(count))


def test_two_modes_show_in_the_interval() -> None:
    assert robust.quantile_interval([1.0] * 10 + [2.0] * 10, 0.5) == (1.0, 2.0)
