"""A part of a data set: read in batches, and able to say how good predictions for it are."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from bstsearch.errors import InputError
from bstsearch.inputs.clip_images import clip_normalised
from bstsearch.score import Accuracy


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
    """Model inputs by name, and what is right: class ids (B,), or a target between 0 and 1 per class (B, A)."""

    inputs: dict[str, Tensor]
    answers: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`."""
        inputs = {name: tensor.to(device) for name, tensor in self.inputs.items()}
        return Batch(inputs=inputs, answers=self.answers.to(device))

    def hits(self, logits_BA: Tensor) -> Tensor:
        """How right the most likely class of each row is (B,): 0 or 1, or its target."""
        predicted_B = logits_BA.argmax(-1)
        if self.answers.ndim == 1:
            return (predicted_B == self.answers).float()
        return self.answers.gather(1, predicted_B[:, None])[:, 0]


class Split(Protocol):
    """What training and scoring ask of a part of a data set, wherever its questions and images lie.

    Rows are numbered in the order in which they are stored; `predicted` holds one class id per row.
    """

    @property
    def has_answers(self) -> bool:
        """Whether the right answers are known, so that predictions can be scored."""

    def __len__(self) -> int:
        """How many questions there are."""

    def batches(self, size: int, order: Tensor | None = None) -> Iterator[Batch]:
        """Batches of `size` in the given order (default: as stored); the last one may be smaller."""

    def grouped(self, order: Tensor, size: int) -> Tensor:  # noqa: ARG002
        """`order`, rearranged where batches of `size` would otherwise hold inputs of several shapes."""
        return order

    def first_lesson(self) -> Tensor:
        """The rows to begin with where training goes from simple to hard questions; all, where none are simpler."""
        return torch.arange(len(self))

    def score(self, predicted: Tensor) -> Accuracy:
        """The data set's own accuracy of these class ids (N,); InputError where the split has no answers."""

    def details(self, predicted: Tensor) -> Mapping[str, float]:
        """Further figures of the data set's own metric, in percent, by name; empty where it has none."""

    def results(self, predicted: Tensor) -> list[dict[str, Any]]:
        """The predictions as the data set's evaluation server takes them."""


def image_kind(like: Mapping[str, Tensor] | None, default_side: int) -> tuple[int, bool]:
    """The side of the square images that a model reads, and whether it reads them as CLIP does.

    InputError where the model `like` reads no images.
    """
    if like is None:
        return default_side, False
    if "image" not in like:
        raise InputError(f"this data set has images, but the model reads {', '.join(like)}")
    return int(like["image"].shape[2]), like["image"].is_floating_point()


@dataclasses.dataclass(frozen=True, kw_only=True)
class MemorySplit(Split, abc.ABC):
    """Held in memory: questions (N, T), the image each is about (N,), answers (N,).

    `kinds`, where given, names the kind of each question (N); accuracy is then reported for each kind, too, and
    training may begin with the `simplest`. `names` are the answers by class id.
    """

    questions: Tensor
    image_of: Tensor
    answers: Tensor
    names: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    simplest: str = ""
    has_answers: bool = True

    @abc.abstractmethod
    def seen(self, images: Tensor) -> dict[str, Tensor]:
        """What the model reads of these images (B,)."""

    def __len__(self) -> int:
        return len(self.questions)

    def batches(self, size: int, order: Tensor | None = None) -> Iterator[Batch]:
        """As `Split.batches`."""
        rows = torch.arange(len(self)) if order is None else order
        for part in torch.split(rows, size):
            inputs = {"question": self.questions[part], **self.seen(self.image_of[part])}
            yield Batch(inputs=inputs, answers=self.answers[part])

    def first_lesson(self) -> Tensor:
        """As `Split.first_lesson`."""
        rows = [row for row, kind in enumerate(self.kinds) if kind == self.simplest]
        return torch.tensor(rows) if rows else super().first_lesson()

    def score(self, predicted: Tensor) -> Accuracy:
        """The share of right answers."""
        return Accuracy(correct=int((predicted == self.answers).sum()), total=len(self))

    def details(self, predicted: Tensor) -> dict[str, float]:
        """The accuracy of each kind of question."""
        is_right = (predicted == self.answers).tolist()
        by_kind: dict[str, list[bool]] = {}
        for kind, right in zip(self.kinds, is_right, strict=False):
            by_kind.setdefault(kind, []).append(right)
        return {kind: 100 * sum(rights) / len(rights) for kind, rights in sorted(by_kind.items())}

    def results(self, predicted: Tensor) -> list[dict[str, Any]]:
        """Row number and answer, under VQA-v2's names."""
        return [{"question_id": row, "answer": self.names[index]} for row, index in enumerate(predicted.tolist())]

    def head(self, count: int) -> Self:
        """The first `count` questions."""
        return dataclasses.replace(
            self,
            questions=self.questions[:count],
            image_of=self.image_of[:count],
            answers=self.answers[:count],
            kinds=self.kinds[:count],
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageSplit(MemorySplit):
    """Images (M, S, S, 3); where `is_clip_normalised`, handed out as CLIP reads them, (B, 3, S, S) in float32."""

    images: Tensor
    is_clip_normalised: bool = False

    def seen(self, images: Tensor) -> dict[str, Tensor]:
        """The images themselves."""
        found = self.images[images]
        return {"image": clip_normalised(found) if self.is_clip_normalised else found}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObjectSplit(MemorySplit):
    """The objects of each image, as a detector would find them: features (M, V, F) and boxes (M, V, 4)."""

    regions: Tensor
    boxes: Tensor

    def seen(self, images: Tensor) -> dict[str, Tensor]:
        """The objects."""
        return {"regions": self.regions[images], "boxes": self.boxes[images]}
