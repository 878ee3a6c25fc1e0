from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bstsearch.errors import InputError
from bstsearch.profiles.latency import Latency
from bstsearch.score import Metric, Value
from bstsearch.searching.costs import COSTS, Objectives
from bstsearch.searching.pareto import Candidate, dominates, find_front, hypervolume, recommend, reference, rule

MakeCandidate = Callable[..., Candidate]
IDS = [f"w{n}of64-d1" for n in range(1, 64, 2)]
GRID = 6
ERROR = Metric(name="error", unit="m", is_higher_better=False, best=0.0)

# Few distinct values, so that ties in one, two or all objectives are common.
points = st.lists(st.tuples(*[st.integers(0, GRID)] * 3), max_size=12)


def losses(candidate: Candidate) -> tuple[float, float, float]:
    return candidate.latency.ms, candidate.macs, -candidate.score


def better_everywhere(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True)) and any(x < y for x, y in zip(a, b, strict=True))


def build(make: MakeCandidate, rows: list[tuple[int, int, int]]) -> list[Candidate]:
    return [
        make(name, ms=1 + ms, macs=10 * (1 + macs), correct=100 * correct)
        for name, (ms, macs, correct) in zip(IDS, rows, strict=False)
    ]


@given(rows=points)
def test_front_is_what_nothing_dominates(make_candidate: MakeCandidate, rows: list[tuple[int, int, int]]) -> None:
    candidates = build(make_candidate, rows)
    expected = [
        one for one in candidates if not any(better_everywhere(losses(other), losses(one)) for other in candidates)
    ]
    front = find_front(candidates)
    assert sorted(candidate.id for candidate in front) == sorted(candidate.id for candidate in expected)
    assert [candidate.latency.ms for candidate in front] == sorted(candidate.latency.ms for candidate in front)


@given(rows=points)
def test_front_does_not_depend_on_the_order(make_candidate: MakeCandidate, rows: list[tuple[int, int, int]]) -> None:
    candidates = build(make_candidate, rows)
    assert find_front(candidates) == find_front(reversed(candidates))


@given(rows=st.lists(st.tuples(*[st.integers(0, GRID)] * 3), min_size=2, max_size=2))
def test_dominates_agrees_with_its_definition(make_candidate: MakeCandidate, rows: list[tuple[int, int, int]]) -> None:
    one, other = build(make_candidate, rows)
    assert dominates(one, other) is better_everywhere(losses(one), losses(other))
    assert not dominates(one, one)


