"""Questions about pictures, answered by one of a list of answers: what such tasks have in common."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch

from bstsearch.errors import InputError
from bstsearch.reading import shown
from bstsearch.tasks.classes import ClassTask
from bstsearch.tasks.task import Batch
from bstsearch.tasks.vocabulary import FILE, PAD, Vocabulary


class VqaTask(ClassTask):
    """A task with a vocabulary, which says how questions become token ids and answers classes.

    A subclass says how the vocabulary of a new model is made, and how its splits are read. Inputs hold token ids
    "question" (B, T); outputs are logits of the answers.
    """

    def __init__(self, vocabulary: Vocabulary, data_dir: Path | None = None) -> None:
        self.vocabulary, self.data_dir = vocabulary, data_dir

    @classmethod
    @abc.abstractmethod
    def build_vocabulary(cls, data_dir: Path | None) -> Vocabulary:
        """The words and answers of the data set, as a new model is trained on them."""

    @classmethod
    def build(cls, data_dir: Path | None) -> Self:
        """As `Task.build`, with a new vocabulary."""
        return cls(cls.build_vocabulary(data_dir), data_dir)

    @classmethod
    def load(cls, saved: Path, data_dir: Path | None) -> Self:
        """As `Task.load`, with the model's own vocabulary, where it has one."""
        return cls(Vocabulary.load(saved), data_dir) if has_vocabulary(saved) else cls.build(data_dir)

    def save(self, folder: Path) -> None:
        """Writes `vocabulary.json`."""
        self.vocabulary.save(folder)

    def sizes(self) -> dict[str, int]:
        """How many token ids and answers there are, and how long a question is."""
        words = self.vocabulary
        return {"vocab": words.size, "answers": len(words.answers), "question_length": words.question_length}

    @property
    def classes(self) -> tuple[str, ...]:
        """The answers."""
        return self.vocabulary.answers

    def augmented(self, batch: Batch, rate: float) -> Batch:
        """`batch` with that share of its words replaced by the unknown word, where the vocabulary has one.

        Questions that a model's own processor has read stay as they are.
        """
        unknown = self.vocabulary.unknown_id
        if unknown is None or "question" not in batch.inputs:
            return batch
        question = batch.inputs["question"]
        is_forgotten = (torch.rand(question.shape) < rate) & (question != PAD)
        inputs = {**batch.inputs, "question": question.masked_fill(is_forgotten, unknown)}
        return Batch(inputs=inputs, targets=batch.targets)


def are_answered(questions: Sequence[int | str], is_answered: Sequence[bool], where: Path | str) -> bool:
    """Whether the right answers are known, of all questions or of none; InputError names the first that lacks them."""
    if any(is_answered) and not all(is_answered):
        first = questions[is_answered.index(False)]
        raise InputError(f"{where}: question {shown(first)} has no answer, but others have; copy it again")
    return any(is_answered)


def check_known(is_any: bool, answers: int, where: Path | str) -> None:
    """Passes where any right answer is among a model's `answers`; else InputError: no prediction could be right."""
    if not is_any:
        raise InputError(f"{where}: no answer is among the vocabulary's {answers:,}; is it another data set's?")


def check_answered(has_answers: bool, where: Path | str) -> None:
    """Passes where the right answers are known, so that there is a score; else InputError."""
    if not has_answers:
        raise InputError(f"{where}: without answers, so without a score; write the model's answers with --results")


def has_vocabulary(folder: Path) -> bool:
    """Whether a model's folder has words and answers."""
    return (folder / FILE).exists()
