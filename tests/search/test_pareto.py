from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bstsearch.errors import InputError
from bstsearch.search.pareto import Candidate, dominates, find_front, hypervolume, recommend, rule

MakeCandidate = Callable[..., Candidate]
IDS = [f"w{n}of64-d1" for n in range(1, 64, 2)]
GRID = 6

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
    with pytest.raises(InputError, match="malformed candidate"):
        Candidate.from_json(data)


def test_missing_json_key_is_named(make_candidate: MakeCandidate) -> None:
    data = make_candidate(correct=1).to_json()
    del data["macs"]
    with pytest.raises(InputError, match="macs"):
        Candidate.from_json(data)
