"""VQA-v2's accuracy of an answer, given those of ten people; classes and training targets made of them (no torch).

Two evaluations are in use, which differ in what they compare. "official" is that of the data set's makers (public code
GT-Vision-Lab/VQA, file vqaEval.py); "openvqa" is the copy that comes with MILVLG/openvqa and MILVLG/bst, so what MCAN's
and BST's own validation accuracies are computed with.

| | people's answers | prediction |
|---|---|---|
| official | on one line where all are then equal, else normalised | on one line where all are equal, else normalised |
| openvqa | as they are where all are equal, else without punctuation | always normalised |
"""

from __future__ import annotations

import collections
import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence

from bstsearch.errors import InputError, UsageError
from bstsearch.score import Accuracy
from bstsearch.tasks.answer_text import class_text, evaluation_text, on_one_line, without_punctuation

OFFICIAL, OPENVQA = "official", "openvqa"
VARIANTS = (OFFICIAL, OPENVQA)
PEOPLE = 10  # asked the same question, all through VQA-v2
ENOUGH = 3  # others who gave the same answer make it fully right


@dataclasses.dataclass(frozen=True, kw_only=True)
class VqaScores:
    """Percentages, rounded to two decimals as the evaluation rounds them."""

    overall: float
    by_answer_type: Mapping[str, float]
    by_question_type: Mapping[str, float]


def accuracy(prediction: str, answers: Sequence[str], variant: str = OFFICIAL) -> float:
    """The accuracy of `prediction`, between 0 and 1, given what people answered.

    >>> accuracy("dog", ["dog"] * 3 + ["cat"] * 7), accuracy("a dog", ["dog"] * 10)
    (0.9, 0.0)
    """
    _check_variant(variant)
    are_equal, people = _compared_answers(answers, variant)
    return agreement(people[_compared_prediction(prediction, variant, are_equal=are_equal)], len(answers))


def agreement(matches: int, people: int) -> float:
    """The accuracy of an answer that `matches` of `people` gave: each person in turn is left out, then the mean.

    With ten people: 0, 0.3, 0.6, 0.9, and 1 from four on.
    """
    left = matches * min(ENOUGH, matches - 1) + (people - matches) * min(ENOUGH, matches)
    return left / (ENOUGH * people) if matches else 0.0


class AnswerScorer:
    """Accuracies of all answer classes at once.

    >>> AnswerScorer(["dog", "cat", "2"]).scores(["a dog"] * 3 + ["Cat"] * 7)
    {0: 0.9, 1: 1.0}
    """

    def __init__(self, classes: Sequence[str], variant: str = OFFICIAL) -> None:
        _check_variant(variant)
        self.variant = variant
        self._class_ids = {
            are_equal: _ids_by_text(_compared_prediction(name, variant, are_equal=are_equal) for name in classes)
            for are_equal in (False, True)
        }

    def scores(self, answers: Sequence[str]) -> dict[int, float]:
        """The accuracy of every class that has one over 0, by class id, given what people answered."""
        are_equal, people = _compared_answers(answers, self.variant)
        found = {
            class_id: agreement(matches, len(answers))
            for text, matches in people.items()
            for class_id in self._class_ids[are_equal].get(text, ())
        }
        return {class_id: score for class_id, score in found.items() if score}


def soft_targets(answers: Sequence[str], class_ids: Mapping[str, int], *, is_share: bool = False) -> dict[int, float]:
    """Training targets over 0 by class id: the accuracy, or (`is_share`) the share of people who gave the answer.

    As in the public codes MILVLG/openvqa and MILVLG/bst, where shares go with a KL loss: of ten people, however
    many `answers` there are (a question of Visual Genome may have one). `class_ids` are keyed by normalised
    answers, as `answer_classes` gives them; answers that are no class are left out.

    >>> soft_targets(["yes", "Yes", "the yes", "no"] + ["maybe"] * 6, {"yes": 0, "no": 1})
    {0: 0.9, 1: 0.3}
    """
    found = collections.Counter(map(_class_text, answers))
    return {
        class_ids[text]: matches / PEOPLE if is_share else agreement(matches, PEOPLE)
        for text, matches in found.items()
        if text in class_ids
    }


def answer_classes(answers: Iterable[str], more_than: int = 8) -> tuple[str, ...]:
    """The answers that occur more than `more_than` times, once normalised, in the order of first use.

    `answers` are each question's most frequent one. Eight is the public codes' bound; it leaves 3,129 of VQA-v2's.
    """
    found = collections.Counter(map(_class_text, answers))
    return tuple(text for text, count in found.items() if count > more_than)


def summary(scores: Sequence[float], answer_types: Sequence[str], question_types: Sequence[str]) -> VqaScores:
    """Means of the questions' accuracies (0 to 1), over all and by type; InputError where there is no question."""
    if not scores:
        raise InputError("there are no questions to take the mean accuracy of")
    return VqaScores(
        overall=_percent(scores),
        by_answer_type=_by_type(scores, answer_types),
        by_question_type=_by_type(scores, question_types),
    )


def _by_type(scores: Sequence[float], types: Sequence[str]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for score, kind in zip(scores, types, strict=True):
        found.setdefault(kind, []).append(score)
    return {kind: _percent(of_kind) for kind, of_kind in sorted(found.items())}


def _percent(scores: Sequence[float]) -> float:
    return round(100 * Accuracy.of(scores).value, 2)


def _check_variant(variant: str) -> None:
    if variant not in VARIANTS:
        raise UsageError(f"unknown variant {variant!r} of VQA accuracy; there are {', '.join(VARIANTS)}")


def _compared_answers(answers: Sequence[str], variant: str) -> tuple[bool, collections.Counter[str]]:
    """Whether all people gave the same answer, and how many gave each, as the variant compares them."""
    given = list(map(on_one_line, answers)) if variant == OFFICIAL else answers
    if are_equal := len(set(given)) == 1:
        return are_equal, collections.Counter(given)
    normalised = _evaluation_text if variant == OFFICIAL else _text_without_punctuation
    return are_equal, collections.Counter(map(normalised, given))


def _compared_prediction(prediction: str, variant: str, *, are_equal: bool) -> str:
    return on_one_line(prediction) if variant == OFFICIAL and are_equal else evaluation_text(prediction)


def _ids_by_text(texts: Iterable[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for class_id, text in enumerate(texts):
        found.setdefault(text, []).append(class_id)
    return found


# The same few answers come again and again: VQA-v2's millions hold some hundred thousand different ones.
_class_text = functools.lru_cache(maxsize=1 << 17)(class_text)
_text_without_punctuation = functools.lru_cache(maxsize=1 << 17)(without_punctuation)
_evaluation_text = functools.lru_cache(maxsize=1 << 17)(evaluation_text)
