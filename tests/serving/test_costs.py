from __future__ import annotations

import random

import pytest

from bstsearch.serving.costs import LiveCosts, Quantile

START = {"large": 0.04, "small": 0.01}


def test_a_quantile_is_found_from_far_off() -> None:
    draw, quantile = random.Random(0), Quantile(50.0, share=0.9, step=0.05)
    for _ in range(2000):
        quantile.see(draw.uniform(0, 10))
    assert quantile.value == pytest.approx(9, rel=0.15)


def test_costs_begin_as_they_are_given() -> None:
    costs = LiveCosts(START)
    assert costs.names == ("large", "small")
    assert [costs.model_seconds(name) for name in costs.names] == [0.04, 0.01]
    assert costs.seconds("small") > 0.01  # decoding is not free


def test_a_slower_machine_is_slower_for_all_and_recovers_for_all() -> None:
    costs = LiveCosts(START)
    for _ in range(60):
        costs.saw("small", 0.02, 0.001)
    assert costs.model_seconds("large") == pytest.approx(0.08, rel=0.45)
    slow = costs.model_seconds("large")
    for _ in range(200):
        costs.saw("small", 0.01, 0.001)
    assert costs.model_seconds("large") < 0.7 * slow  # though it has not answered since


def test_a_submodel_that_was_misjudged_is_judged_anew() -> None:
    costs = LiveCosts({"large": 0.02, "small": 0.02})
    for _ in range(400):
        costs.saw("large", 0.04, 0.001)
        costs.saw("small", 0.02, 0.001)
    assert costs.model_seconds("large") == pytest.approx(0.04, rel=0.3)
    assert costs.model_seconds("small") == pytest.approx(0.02, rel=0.3)


def test_what_is_around_the_model_and_loading_count() -> None:
    costs = LiveCosts(START, {"large": 0.5, "small": 0.0}.__getitem__)
    assert costs.seconds("large") > 0.54
    for _ in range(200):
        costs.saw("small", 0.01, 0.03)
    assert costs.seconds("small") == pytest.approx(0.04, rel=0.3)
