from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bstsearch.errors import InfeasibleBudgetError, InputError, UsageError
from bstsearch.searching.budget import HIGH, MIDDLE, Bound, Budget, parse_bounds
from bstsearch.searching.pareto import Candidate

MakeCandidate = Callable[..., Candidate]

limits = st.none() | st.sampled_from([1.0, 2.0, 3.0])
budgets = st.builds(Budget, latency_ms=limits, gflops=limits, memory_mb=limits, at=st.sampled_from([HIGH, MIDDLE]))


@pytest.mark.parametrize(
    ("text", "value", "is_share"),
    [("2", 2.0, False), ("0.5", 0.5, False), (".5", 0.5, False), (" 50 % ", 0.5, True), ("1e-3", 0.001, False)],
)
def test_bound_is_a_number_or_a_share(text: str, value: float, is_share: bool) -> None:
    assert Bound.parse(text, "--budget-ms") == Bound(value=value, is_share=is_share)


@pytest.mark.parametrize(
    "text",
    [
        *("", "fast", "-1", "0", "0%", "nan", "inf", "5 ms", "1,5", "%", "--", "1_0", "\N{ARABIC-INDIC DIGIT THREE}"),
        *("1e400", "1e-400", "1e308%", "1e-323%", "9" * 5000),
    ],
)
def test_malformed_bound_names_its_option(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--budget-mb '.* is no budget; write a number above 0") as found:
        Bound.parse(text, "--budget-mb")
    assert len(str(found.value)) < 150


def test_bounds_are_those_that_were_given() -> None:
    assert parse_bounds({"latency": None, "gflops": "2", "memory": None}) == {"gflops": Bound(value=2.0)}
    assert parse_bounds({"latency": "2"}, ["size=50%"]) == {
        "latency_ms": Bound(value=2.0),
        "size_mb": Bound(value=0.5, is_share=True),
    }
    with pytest.raises(UsageError, match="--budget-gflops 'x'"):
        parse_bounds({"gflops": "x"})


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("watts=5", "bounds no cost; write COST=LIMIT with one of latency, gflops, parameters"),
        ("size", "--budget size '' is no budget"),
        ("size=big", "--budget size 'big' is no budget"),
        ("latency=3", "latency is bounded twice"),
    ],
)
def test_a_bound_on_any_cost_is_checked(other: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_bounds({"latency": "2"}, [other])


def test_shares_are_of_the_full_model(make_candidate: MakeCandidate) -> None:
    full = make_candidate(ms=4.0, macs=3_000_000_000, memory=8_000_000)
    half = Bound(value=0.5, is_share=True)
    bounds = {"latency_ms": half, "gflops": Bound(value=2.0), "memory_mb": half}
    assert Budget.resolve(bounds, full) == Budget(latency_ms=2.0, gflops=2.0, memory_mb=4.0)
    assert Budget.resolve({}, full) == Budget()


@pytest.mark.parametrize("at", [HIGH, MIDDLE])
def test_the_whole_of_the_full_model_admits_it(make_candidate: MakeCandidate, at: str) -> None:
    full = make_candidate(ms=0.3, high_ms=0.7, macs=12_345, memory=12_345)
    everything = Bound(value=1.0, is_share=True)
    budget = Budget.resolve(dict.fromkeys(("latency_ms", "gflops", "memory_mb"), everything), full, at)
    assert budget.admits(full)


def test_an_estimate_counts_with_its_upper_end(make_candidate: MakeCandidate) -> None:
    budget = Budget(latency_ms=2.0)
    assert budget.admits(make_candidate(ms=2.0))
    assert budget.admits(make_candidate(ms=1.0, high_ms=2.0))
    assert not budget.admits(make_candidate(ms=1.0, high_ms=2.1))


def test_in_the_middle_an_estimate_counts_with_its_own_value(make_candidate: MakeCandidate) -> None:
    budget = Budget(latency_ms=2.0, at=MIDDLE)
    assert budget.admits(make_candidate(ms=2.0))
    assert budget.admits(make_candidate(ms=2.0, high_ms=9.0))
    assert not budget.admits(make_candidate(ms=2.1, high_ms=9.0))


def test_a_share_is_of_that_end_of_the_full_models_range(make_candidate: MakeCandidate) -> None:
    full, half = make_candidate(ms=4.0, high_ms=6.0), {"latency_ms": Bound(value=0.5, is_share=True)}
    assert Budget.resolve(half, full) == Budget(latency_ms=3.0, at=HIGH)
    assert Budget.resolve(half, full, MIDDLE) == Budget(latency_ms=2.0, at=MIDDLE)


def test_the_nearest_is_told_with_the_cost_that_counted(make_candidate: MakeCandidate) -> None:
    candidates = [make_candidate("w1-d1", ms=3.0, high_ms=4.0), make_candidate("w1of2-d1", ms=2.0, high_ms=5.0)]
    with pytest.raises(InfeasibleBudgetError, match=r"the nearest is w1-d1 with 4 ms"):
        Budget(latency_ms=1.0).check_feasible(candidates)
    with pytest.raises(InfeasibleBudgetError, match=r"the nearest is w1of2-d1 with 2 ms"):
        Budget(latency_ms=1.0, at=MIDDLE).check_feasible(candidates)


@pytest.mark.parametrize(
    "budget", [Budget(latency_ms=0.9), Budget(gflops=0.9), Budget(memory_mb=0.9), Budget(latency_ms=9, memory_mb=0.9)]
)
def test_every_bound_counts(make_candidate: MakeCandidate, budget: Budget) -> None:
    assert not budget.admits(make_candidate(ms=1.0, macs=500_000_000, memory=1_000_000))


def test_no_bound_admits_everything(make_candidate: MakeCandidate) -> None:
    assert not Budget()
    assert Budget().admits(make_candidate(ms=1e9))


def test_infeasible_budget_names_the_nearest_and_its_cost(make_candidate: MakeCandidate) -> None:
    candidates = [
        make_candidate("w1-d1", ms=3.0),
        make_candidate("w1of4-d1", ms=1.25),
        make_candidate("w1of2-d1", ms=2),
    ]
    with pytest.raises(InfeasibleBudgetError, match=r"latency 1 ms; the nearest is w1of4-d1 with 1\.25 ms"):
        Budget(latency_ms=1.0).check_feasible(candidates)
    Budget(latency_ms=1.25).check_feasible(candidates)


@given(one=budgets, other=budgets, costs=st.tuples(*[st.integers(1, 6)] * 3), range_ms=st.integers(0, 3))
def test_a_budget_that_covers_another_admits_all_it_admits(
    make_candidate: MakeCandidate, one: Budget, other: Budget, costs: tuple[int, int, int], range_ms: int
) -> None:
    ms, gflops, memory = costs
    candidate = make_candidate(
        ms=ms / 2, macs=gflops * 250_000_000, memory=memory * 500_000, high_ms=ms / 2 + range_ms if range_ms else None
    )
    if one.covers(other) and other.admits(candidate):
        assert one.admits(candidate)


def test_covers() -> None:
    assert Budget().covers(Budget(latency_ms=1.0))
    assert Budget(latency_ms=2.0).covers(Budget(latency_ms=2.0, gflops=1.0))
    assert not Budget(latency_ms=2.0).covers(Budget(latency_ms=2.1))
    assert not Budget(latency_ms=2.0).covers(Budget(gflops=1.0))
    assert not Budget(latency_ms=2.0).covers(Budget())
    assert Budget(latency_ms=2.0, at=MIDDLE).covers(Budget(latency_ms=2.0))
    assert not Budget(latency_ms=2.0).covers(Budget(latency_ms=2.0, at=MIDDLE))
    assert Budget().covers(Budget(latency_ms=2.0, at=MIDDLE))


@given(budget=budgets)
def test_json_round_trip(budget: Budget) -> None:
    assert Budget.from_json(json.loads(json.dumps(budget.to_json()))) == budget


def test_a_budget_written_before_there_were_two_ends_is_read() -> None:
    """Files of bstsearch 0.1.0 say no end, and mean the upper one; nor do they know the costs that came later."""
    assert Budget.from_json({"latency_ms": 2, "gflops": None, "memory_mb": None}) == Budget(latency_ms=2)


FREE = {"latency_ms": None, "gflops": None, "memory_mb": None}


@pytest.mark.parametrize(
    "data",
    [
        None,
        {"latency_ms": "1"},
        {"latency_ms": float("nan")},
        {"latency_ms": 10**400},
        FREE | {"latency_ms": -1},
        FREE | {"at": "low"},
        FREE | {"watts": 1},
    ],
)
def test_malformed_json_is_an_input_error(data: object) -> None:
    with pytest.raises(InputError, match=r"^budget[:,] "):
        Budget.from_json(data)


def test_text_names_cost_and_unit() -> None:
    assert str(Budget(latency_ms=2.5, memory_mb=40.0)) == "latency 2.5 ms, peak memory 40 MB"
