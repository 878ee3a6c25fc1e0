"""Questions held in memory, about picture files that are read as they are needed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bstsearch.formats.read_ahead import read_ahead
from bstsearch.inputs.pictures import open_rgb
from bstsearch.inputs.reader import Pictures, picture_inputs
from bstsearch.score import Accuracy
from bstsearch.tasks.classes import ClassSplit
from bstsearch.tasks.soft_labels import SoftJudge
from bstsearch.tasks.task import Batch


@dataclasses.dataclass(frozen=True, kw_only=True)
class PictureSplit(ClassSplit):
    """The inputs that hold questions in memory (N, T; int32), images read when they are asked for.

    For a model that reads lying and standing images the first `lying` questions are about those wider than high.
    """

    questions: Mapping[str, Tensor]
    paths: Sequence[Path]
    lying: int
    judge: SoftJudge
    picture: Pictures

    @property
    def has_targets(self) -> bool:
        """As `Split.has_targets`."""
        return self.judge.has_answers

    def check_scorable(self) -> None:
        """As `Split.check_scorable`."""
        self.judge.check_scorable()

    def __len__(self) -> int:
        return len(self.paths)

    def batches(self, size: int, order: Tensor | None = None) -> Iterator[Batch]:
        """As `Split.batches`; targets are the worth of each class.

        As stored, a batch has images of one orientation. In another order one may have both, which are then
        framed to a common size (`grouped` gives an order in which few have).
        """
        if order is None:
            parts = [part for rows in self.alike(torch.arange(len(self))) for part in torch.split(rows, size)]
        else:
            parts = list(torch.split(order, size))
        for rows, images in zip(parts, read_ahead(self._image, (part.tolist() for part in parts)), strict=True):
            asked = {name: ids[rows].long() for name, ids in self.questions.items()}
            inputs = {**asked, **picture_inputs(self.picture, framed(images))}
            yield Batch(inputs=inputs, targets=self.judge.worths.dense(rows.numpy(), len(self.judge.names)))

    def alike(self, rows: Tensor) -> Sequence[Tensor]:
        """As `Split.alike`: lying images, then standing ones."""
        return [group for group in (rows[rows < self.lying], rows[rows >= self.lying]) if len(group)]

    def grouped(self, order: Tensor, size: int) -> Tensor:
        """As `Split.grouped`: at most one of the batches of `size` has images of both orientations.

        A batch stands where its last question stood; what fills no batch comes last.
        """
        places = torch.arange(len(order))
        groups = [places[order < self.lying], places[order >= self.lying]]
        whole = [part for group in groups for part in torch.split(group, size) if len(part) == size]
        whole.sort(key=lambda part: int(part[-1]))
        rest = [group[len(group) // size * size :] for group in groups]
        return order[torch.cat([*whole, *rest])]

    def score(self, kept: Tensor) -> Accuracy:
        """What the predicted answers are worth."""
        return self.judge.score(kept.numpy())

    def values(self, kept: Tensor) -> Tensor:
        """What each answer is worth."""
        return torch.from_numpy(self.judge.values(kept.numpy()))

    def details(self, kept: Tensor) -> dict[str, float]:
        """As `Split.details`."""
        return self.judge.details(kept.numpy())

    def results(self, kept: Tensor) -> list[dict[str, Any]]:
        """As `Split.results`."""
        return self.judge.results(kept.numpy())

    def _image(self, row: int) -> Tensor:
        return torch.from_numpy(self.picture.pixels(open_rgb(self.paths[row])).copy())


def in_memory(texts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inputs that hold questions as a split of many keeps them: in half the memory."""
    return {name: ids.int() for name, ids in texts.items()}


def framed(images: list[Tensor]) -> Tensor:
    """Images (H, W, 3) in one tensor; where their sizes differ, each in the middle of the largest height and width.

    Only lying and standing ones differ. The frame is black, as is the one that they have already.
    """
    if len({image.shape for image in images}) == 1:
        return torch.stack(images)
    height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
    canvas = torch.zeros(len(images), height, width, 3, dtype=torch.uint8)
    for index, image in enumerate(images):
        top, left = (height - image.shape[0]) // 2, (width - image.shape[1]) // 2
        canvas[index, top : top + image.shape[0], left : left + image.shape[1]] = image
    return canvas
