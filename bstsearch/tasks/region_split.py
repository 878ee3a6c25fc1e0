"""Questions in compact columns, and the regions of their images read from disk as they are needed."""

from __future__ import annotations

import dataclasses
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bstsearch.errors import InputError
from bstsearch.formats.read_ahead import read_ahead
from bstsearch.formats.region_files import Regions, RegionSource
from bstsearch.score import Accuracy
from bstsearch.tasks.classes import ClassSplit
from bstsearch.tasks.task import Batch


@dataclasses.dataclass(frozen=True, kw_only=True)
class SparseRows:
    """A number between 0 and 1 for a few classes of each row: those of row i lie at offsets[i] to offsets[i + 1]."""

    offsets: NDArray[np.int64]
    classes: NDArray[np.int32]
    values: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Iterable[Mapping[int, float]]) -> SparseRows:
        """The rows given as class -> number; read once, and not kept."""
        # Arrays of numbers, not lists of objects: a data set has some two million of them.
        offsets, classes, values = array("q", [0]), array("i"), array("d")
        for row in rows:
            classes.extend(row.keys())
            values.extend(row.values())
            offsets.append(len(classes))
        return cls(
            offsets=np.array(offsets), classes=np.array(classes, dtype=np.int32), values=np.array(values, np.float64)
        )

    def dense(self, rows: NDArray[np.int64], classes: int) -> Tensor:
        """These rows in full (len(rows), classes), in float32, which models compute with."""
        table = torch.zeros(len(rows), classes)
        for place, row in enumerate(rows):
            part = slice(self.offsets[row], self.offsets[row + 1])
            table[place, torch.from_numpy(self.classes[part]).long()] = torch.from_numpy(self.values[part]).float()
        return table

    def at(self, predicted: NDArray[np.int64]) -> NDArray[np.float64]:
        """The number of one class of each row; 0 where it has none."""
        row_of = np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))
        is_hit = self.classes == predicted[row_of]
        hits = np.bincount(row_of[is_hit], self.values[is_hit], minlength=len(predicted))
        return hits.astype(np.float64)  # with no hit at all, numpy makes them whole numbers


@dataclasses.dataclass(frozen=True, kw_only=True)
class Columns:
    """Token ids (N, T), the place of each question's image in `images`, and what is right.

    `answers` are class ids (N,), -100 where no class is right, or a target for each class.
    """

    tokens: NDArray[np.int32]
    image_of: NDArray[np.int32]
    images: Sequence[str]
    answers: NDArray[np.int64] | SparseRows


class Judge(Protocol):
    """A data set's own metric on one of its parts; see `Split` for what each returns."""

    @property
    def has_answers(self) -> bool:
        """Whether the right answers are known."""

    def check_scorable(self) -> None:
        """Passes where they are; else InputError."""

    def score(self, predicted: NDArray[np.int64]) -> Accuracy:
        """The accuracy of these class ids."""

    def values(self, predicted: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """What each of these class ids is worth; None where the accuracy is no mean over all of them."""

    def details(self, predicted: NDArray[np.int64]) -> dict[str, float]:
        """Further figures, in percent."""

    def results(self, predicted: NDArray[np.int64]) -> list[dict[str, Any]]:
        """As the evaluation server takes them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegionSplit(ClassSplit):
    """A `Split` whose memory holds questions only; `like` are the model's example inputs."""

    columns: Columns
    source: RegionSource
    judge: Judge
    classes: int
    like: Mapping[str, Tensor]

    def __post_init__(self) -> None:
        if "regions" not in self.like:
            raise InputError(f"this data set has region features, but the model reads {', '.join(self.like)}")
        if missing := self.source.first_missing(self.columns.images):
            raise InputError(f"{missing}, but questions are about it; copy it, or leave those questions out")

    @property
    def has_targets(self) -> bool:
        """As `Split.has_targets`."""
        return self.judge.has_answers

    def check_scorable(self) -> None:
        """As `Split.check_scorable`."""
        self.judge.check_scorable()

    def __len__(self) -> int:
        return len(self.columns.tokens)

    def batches(self, size: int, order: Tensor | None = None) -> Iterator[Batch]:
        """As `Split.batches`; the next batches' images are read while one is in use."""
        rows = np.arange(len(self)) if order is None else order.numpy()
        parts = [rows[start : start + size] for start in range(0, len(rows), size)]
        images = [list(dict.fromkeys(self.columns.image_of[part].tolist())) for part in parts]
        for part, places, regions in zip(parts, images, read_ahead(self._regions, images), strict=True):
            yield self._batch(part, dict(zip(places, regions, strict=True)))

    def score(self, kept: Tensor) -> Accuracy:
        """As `Split.score`."""
        return self.judge.score(kept.numpy())

    def values(self, kept: Tensor) -> Tensor | None:
        """As `Split.values`."""
        values = self.judge.values(kept.numpy())
        return None if values is None else torch.from_numpy(values)

    def details(self, kept: Tensor) -> dict[str, float]:
        """As `Split.details`."""
        return self.judge.details(kept.numpy())

    def results(self, kept: Tensor) -> list[dict[str, Any]]:
        """As `Split.results`."""
        return self.judge.results(kept.numpy())

    def _regions(self, image: int) -> Regions:
        return self.source.regions(self.columns.images[image])

    def _batch(self, rows: NDArray[np.int64], regions: Mapping[int, Regions]) -> Batch:
        of_rows = [regions[image] for image in self.columns.image_of[rows].tolist()]
        inputs = {"question": torch.from_numpy(self.columns.tokens[rows].astype(np.int64))}
        inputs["regions"] = _padded([one.features for one in of_rows], self.like["regions"])
        if "boxes" in self.like:
            numbers = int(self.like["boxes"].shape[2])
            inputs["boxes"] = _padded([with_sizes(one.boxes)[:, :numbers] for one in of_rows], self.like["boxes"])
        answers = self.columns.answers
        if isinstance(answers, SparseRows):
            return Batch(inputs=inputs, targets=answers.dense(rows, self.classes))
        return Batch(inputs=inputs, targets=torch.from_numpy(answers[rows]))


def with_sizes(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Boxes (n, 4), or with their stored width and height (n, 6), with width, height and area behind (n, 7)."""
    size = boxes[:, 4:] if boxes.shape[1] == 6 else boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([boxes[:, :4], size, size[:, :1] * size[:, 1:]], 1)


def _padded(arrays: Sequence[NDArray[np.float32]], like: Tensor) -> Tensor:
    """The arrays (n, C) one below the other (B, V, C), cut at V rows, or with rows of zeros behind."""
    rows, columns = like.shape[1:]
    table = np.zeros((len(arrays), rows, columns), dtype=np.float32)
    for place, one in zip(table, arrays, strict=True):
        place[: len(one)] = one[:rows]
    return torch.from_numpy(table)
