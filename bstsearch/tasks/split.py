"""Splits of questions that are held in memory, with pictures or with what a detector finds in them."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Self

import torch
from torch import Tensor

from bstsearch.inputs.reader import Pictures, picture_inputs
from bstsearch.score import Accuracy
from bstsearch.tasks.classes import ClassSplit
from bstsearch.tasks.task import Batch


@dataclasses.dataclass(frozen=True, kw_only=True)
class MemorySplit(ClassSplit):
    """Held in memory: the inputs that hold questions (N, T), the image each is about (N,), answers (N,).

    `kinds`, where given, names the kind of each question (N); accuracy is then reported for each kind, too, and
    training may begin with the `simplest`. `names` are the answers by class id.
    """

    questions: Mapping[str, Tensor]
    image_of: Tensor
    answers: Tensor
    names: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    simplest: str = ""

    @abc.abstractmethod
    def seen(self, images: Tensor) -> dict[str, Tensor]:
        """What the model reads of these images (B,)."""

    def __len__(self) -> int:
        return len(self.answers)

    def batches(self, size: int, order: Tensor | None = None) -> Iterator[Batch]:
        """As `Split.batches`."""
        rows = torch.arange(len(self)) if order is None else order
        for part in torch.split(rows, size):
            asked = {name: ids[part] for name, ids in self.questions.items()}
            inputs = {**asked, **self.seen(self.image_of[part])}
            yield Batch(inputs=inputs, targets=self.answers[part])

    def first_lesson(self) -> Tensor:
        """As `Split.first_lesson`."""
        rows = [row for row, kind in enumerate(self.kinds) if kind == self.simplest]
        return torch.tensor(rows) if rows else super().first_lesson()

    def score(self, kept: Tensor) -> Accuracy:
        """The share of right answers."""
        return Accuracy(correct=int((kept == self.answers).sum()), total=len(self))

    def values(self, kept: Tensor) -> Tensor:
        """1 for each right answer, else 0."""
        return (kept == self.answers).double()

    def details(self, kept: Tensor) -> dict[str, float]:
        """The accuracy of each kind of question."""
        is_right = (kept == self.answers).tolist()
        by_kind: dict[str, list[bool]] = {}
        for kind, right in zip(self.kinds, is_right, strict=False):
            by_kind.setdefault(kind, []).append(right)
        return {kind: 100 * sum(rights) / len(rights) for kind, rights in sorted(by_kind.items())}

    def results(self, kept: Tensor) -> list[dict[str, Any]]:
        """Row number and answer, under VQA-v2's names."""
        return [{"question_id": row, "answer": self.names[index]} for row, index in enumerate(kept.tolist())]

    def head(self, count: int) -> Self:
        """The first `count` questions."""
        return dataclasses.replace(
            self,
            questions={name: ids[:count] for name, ids in self.questions.items()},
            image_of=self.image_of[:count],
            answers=self.answers[:count],
            kinds=self.kinds[:count],
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageSplit(MemorySplit):
    """Images (M, ...), each as `picture` keeps it, handed out as it says that the model reads them."""

    images: Tensor
    picture: Pictures

    def seen(self, images: Tensor) -> dict[str, Tensor]:
        """The images themselves."""
        return picture_inputs(self.picture, self.images[images])


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObjectSplit(MemorySplit):
    """The objects of each image, as a detector would find them: features (M, V, F) and boxes (M, V, 4)."""

    regions: Tensor
    boxes: Tensor

    def seen(self, images: Tensor) -> dict[str, Tensor]:
        """The objects."""
        return {"regions": self.regions[images], "boxes": self.boxes[images]}
