"""The accuracy that code bases report which keep of the human answers only what each answer is worth.

LXMERT, CLIP-ViL and UNITER store a number between 0 and 1 for each right answer (VQA-v2: 0.3, 0.6, 0.9 and 1 for one
to four and more of ten people), and count a prediction as what it is worth. The official VQA accuracy compares with
all ten answers instead, so it differs where a person's answer is no class, or normalising makes two answers one.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bstsearch.score import Accuracy
from bstsearch.tasks.region_split import SparseRows
from bstsearch.tasks.vqa import check_answered

VQA_RESULT, GQA_RESULT = ("question_id", "answer"), ("questionId", "prediction")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SoftJudge:
    """Says what predictions are worth; `result` are the names of the two fields that the evaluation server reads.

    `where` is the file or folder that the questions come from.
    """

    questions: Sequence[int | str]
    worths: SparseRows
    names: tuple[str, ...]
    has_answers: bool
    result: tuple[str, str] = VQA_RESULT
    where: Path | str = "these questions"

    def check_scorable(self) -> None:
        """As `Judge.check_scorable`."""
        check_answered(self.has_answers, self.where)

    def score(self, predicted: NDArray[np.int64]) -> Accuracy:
        """The sum of what the predicted classes are worth; InputError where that is not known."""
        self.check_scorable()
        return Accuracy.of(self.values(predicted).tolist())

    def values(self, predicted: NDArray[np.int64]) -> NDArray[np.float64]:
        """What each predicted class is worth."""
        return self.worths.at(predicted)

    def details(self, _predicted: NDArray[np.int64]) -> dict[str, float]:
        """Nothing: these code bases do not store what kind a question is of, or do not use it."""
        return {}

    def results(self, predicted: NDArray[np.int64]) -> list[dict[str, Any]]:
        """As the evaluation server takes them: VQA-v2's ids as numbers where they are such, GQA's as text."""
        question_field, answer_field = self.result
        kind = number_or_text if self.result == VQA_RESULT else str
        pairs = zip(self.questions, predicted.tolist(), strict=True)
        return [{question_field: kind(question), answer_field: self.names[index]} for question, index in pairs]


def number_or_text(question: int | str) -> int | str:
    """A question's id as a number, where it is one.

    >>> number_or_text("458752000"), number_or_text("shop-1"), number_or_text("007")
    (458752000, 'shop-1', '007')
    """
    return int(question) if re.fullmatch("0|[1-9][0-9]{0,17}", str(question)) else question
