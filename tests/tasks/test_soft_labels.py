from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bstsearch.errors import InputError
from bstsearch.tasks.region_split import SparseRows
from bstsearch.tasks.soft_labels import GQA_RESULT, SoftJudge

WORTHS = [{0: 1.0}, {}, {1: 0.3, 2: 0.9}]


def judge(*, has_answers: bool = True) -> SoftJudge:
    names = ("net", "pitcher", "yes")
    return SoftJudge(questions=[7, 8, 9], worths=SparseRows.of(WORTHS), names=names, has_answers=has_answers)


@pytest.mark.parametrize("predicted", [[0, 0, 0], [0, 1, 1], [2, 2, 2], [0, 1, 2]])
def test_accuracy_adds_up_what_each_prediction_is_worth(predicted: list[int]) -> None:
    accuracy = judge().score(np.array(predicted))
    expected = sum(worths.get(index, 0) for worths, index in zip(WORTHS, predicted, strict=True))
    assert accuracy.correct == pytest.approx(expected)
    assert accuracy.total == 3


def test_accuracies_add_up_in_exact_tenths() -> None:
    many = dataclasses.replace(
        judge(), questions=range(30_000), worths=SparseRows.of([{0: 0.3}, {0: 0.6}, {}] * 10_000)
    )
    assert many.score(np.zeros(30_000, dtype=np.int64)).correct == 9_000


def test_ids_are_written_as_numbers_where_they_are_such() -> None:
    questions = ["458752000", "shop-1", 7, "007", "9" * 30]
    many = dataclasses.replace(judge(), questions=questions, worths=SparseRows.of([{}] * 5))
    found = [entry["question_id"] for entry in many.results(np.zeros(5, dtype=np.int64))]
    assert found == [458752000, "shop-1", 7, "007", "9" * 30]


def test_results_bear_the_names_and_kinds_of_the_server() -> None:
    assert judge().results(np.array([1, 0, 2]))[0] == {"question_id": 7, "answer": "pitcher"}
    gqa = dataclasses.replace(judge(), result=GQA_RESULT)
    assert gqa.results(np.array([1, 0, 2]))[0] == {"questionId": "7", "prediction": "pitcher"}


def test_what_has_no_answers_has_no_accuracy() -> None:
    with pytest.raises(InputError, match="without answers, so without a score; write"):
        judge(has_answers=False).score(np.zeros(3, dtype=np.int64))
