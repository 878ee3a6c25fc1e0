"""A split of labelled examples, texts or pictures, which become inputs when they are asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bstsearch.errors import InputError
from bstsearch.formats.labelled import Labelled
from bstsearch.formats.read_ahead import read_ahead
from bstsearch.inputs.pictures import decoded_rgb, open_rgb
from bstsearch.inputs.reader import Pictures, picture_inputs
from bstsearch.score import Accuracy
from bstsearch.tasks.class_names import class_ids
from bstsearch.tasks.classes import ClassSplit
from bstsearch.tasks.task import Batch
from bstsearch.tasks.text_split import near_in_length

if TYPE_CHECKING:
    from PIL import Image


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelledSplit(ClassSplit):
    """The examples of a part, and their classes (N,) by their places in `names`, where they are known.

    `read` makes an example ready, and is told where it stands; `inputs` are what the model reads of several.
    `lengths` (N,), where they are given, say how long each is: batches to train on hold some that are about as long.
    """

    part: Labelled
    names: tuple[str, ...]
    targets: Tensor | None
    read: Callable[[Any, str], Any]
    inputs: Callable[[Sequence[Any]], dict[str, Tensor]]
    lengths: Tensor | None = None

    @property
    def has_targets(self) -> bool:
        """As `Split.has_targets`."""
        return self.targets is not None

    def __len__(self) -> int:
        return len(self.part)

    def batches(self, size: int, order: Tensor | None = None) -> Iterator[Batch]:
        """As `Split.batches`."""
        rows = torch.arange(len(self)) if order is None else order
        parts = torch.split(rows, size)
        for part, examples in zip(parts, read_ahead(self._example, (part.tolist() for part in parts)), strict=True):
            targets = None if self.targets is None else self.targets[part]
            yield Batch(inputs=self.inputs(examples), targets=targets)

    def grouped(self, order: Tensor, size: int) -> Tensor:
        """As `Split.grouped`."""
        return order if self.lengths is None else near_in_length(order, size, self.lengths)

    def score(self, kept: Tensor) -> Accuracy:
        """The share of examples whose likeliest class is theirs."""
        self.check_scorable()
        assert self.targets is not None
        return Accuracy(correct=int(torch.eq(kept, self.targets).sum()), total=len(self))

    def values(self, kept: Tensor) -> Tensor | None:
        """1 for each example whose likeliest class is its own, else 0."""
        return None if self.targets is None else torch.eq(kept, self.targets).double()

    def details(self, kept: Tensor) -> dict[str, float]:
        """The mean over the classes of the accuracy on each."""
        if self.targets is None:
            return {}
        counts = torch.bincount(self.targets, minlength=len(self.names))
        right = torch.bincount(self.targets[kept == self.targets], minlength=len(self.names))
        return {"mean of classes": 100 * float((right[counts > 0] / counts[counts > 0]).mean())}

    def results(self, kept: Tensor) -> list[dict[str, Any]]:
        """Which example it is, and the name of its likeliest class."""
        return [
            {"example": row, "label": self.names[index]}
            for row, index in zip(self.part.rows, kept.tolist(), strict=True)
        ]

    def _example(self, row: int) -> Any:
        return self.read(self.part.examples[row], f"{self.part.where}, {self.part.rows[row]}")


def of_texts(
    part: Labelled, names: tuple[str, ...], inputs: Callable[[Sequence[str]], dict[str, Tensor]]
) -> LabelledSplit:
    """The split of these texts; InputError where a label is none of the classes."""
    lengths = torch.tensor([len(text) for text in part.examples])
    return LabelledSplit(
        part=part, names=names, targets=_targets(part, names), read=_itself, inputs=inputs, lengths=lengths
    )


def of_pictures(part: Labelled, names: tuple[str, ...], pictures: Pictures) -> LabelledSplit:
    """The split of these pictures, which are opened when they are asked for; InputError as of `of_texts`."""

    def inputs(found: Sequence[NDArray[Any]]) -> dict[str, Tensor]:
        return picture_inputs(pictures, torch.from_numpy(np.stack(found)))

    def read(found: object, where: str) -> NDArray[Any]:
        return pictures.pixels(_picture(found, where))

    return LabelledSplit(part=part, names=names, targets=_targets(part, names), read=read, inputs=inputs)


def _itself(text: str, _where: str) -> str:
    return text


def _picture(found: object, where: str) -> Image.Image:
    if isinstance(found, Path):
        return open_rgb(found)
    if isinstance(found, bytes):
        return decoded_rgb(found, where)
    raise InputError(f"{where}: expected a picture, got a {type(found).__name__}")


def _targets(part: Labelled, names: Sequence[str]) -> Tensor | None:
    found = class_ids(part, names)
    return None if found is None else torch.from_numpy(found)
