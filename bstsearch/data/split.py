"""A part of a data set, held in memory and read in batches."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
    """Model inputs by name, and the right answers (B,) as class ids."""

    inputs: dict[str, Tensor]
    answers: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`."""
        inputs = {name: tensor.to(device) for name, tensor in self.inputs.items()}
        return Batch(inputs=inputs, answers=self.answers.to(device))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Split:
    """Questions (N, T), the image each is about (N,), images (M, S, S, 3) and answers (N,)."""

    questions: Tensor
    image_of: Tensor
    images: Tensor
    answers: Tensor

    def __len__(self) -> int:
        return len(self.questions)

    def batches(self, size: int, order: Tensor | None = None) -> Iterator[Batch]:
        """Batches of `size` in the given order (default: as stored); the last one may be smaller."""
        rows = torch.arange(len(self)) if order is None else order
        for part in torch.split(rows, size):
            inputs = {"question": self.questions[part], "image": self.images[self.image_of[part]]}
            yield Batch(inputs=inputs, answers=self.answers[part])

    def head(self, count: int) -> Split:
        """The first `count` questions."""
        return dataclasses.replace(
            self,
            questions=self.questions[:count],
            image_of=self.image_of[:count],
            answers=self.answers[:count],
        )
