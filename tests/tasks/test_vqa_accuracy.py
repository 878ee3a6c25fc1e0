from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bstsearch.errors import InputError, UsageError
from bstsearch.tasks.vqa_accuracy import (
    VARIANTS,
    AnswerScorer,
    accuracy,
    agreement,
    answer_classes,
    soft_targets,
    summary,
)

GOLDEN = json.loads((Path(__file__).parent / "golden" / "vqa_accuracy.json").read_text(encoding="utf-8"))
CASES: list[dict[str, Any]] = GOLDEN["cases"]
TEXTS = [
    "yes",
    "Yes",
    "a yes",
    "yes.",
    "no",
    "t-shirt",
    "t shirt",
    "2",
    "two",
    " two ",
    "",
    "isnt",
    "isn't",
    "1,000",
    "1000",
]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("case", CASES)
def test_accuracies_are_those_of_the_public_code(case: dict[str, Any], variant: str) -> None:
    found = accuracy(case["prediction"], case["answers"], variant)
    assert round(100 * found, 2) == case[variant]


@pytest.mark.parametrize("variant", VARIANTS)
def test_totals_are_those_of_the_public_code(variant: str) -> None:
    scores = [accuracy(case["prediction"], case["answers"], variant) for case in CASES]
    found = summary(scores, [case["answer_type"] for case in CASES], [case["question_type"] for case in CASES])
    expected = GOLDEN["totals"][variant]
    assert found.overall == expected["overall"]
    assert found.by_answer_type == expected["answer_type"]
    assert found.by_question_type == expected["question_type"]


@pytest.mark.parametrize(("matches", "expected"), [(0, 0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1), (7, 1), (10, 1)])
def test_agreement_of_ten_people(matches: int, expected: float) -> None:
    assert agreement(matches, 10) == expected


@given(people=st.integers(1, 12), data=st.data())
def test_agreement_is_the_mean_with_each_person_left_out(people: int, data: st.DataObject) -> None:
    matches = data.draw(st.integers(0, people))
    said = [True] * matches + [False] * (people - matches)
    left_out = [min(1, sum(rest) / 3) for rest in itertools.combinations(said, people - 1)]
    assert agreement(matches, people) == pytest.approx(sum(left_out) / people)


@given(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=10), st.sampled_from(VARIANTS))
def test_a_scorer_gives_every_class_its_accuracy(answers: list[str], variant: str) -> None:
    classes = ["yes", "no", "t shirt", "t-shirt", "2", "two", "isn't", "1000", "a", ""]
    one_by_one = {index: accuracy(name, answers, variant) for index, name in enumerate(classes)}
    found = AnswerScorer(classes, variant).scores(answers)
    assert found == {index: score for index, score in one_by_one.items() if score}


def test_classes_that_read_the_same_get_the_same_score() -> None:
    assert AnswerScorer(["dog", "a dog"]).scores(["dog", "dogs"]) == pytest.approx({0: 1 / 6, 1: 1 / 6})


def test_a_hyphen_loses_where_people_agree_and_wins_where_they_do_not() -> None:
    for variant in VARIANTS:
        assert accuracy("t shirt", ["t-shirt"] * 10, variant) == 0
        assert accuracy("t shirt", ["t-shirt"] * 9 + ["shirt"], variant) == 1


def test_only_the_official_variant_normalises_peoples_answers_in_full() -> None:
    answers = ["A dog"] * 5 + ["cat"] * 5
    assert accuracy("dog", answers, "official") == 1
    assert accuracy("dog", answers, "openvqa") == 0


@pytest.mark.parametrize(
    ("prediction", "answers", "official", "openvqa"),
    [
        ("dog ", ["dog "] * 10, 1, 0),
        ("dog", ["dog "] * 10, 1, 0),
        ("dog", [" dog\n"] * 4 + ["dog"] * 6, 1, 1),
        ("A dog", ["A dog\t"] * 10, 1, 0),  # all the same on one line, so compared as they are
        ("dog", ["A dog\t"] * 10, 0, 0),
        ("dog", ["dog", "dog "] * 2 + ["cat"] * 6, 1, 0.6),
        ("ice cream", ["ice\ncream"] * 10, 1, 0),
        ("cat", [" cat"] * 3 + ["dog"] * 7, 0.9, 0),
    ],
)
def test_white_space_at_the_ends_of_peoples_answers_means_nothing_to_the_official_code(
    prediction: str, answers: list[str], official: float, openvqa: float
) -> None:
    assert accuracy(prediction, answers, "official") == official
    assert accuracy(prediction, answers, "openvqa") == openvqa


def test_means_are_of_exact_tenths() -> None:
    assert summary([0.3] * 3 + [0.6] * 7, ["other"] * 10, ["what"] * 10).overall == 51.0


def test_unknown_variants_are_refused() -> None:
    with pytest.raises(UsageError, match="unknown variant 'mine'"):
        accuracy("yes", ["yes"], "mine")
    with pytest.raises(UsageError, match="there are official, openvqa"):
        AnswerScorer(["yes"], "mine")


def test_soft_targets_are_accuracies_of_normalised_answers() -> None:
    answers = ["Yes", "yes.", "yes", "the yes", "no", "two", "2", "red", "blue", "blue"]
    class_ids = {"yes": 0, "no": 1, "2": 2, "blue": 3, "green": 4}
    assert soft_targets(answers, class_ids) == {0: 1.0, 1: 0.3, 2: 0.6, 3: 0.6}
    assert soft_targets(answers, class_ids, is_share=True) == {0: 0.4, 1: 0.1, 2: 0.2, 3: 0.2}


def test_soft_targets_take_a_lone_answer_as_one_of_ten() -> None:
    assert soft_targets(["yes"], {"yes": 0}) == {0: 0.3}
    assert soft_targets(["yes"], {"yes": 0}, is_share=True) == {0: 0.1}


def test_answers_that_are_no_class_leave_no_target() -> None:
    assert soft_targets(["red"] * 10, {"yes": 0}) == {}


def test_answers_are_classes_from_the_ninth_use_on() -> None:
    answers = ["no"] * 8 + ["Two"] * 4 + ["yes"] * 9 + ["2"] * 5
    assert answer_classes(answers) == ("2", "yes")
    assert answer_classes(answers, more_than=0) == ("no", "2", "yes")


def test_no_question_has_no_mean() -> None:
    with pytest.raises(InputError, match="no questions"):
        summary([], [], [])