@given(rows=points)
def test_hypervolume_agrees_with_counting_cells(
    make_candidate: MakeCandidate, rows: list[tuple[int, int, int]]
) -> None:
    """The box is cut into GRID^3 cells; a cell counts where some candidate dominates all of it."""
    candidates = [
        make_candidate(name, ms=(GRID - ms) or 1e-12, macs=(GRID - macs) * 1000, correct=correct * 100)
        for name, (ms, macs, correct) in zip(IDS, rows, strict=False)
    ]
    reference = make_candidate(ms=GRID, macs=GRID * 1000, correct=0)
    tall = 10 * GRID
    cells = {
        (x, y, z)
        for ms, macs, correct in rows
        for x in range(ms)
        for y in range(macs)
        for z in range(correct * tall // 10)
    }
    assert hypervolume(candidates, reference) == pytest.approx(len(cells) / (GRID * GRID * tall), abs=1e-9)


@pytest.mark.parametrize("keys", [["memory"], ["latency", "memory"], ["latency", "gflops", "memory"]])
@given(rows=st.lists(st.tuples(*[st.integers(0, 4)] * 4), max_size=8))
def test_hypervolume_of_any_dimension_agrees_with_counting_cells(
    make_candidate: MakeCandidate, keys: list[str], rows: list[tuple[int, ...]]
) -> None:
    """A score that is better when lower, from 0 to 4, and costs up to 4; a cell counts where one dominates it."""
    objectives = Objectives.of(["accuracy", *keys], Metric(name="error", is_higher_better=False, worst=4, best=0))
    places = {"latency": 1, "gflops": 2, "memory": 3}
    candidates = [
        dataclasses.replace(
            make_candidate(name, ms=ms or 1e-12, macs=500_000_000 * gflops, memory=1_000_000 * memory),
            accuracy=Value(value=error, low=error, high=error, total=9),
        )
        for name, (error, ms, gflops, memory) in zip(IDS, rows, strict=False)
    ]
    full = make_candidate(ms=4, macs=2_000_000_000, memory=4_000_000)
    axes = [0, *(places[key] for key in keys)]
    cells = {cell for row in rows for cell in itertools.product(*(range(row[axis], 4) for axis in axes))}
    assert hypervolume(candidates, full, objectives) == pytest.approx(len(cells) / 4 ** len(axes), abs=1e-9)


def test_where_a_metric_has_no_ends_those_of_the_candidates_stand_in(make_candidate: MakeCandidate) -> None:
    objectives = Objectives.of(["accuracy", "latency"], Metric(name="error", is_higher_better=False))
    full = make_candidate(ms=4)
    one, other = (
        dataclasses.replace(make_candidate(ms=ms), accuracy=Value(value=error, low=error, high=error, total=9))
        for ms, error in ((1, 30.0), (2, 10.0))
    )
    assert hypervolume([one, other], full, objectives) == pytest.approx(0.5)
    assert reference([one, other], full, objectives) == {"accuracy": 30.0, "latency_ms": 4}
    assert hypervolume([one], full, objectives) == 0
    assert hypervolume([], full, objectives) == 0


def test_hypervolume_ignores_what_is_unscored_or_costs_more_than_the_reference(make_candidate: MakeCandidate) -> None:
    reference = make_candidate(ms=2.0, macs=2000, correct=1000)
    candidates = [make_candidate("w1of2-d1", ms=1.0), make_candidate("w3of4-d1", ms=3.0, macs=10, correct=999)]
    assert hypervolume([*candidates, reference], reference) == 0


def test_unscored_candidates_are_not_on_the_front(make_candidate: MakeCandidate) -> None:
    scored = make_candidate("w1-d1", ms=2.0, correct=900)
    assert find_front([make_candidate("w1of2-d1", ms=1.0), scored]) == (scored,)


def test_recommended_within_a_budget_is_the_most_accurate(make_candidate: MakeCandidate) -> None:
    front = find_front(
        [
            make_candidate("w1of4-d1", ms=1.0, macs=30, correct=900),
            make_candidate("w1of2-d1", ms=2.0, macs=20, correct=990),
            make_candidate("w1-d1", ms=3.0, macs=10, correct=990),
        ]
    )
    assert recommend(front, has_budget=True).id == "w1of2-d1"


def test_recommended_without_budget_is_the_fastest_within_the_best_interval(make_candidate: MakeCandidate) -> None:
    # 990 of 1,000: the 95 % interval begins at 0.9816.
    front = find_front(
        [
            make_candidate("w1of4-d1", ms=1.0, correct=981),
            make_candidate("w1of2-d1", ms=2.0, correct=982),
            make_candidate("w1-d1", ms=3.0, correct=990),
        ]
    )
    assert recommend(front, has_budget=False).id == "w1of2-d1"
    assert "95 % interval" in rule(has_budget=False)
    assert "within the budget" in rule(has_budget=True)


@given(rows=points)
def test_the_front_of_other_objectives_is_what_nothing_dominates(
    make_candidate: MakeCandidate, rows: list[tuple[int, int, int]]
) -> None:
    """Memory up to the least error, GFLOPs untold."""
    objectives = Objectives.of(["memory", "accuracy", "latency"], ERROR)
    candidates = [
        dataclasses.replace(
            make_candidate(name, ms=1 + ms, macs=7, memory=1_000_000 * (1 + memory)),
            accuracy=Value(value=error, low=error, high=error, total=9),
        )
        for name, (ms, memory, error) in zip(IDS, rows, strict=False)
    ]

    def costs(one: Candidate) -> tuple[float, float, float]:
        return one.memory.bytes, one.latency.ms, one.score

    front = find_front(candidates, objectives)
    assert {one.id for one in front} == {
        one.id for one in candidates if not any(better_everywhere(costs(other), costs(one)) for other in candidates)
    }
    assert [one.memory.bytes for one in front] == sorted(one.memory.bytes for one in front)


def test_recommended_by_a_score_that_is_better_when_lower(make_candidate: MakeCandidate) -> None:
    objectives = Objectives.of(["accuracy", "memory"], ERROR)
    front = find_front(
        [
            dataclasses.replace(
                make_candidate(name, memory=memory), accuracy=Value(value=error, low=error - 0.1, high=high, total=9)
            )
            for name, memory, error, high in (
                ("w1of4-d1", 1, 0.31, 0.4),
                ("w1of2-d1", 2, 0.29, 0.4),
                ("w1-d1", 3, 0.2, 0.3),
            )
        ],
        objectives,
    )
    assert recommend(front, objectives, has_budget=True).id == "w1-d1"
    assert recommend(front, objectives, has_budget=False).id == "w1of2-d1"
    words = rule(objectives, has_budget=False)
    assert words == "the one of least peak memory whose error lies within the best row's 95 % interval"
    assert rule(objectives, has_budget=True) == "the best by error within the budget"


def test_a_score_of_another_metric_keeps_its_interval(make_candidate: MakeCandidate) -> None:
    value = Value(value=-1.5, low=-2.0, high=0.5, total=40)
    candidate = dataclasses.replace(make_candidate(), accuracy=value)
    data = json.loads(json.dumps(candidate.to_json()))
    assert (data["accuracy"], data["correct"], data["questions"]) == (-1.5, None, 40)
    assert Candidate.from_json(data) == candidate
    with pytest.raises(InputError, match="a score is a number in its interval"):
        Candidate.from_json(data | {"accuracy": 3.0})


def test_every_cost_is_in_json_under_its_name(make_candidate: MakeCandidate) -> None:
    candidate = make_candidate(ms=2.0, macs=500_000_000, memory=3_000_000)
    phases = {phase: Latency(ms=0.5, source="measured", low_ms=0.5, high_ms=0.5) for phase in ("prefill", "decode")}
    data = dataclasses.replace(candidate, phases=phases).to_json()
    assert {cost.name: data[cost.name] for cost in COSTS.values()} == {
        "latency_ms": 2.0,
        "gflops": 1.0,
        "parameters": 50_000_000,
        "size_mb": 200.0,
        "memory_mb": 3.0,
        "prefill_ms": 0.5,
        "decode_ms": 0.5,
    }


@pytest.mark.parametrize("correct", [None, 0, 987])
@pytest.mark.parametrize("high_ms", [None, 2.5])
def test_json_round_trip(make_candidate: MakeCandidate, correct: int | None, high_ms: float | None) -> None:
    candidate = make_candidate("w1of2-d1of3", ms=1.25, macs=12345, correct=correct, high_ms=high_ms)
    assert Candidate.from_json(json.loads(json.dumps(candidate.to_json()))) == candidate


def test_json_holds_the_derived_numbers(make_candidate: MakeCandidate) -> None:
    data = make_candidate("w1of2-d1of3", macs=500_000_000, correct=900).to_json()
    assert (data["width"], data["depth"], data["gflops"], data["accuracy"]) == ("1/2", "1/3", 1.0, 0.9)
    assert data["accuracy_low"] < 0.9 < data["accuracy_high"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id", "w1of3"),
        ("macs", -1),
        ("macs", 1.5),
        ("latency_ms", float("nan")),
        ("latency_ms", "1"),
        ("latency_source", "guessed"),
        ("memory_bytes", None),
        ("correct", 1001),
        ("questions", 0),
        ("correct", True),
    ],
)
def test_malformed_json_is_an_input_error(make_candidate: MakeCandidate, key: str, value: object) -> None:
    data = make_candidate(correct=1).to_json() | {key: value}
    with pytest.raises(InputError, match=r"^candidate[:,] "):
        Candidate.from_json(data)


def test_whole_numbers_stay_whole(make_candidate: MakeCandidate) -> None:
    for correct in (900, 900.5):
        data = make_candidate(correct=1).to_json() | {"correct": correct}
        found = Candidate.from_json(data).to_json()["correct"]
        assert (found, type(found)) == (correct, type(correct))


def test_missing_json_key_is_named(make_candidate: MakeCandidate) -> None:
    data = make_candidate(correct=1).to_json()
    del data["macs"]
    with pytest.raises(InputError, match="macs"):
        Candidate.from_json(data)
