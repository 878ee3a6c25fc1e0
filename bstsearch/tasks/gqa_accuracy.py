"""GQA's accuracy and its break-downs (no torch).

The evaluation that comes with the data set (Hudson and Manning, 2019; file eval.py). Answers are right where they are
the same string; only balanced questions count. Validity, plausibility, consistency and grounding need more files than
questions and predictions; they are left out.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from bstsearch.errors import InputError

OPEN = "query"  # the structural type of open questions; all others can be answered from the question
NO_STEPS = ("exist", "query: name", "choose name")  # parts of a question's program that are not counted as steps

Kind = TypeVar("Kind", str, int)


class Step(msgspec.Struct, frozen=True):
    """A part of a question's program."""

    operation: str
    argument: str


class Types(msgspec.Struct, frozen=True):
    """What kind of question it is."""

    structural: str
    semantic: str


class Groups(msgspec.Struct, frozen=True):
    """The questions that share their answers with it, by name."""

    shared: str | None = msgspec.field(default=None, name="global")


class Record(msgspec.Struct, frozen=True, rename="camel"):
    """What the evaluation reads of a question in a question file."""

    question: str
    answer: str
    is_balanced: bool
    types: Types
    groups: Groups
    semantic: list[Step]


@dataclasses.dataclass(frozen=True, kw_only=True)
class GqaQuestion:
    """What the evaluation asks of a question: its right answer, and the kinds by which accuracy is reported.

    `words` and `steps` are numbers of words and of reasoning steps; `group` names those that share their answers.
    """

    id: str
    answer: str
    is_balanced: bool
    structural: str
    semantic: str
    words: int
    steps: int
    group: str | None

    @classmethod
    def of(cls, id: str, record: Record) -> GqaQuestion:  # noqa: A002 (the data set's name for it)
        """The question under the key `id` of a question file."""
        return cls(
            id=id,
            answer=record.answer,
            is_balanced=record.is_balanced,
            structural=record.types.structural,
            semantic=record.types.semantic,
            words=len(record.question.split()),
            steps=steps_of(record.semantic),
            group=record.groups.shared,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class GqaScores:
    """Percentages; `by_...` hold the percentage and the number of questions of each kind.

    `distribution` is how far the predictions' frequencies lie from the answers' (chi-square; lower is better).
    """

    accuracy: float
    binary: float
    open: float
    distribution: float
    by_structural: Mapping[str, tuple[float, int]]
    by_semantic: Mapping[str, tuple[float, int]]
    by_words: Mapping[int, tuple[float, int]]
    by_steps: Mapping[int, tuple[float, int]]


def steps_of(program: Iterable[Step]) -> int:
    """How many reasoning steps a question's program has.

    >>> steps_of([Step(operation="select", argument="dog (1)"), Step(operation="query", argument="name")])
    1
    """
    parts = [f"{part.operation}: {part.argument}" for part in program]
    return sum(not any(name in part for name in NO_STEPS) for part in parts)


def gqa_scores(questions: Iterable[GqaQuestion], predictions: Mapping[str, str]) -> GqaScores:
    """The scores of `predictions` (answers by question id); InputError where one is missing or no question counts."""
    counted = [(question, _prediction(question, predictions)) for question in questions if question.is_balanced]
    if not counted:
        raise InputError("there is no balanced question, and only those count; is this the question file of the split?")
    rights = [(question, predicted == question.answer) for question, predicted in counted]
    return GqaScores(
        accuracy=_percent([right for _, right in rights]),
        binary=_percent([right for question, right in rights if question.structural != OPEN]),
        open=_percent([right for question, right in rights if question.structural == OPEN]),
        distribution=_distribution(counted),
        by_structural=_by_kind((question.structural, right) for question, right in rights),
        by_semantic=_by_kind((question.semantic, right) for question, right in rights),
        by_words=_by_kind((question.words, right) for question, right in rights),
        by_steps=_by_kind((question.steps, right) for question, right in rights),
    )


def _prediction(question: GqaQuestion, predictions: Mapping[str, str]) -> str:
    try:
        return predictions[question.id]
    except KeyError:
        raise InputError(
            f"there is no prediction for GQA question {question.id!r}; every balanced question needs one"
        ) from None


def _percent(rights: Sequence[bool]) -> float:
    """The share of right answers, in percent; of no questions it is 0, as in the data set's own evaluation."""
    return 100 * (sum(rights) / len(rights)) if rights else 0.0


def _by_kind(rights: Iterable[tuple[Kind, bool]]) -> dict[Kind, tuple[float, int]]:
    found: dict[Kind, list[bool]] = {}
    for kind, right in rights:
        found.setdefault(kind, []).append(right)
    return {kind: (_percent(of_kind), len(of_kind)) for kind, of_kind in sorted(found.items())}


def _distribution(counted: Iterable[tuple[GqaQuestion, str]]) -> float:
    """Chi-square of the predictions within each group, against the answers that occur; groups weigh by their size."""
    answered: dict[str, collections.Counter[str]] = {}
    predicted: dict[str, collections.Counter[str]] = {}
    for question, prediction in counted:
        if question.group is not None:
            answered.setdefault(question.group, collections.Counter())[question.answer] += 1
            predicted.setdefault(question.group, collections.Counter())[prediction] += 1
    total = sum(count.total() for count in answered.values())
    distance = sum(
        count.total() * sum((predicted[group][answer] - expected) ** 2 / expected for answer, expected in count.items())
        for group, count in answered.items()
    )
    return distance / total / 100 if total else 0.0
