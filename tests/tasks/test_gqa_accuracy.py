from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from bstsearch.errors import InputError
from bstsearch.reading import checked
from bstsearch.tasks.gqa_accuracy import GqaQuestion, Record, Step, gqa_scores, steps_of

GOLDEN = json.loads((Path(__file__).parent / "golden" / "gqa_accuracy.json").read_text(encoding="utf-8"))
RECORDS: dict[str, dict[str, Any]] = GOLDEN["questions"]
QUESTIONS = [GqaQuestion.of(key, checked(record, Record, key)) for key, record in RECORDS.items()]
PREDICTIONS: dict[str, str] = GOLDEN["predictions"]


def question(**changes: Any) -> GqaQuestion:
    return dataclasses.replace(QUESTIONS[0], **changes)


@pytest.mark.parametrize("name", ["accuracy", "binary", "open", "distribution"])
def test_scores_are_those_of_the_public_code(name: str) -> None:
    assert getattr(gqa_scores(QUESTIONS, PREDICTIONS), name) == GOLDEN["scores"][name]


@pytest.mark.parametrize("name", ["by_structural", "by_semantic", "by_words", "by_steps"])
def test_scores_of_each_kind_are_those_of_the_public_code(name: str) -> None:
    found = getattr(gqa_scores(QUESTIONS, PREDICTIONS), name)
    assert {str(kind): list(score) for kind, score in found.items()} == GOLDEN["scores"][name]


def test_only_balanced_questions_count_and_need_a_prediction() -> None:
    balanced = [one for one in QUESTIONS if one.is_balanced]
    predictions = {one.id: PREDICTIONS[one.id] for one in balanced}
    assert len(balanced) == 21
    assert gqa_scores(QUESTIONS, predictions) == gqa_scores(balanced, PREDICTIONS)


def test_a_missing_prediction_is_named() -> None:
    with pytest.raises(InputError, match="no prediction for GQA question '3'"):
        gqa_scores(QUESTIONS, {key: value for key, value in PREDICTIONS.items() if key != "3"})


def test_questions_that_do_not_count_are_refused() -> None:
    with pytest.raises(InputError, match="no balanced question"):
        gqa_scores([question(is_balanced=False)], PREDICTIONS)


def test_answers_are_compared_as_they_are() -> None:
    one = question(id="a", answer="t-shirt")
    assert gqa_scores([one], {"a": "t-shirt"}).accuracy == 100
    assert gqa_scores([one], {"a": "t shirt"}).accuracy == gqa_scores([one], {"a": "T-shirt"}).accuracy == 0


def test_a_kind_without_questions_scores_zero() -> None:
    scores = gqa_scores([question(id="a", structural="query", group=None)], {"a": "x"})
    assert (scores.binary, scores.distribution) == (0, 0)


def test_perfect_predictions_have_the_answers_distribution() -> None:
    scores = gqa_scores(QUESTIONS, {one.id: one.answer for one in QUESTIONS})
    assert (scores.accuracy, scores.distribution) == (100, 0)


def test_distribution_weighs_groups_by_their_size() -> None:
    asked = [
        question(id=str(row), answer=answer, group=group)
        for row, (answer, group) in enumerate(
            [("red", "colour"), ("red", "colour"), ("blue", "colour"), ("dog", "animal")]
        )
    ]
    predictions = {"0": "red", "1": "blue", "2": "blue", "3": "cat"}
    colour = (1 - 2) ** 2 / 2 + (2 - 1) ** 2 / 1
    animal = (0 - 1) ** 2 / 1
    assert gqa_scores(asked, predictions).distribution == (3 * colour + 1 * animal) / 4 / 100


@pytest.mark.parametrize(
    ("operation", "argument", "steps"),
    [
        ("exist", "?", 0),
        ("query", "name", 0),
        ("choose name", "a|b", 0),
        ("query", "hposition", 1),
        ("choose color", "red|blue", 1),
        ("relate", "table,to the left of,o (1)", 1),
    ],
)
def test_some_operations_are_no_steps(operation: str, argument: str, steps: int) -> None:
    assert steps_of([Step(operation=operation, argument=argument)]) == steps


@pytest.mark.parametrize("field", ["answer", "isBalanced", "types", "groups", "semantic", "question"])
def test_a_malformed_record_is_one_clear_error(field: str) -> None:
    record = {name: value for name, value in RECORDS["0"].items() if name != field}
    with pytest.raises(InputError, match=rf"^val\.json: object missing required field {field}$"):
        checked(record, Record, "val.json")
    with pytest.raises(InputError, match=rf"^val\.json, {field}: expected .*, got float$"):
        checked({**RECORDS["0"], field: 7.5}, Record, "val.json")


def test_a_question_may_be_in_no_group() -> None:
    assert checked({**RECORDS["0"], "groups": {}}, Record, "val.json").groups.shared is None
