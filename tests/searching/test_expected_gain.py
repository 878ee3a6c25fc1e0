from __future__ import annotations

import numpy as np
import pytest

from bstsearch.searching.expected_gain import FrontGrowth

COSTS = np.array([[0.2], [0.5], [0.8]])
SCORES = np.array([0.4, 0.7, 0.9])


def test_of_one_cost_it_is_the_mean_growth_of_the_hypervolume() -> None:
    growth = FrontGrowth(COSTS, SCORES, 0.0)

    def volume(cost: float, score: float) -> float:
        points = np.vstack([np.column_stack([COSTS, SCORES]), [cost, score]])
        grid = np.linspace(0, 1, 4001)[:-1] + 1 / 8000
        return float(np.mean([max((s for c, s in points if c <= at and s > 0), default=0.0) for at in grid]))

    draws = np.random.default_rng(0).normal(0.75, 0.1, 60)
    before = volume(0.99, 0.0)
    drawn = np.mean([volume(0.35, draw) - before for draw in draws])
    exact = growth.expected(np.array([[0.35]]), np.array([draws.mean()]), np.array([draws.std()]))
    assert exact[0] == pytest.approx(drawn, rel=0.05)


def test_a_better_and_a_cheaper_submodel_gain_more() -> None:
    growth = FrontGrowth(COSTS, SCORES, 0.0)
    mean, deviation = np.array([0.75, 0.8, 0.75, 0.3]), np.full(4, 1e-3)
    gains = growth.expected(np.array([[0.4], [0.4], [0.3], [0.6]]), mean, deviation)
    assert gains[2] > gains[0]
    assert gains[1] > gains[0] > 0
    assert gains[3] == pytest.approx(0, abs=1e-9)
    assert growth.expected(np.array([[1.2]]), np.array([2.0]), np.array([0.1]))[0] == 0, "outside of the box"


def test_what_was_added_is_gained_once() -> None:
    growth, added = (
        FrontGrowth(COSTS, SCORES, 0.0),
        FrontGrowth(np.vstack([COSTS, [[0.4]]]), np.append(SCORES, 0.75), 0.0),
    )
    growth.add(np.array([0.4]), 0.75)
    costs, mean, deviation = np.array([[0.4], [0.45]]), np.array([0.75, 0.8]), np.array([1e-6, 0.05])
    np.testing.assert_allclose(growth.expected(costs, mean, deviation), added.expected(costs, mean, deviation))
    assert growth.expected(costs, mean, deviation)[0] == pytest.approx(0, abs=1e-6)


def test_of_several_costs_it_agrees_with_the_one_that_matters() -> None:
    """Where the second cost is 0 for all, it is as if there were none."""
    two = np.column_stack([COSTS, np.zeros(3)])
    growth, one = FrontGrowth(two, SCORES, 0.0), FrontGrowth(COSTS, SCORES, 0.0)
    mean, deviation = np.array([0.75]), np.array([0.1])
    found = growth.expected(np.array([[0.35, 0.0]]), mean, deviation)
    assert found[0] == pytest.approx(one.expected(np.array([[0.35]]), mean, deviation)[0], rel=0.05)
