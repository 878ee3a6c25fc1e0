"""The parts, the test and its error, and how values are kept as text."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from bstsearch.errors import InputError
from bstsearch.profiles.latency import Latency, Memory
from bstsearch.score import ACCURACY, Accuracy, Metric
from bstsearch.searching import racing
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.racing import (
    ERROR,
    RIVALS,
    Race,
    are_apart,
    chance,
    find_rivals,
    order,
    part_ends,
    read_rights,
    write_rights,
)
from bstsearch.space import Submodel

ROWS = 4000


def values_of(share: float, seed: int = 0, rows: int = ROWS) -> Any:
    return (np.random.default_rng(seed).random(rows) < share).astype(float)


def candidate(name: str, share: float | None = None, **costs: Any) -> Candidate:
    values = None if share is None else values_of(share)
    return dataclasses.replace(
        Candidate(
            submodel=Submodel.from_id(name),
            parameters=100,
            macs=1000,
            latency=Latency(ms=1.0, source="measured", low_ms=0.9, high_ms=1.1),
            memory=Memory(bytes=10, source="measured", low_bytes=10, high_bytes=10),
            size_bytes=400,
            accuracy=None if values is None else Accuracy(correct=int(values.sum()), total=ROWS),
            rights=None if values is None else write_rights(values),
        ),
        **costs,
    )


def test_parts_grow_by_halves_and_end_with_all_rows() -> None:
    for rows in (1, 255, 511, 512, 4795, 214_354):
        ends = part_ends(rows)
        assert ends[-1] == rows
        assert all(end == -(-after // 2) for end, after in itertools.pairwise(ends))
        assert rows < 512 or 256 <= ends[0] < 512
    assert sorted(order(10)) == list(range(10))
    assert list(order(10)) == list(order(10)) != list(range(10))


def test_the_chance_of_right_and_wrong_answers_is_mcnemars() -> None:
    gains = np.array([1.0] * 9 + [-1.0] + [0.0] * 90)
    assert chance(gains) == pytest.approx((1 + 10) / 2**10)
    assert chance(-gains) == pytest.approx(1 - 1 / 2**10)
    assert chance(0.3 * gains) == chance(gains), "of soft accuracies too, where only one size occurs"
    assert chance(np.zeros(5)) == 1.0
    many = np.array([1.0] * 51_000 + [-1.0] * 49_000)
    assert chance(many) == pytest.approx(NormalDist().cdf(-2000 / 100_000**0.5), rel=0.02)


def test_the_bound_for_other_values_holds_as_often_as_it_says() -> None:
    source, level = np.random.default_rng(0), 0.05
    gains = source.standard_t(3, (4000, 60))  # heavy tails, no difference
    assert np.mean([chance(row) < level for row in gains]) <= level
    assert chance(np.abs(gains[0])) < 1e-6


def test_a_submodel_that_is_as_good_is_hardly_ever_dropped() -> None:
    """Over many orders, with the error made large enough to be seen."""
    own, rival = values_of(0.8, 1, 1024), values_of(0.8, 2, 1024)
    own[: int(rival.sum() - own.sum())] = 1.0  # about as good on the whole
    race = Race(metric=ACCURACY, rivals={"rival": rival}, looks=len(part_ends(1024)) - 1)
    dropped = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(racing, "ERROR", 0.2)
        for seed in range(400):
            rows = np.random.default_rng(seed).permutation(1024)
            dropped += any(race.winner(own[rows[:end]], rows[:end]) for end in part_ends(1024)[:-1])
    assert dropped / 400 < 0.2


@pytest.mark.parametrize("metric", [ACCURACY, Metric(name="error", is_higher_better=False)])
def test_a_much_better_rival_wins_at_the_first_look(metric: Metric) -> None:
    good, bad = values_of(0.95, 1), values_of(0.6, 2)
    own, rival = (bad, good) if metric.is_higher_better else (good, bad)
    race = Race.of({"rival": write_rights(rival)}, ROWS, metric)
    rows = order(ROWS)[: part_ends(ROWS)[0]]
    assert race.winner(own[rows], rows) == "rival"
    assert Race.of({"own": write_rights(own)}, ROWS, metric).winner(rival[rows], rows) is None
    assert ERROR <= 1e-3


def test_rivals_cost_no_more_in_any_respect() -> None:
    mine = candidate("w1-d1")
    worse: list[Callable[[], Candidate]] = [
        lambda: candidate("w1of2-d1", 0.9, macs=1001),
        lambda: candidate("w1of2-d1", 0.9, parameters=101),
        lambda: candidate("w1of2-d1", 0.9, size_bytes=401),
        lambda: candidate("w1of2-d1", 0.9, memory=Memory(bytes=11, source="measured", low_bytes=11, high_bytes=11)),
        lambda: candidate("w1of2-d1", 0.9, latency=Latency(ms=1.0, source="measured", low_ms=0.9, high_ms=1.2)),
        lambda: candidate("w1of2-d1"),
        lambda: dataclasses.replace(candidate("w1of2-d1", 0.9), rights=None),
    ]
    assert all(find_rivals(mine, [make()], ACCURACY) == {} for make in worse)
    rival = candidate("w1of2-d1", 0.9)
    assert find_rivals(mine, [rival], ACCURACY) == {"w1of2-d1": rival.rights}


def test_damaged_values_of_a_rival_are_told_with_its_id() -> None:
    damaged = dataclasses.replace(candidate("w1of2-d1", 0.9), rights="AAAA")
    with pytest.raises(InputError, match=r"^w1of2-d1: rights of 4,000 examples are damaged"):
        find_rivals(candidate("w1-d1"), [damaged], ACCURACY)


def test_only_the_best_rivals_are_taken_whatever_their_order() -> None:
    names = [f"w{width}of16-d1" for width in range(1, 16, 2)] + [f"w{width}of32-d1" for width in range(1, 32, 2)]
    scored = [candidate(name, place / 40) for place, name in enumerate(names, start=1)]
    found = find_rivals(candidate("w1-d1"), scored, ACCURACY)
    assert list(found) == names[::-1][:RIVALS]
    assert find_rivals(candidate("w1-d1"), scored[::-1], ACCURACY) == found


@pytest.mark.parametrize(
    "values",
    [values_of(0.7), np.ones(ROWS), np.zeros(3), np.array([0.3, 0.6, 0.9, 1.0, 0.0] * 99), np.array([2.5])],
)
def test_values_come_back_as_they_were(values: Any) -> None:
    assert np.array_equal(read_rights(write_rights(values), len(values)), values)


def test_right_and_wrong_take_a_bit_and_many_values_are_rounded() -> None:
    assert len(write_rights(values_of(0.5))) < 1.1 * ROWS / 8 * 4 / 3 + 100
    errors = np.random.default_rng(0).exponential(size=ROWS)
    assert np.allclose(read_rights(write_rights(errors), ROWS), errors, rtol=1e-7)


@pytest.mark.parametrize("text", ["", "?", "AAAA", write_rights(values_of(0.5)), write_rights(np.arange(300.0))])
def test_damaged_values_and_those_of_other_rows_are_refused(text: str) -> None:
    for rows in (1, 299, 5000):
        with pytest.raises(InputError, match="damaged or of other ones"):
            read_rights(text, rows)


def test_scores_are_apart_where_chance_makes_it_unlikely() -> None:
    one, other = np.zeros(100), np.zeros(100)
    one[:5] = 1
    assert not are_apart(one, other)
    one[:6] = 1
    assert are_apart(one, other)
    assert are_apart(other, one)
