from __future__ import annotations

from collections.abc import Callable

import pytest

from bstsearch.errors import InfeasibleBudgetError, UsageError
from bstsearch.score import ACCURACY, Accuracy, Metric, Value
from bstsearch.searching.budget import Budget
from bstsearch.searching.costs import DEFAULT, Objectives
from bstsearch.searching.floor import Floor, check_reached, keeps_to
from bstsearch.searching.pareto import Candidate

MakeCandidate = Callable[..., Candidate]
ERROR = Metric(name="error", unit="m", is_higher_better=False, best=0.0)
FULL = Accuracy(correct=995, total=1000)


def resolved(least: str | None, drop: str | None, metric: Metric = ACCURACY, full: object = FULL) -> float:
    floor = Floor.parse(least, drop)
    assert floor is not None
    return floor.resolve(metric, full)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("least", "drop", "found"),
    [
        ("97%", None, 0.97),
        (" 97.3 % ", None, 0.973),
        ("97.3", None, 0.973),
        ("1%", None, 0.01),
        ("0", None, 0.0),
        (None, "1", 0.985),
        (None, "0", 0.995),
        (None, "0.5", 0.99),
        (None, "2%", 0.9751),
    ],
)
def test_a_floor_is_an_accuracy_or_a_drop_in_points_or_of_the_full_models(
    least: str | None, drop: str | None, found: float
) -> None:
    """To the last bit: what is exactly so good keeps to it."""
    assert resolved(least, drop) == found


def test_a_floor_of_an_error_lies_above(make_candidate: MakeCandidate) -> None:
    full = Value(value=0.25, low=0.2, high=0.3, total=100)
    assert resolved("0.3", None, ERROR) == 0.3
    assert resolved(None, "0.05", ERROR, full) == 0.3
    assert resolved(None, "10%", ERROR, full) == 0.275
    below = -2.5
    assert resolved(None, "10%", ERROR, Value(value=below, low=-3, high=-2, total=9)) == -2.25
    assert ERROR.bound(0.3) == "at most 0.3 m"


def test_nothing_asked_is_no_floor(make_candidate: MakeCandidate) -> None:
    assert Floor.parse(None, None) is None
    assert keeps_to(None, make_candidate(correct=1), ACCURACY)
    assert not keeps_to(None, make_candidate(), ACCURACY)


@pytest.mark.parametrize(
    ("least", "drop", "message"),
    [
        *(
            (text, None, "--min-accuracy '.* is no score; write a number")
            for text in ("", "good", "9" * 70, "1/2", "nan")
        ),
        *((None, text, "--max-drop '.*' is no score; write a number") for text in ("-1", "%", "1e999")),
        ("97%", "1", "give one of them"),
        ("0.97", None, "--min-accuracy 0.97 may be 97% or 0.97%; write it with the sign"),
        ("1", None, "--min-accuracy 1 may be 100% or 1%"),
    ],
)
def test_what_is_no_floor_is_refused(least: str | None, drop: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message) as found:
        resolved(least, drop)
    assert len(str(found.value)) < 150


def test_a_floor_in_another_unit_or_without_the_full_models_score_is_refused() -> None:
    with pytest.raises(UsageError, match=r"error, m .* is not in per cent; give a number without the sign"):
        resolved("97%", None, ERROR)
    with pytest.raises(UsageError, match="--max-drop needs the score of the full model"):
        resolved(None, "1", full=None)


def test_the_score_itself_must_keep_to_it(make_candidate: MakeCandidate) -> None:
    assert keeps_to(0.97, make_candidate(correct=970), ACCURACY)
    assert not keeps_to(0.97, make_candidate(correct=969), ACCURACY)
    assert not keeps_to(0.97, make_candidate(), ACCURACY)


def test_where_nothing_is_good_enough_the_nearest_is_named(make_candidate: MakeCandidate) -> None:
    scored = [make_candidate("w1of2-d1", ms=2.0, correct=960), make_candidate("w1-d1", ms=3.0, correct=960)]
    check_reached(0.96, scored, Budget(), DEFAULT)
    check_reached(None, [], Budget(), DEFAULT)
    words = (
        r"none of 2 scored submodels within latency 9 ms has accuracy at least 97.00 %; the nearest is w1of2-d1 with "
        r"96.0 \(94.6-97.0\) % at 2.00 ms; give another --min-accuracy"
    )
    with pytest.raises(InfeasibleBudgetError, match=words):
        check_reached(0.97, scored, Budget(latency_ms=9.0), DEFAULT)
    with pytest.raises(InfeasibleBudgetError, match=r"has error at most 0\.5 m; the nearest is w1of2-d1"):
        check_reached(0.5, scored, Budget(), Objectives.of(("accuracy", "latency"), ERROR))
