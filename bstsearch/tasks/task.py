"""What training, search, evaluation and exports ask of data: a task, its splits, and their batches.

A task of one's own is a subclass of `Task` (or of `bstsearch.tasks.vqa.VqaTask`, for questions about pictures), named
as `--data path/file.py:NAME` or offered by the entry point group "bstsearch.tasks" of an installed package.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from bstsearch.errors import InputError
from bstsearch.inputs.reader import Reader
from bstsearch.model.family import Config
from bstsearch.score import ACCURACY, Metric, Score


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
    """Model inputs by name, and their targets; None where these are not known."""

    inputs: dict[str, Tensor]
    targets: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`."""
        inputs = {name: tensor.to(device) for name, tensor in self.inputs.items()}
        return Batch(inputs=inputs, targets=None if self.targets is None else self.targets.to(device))


class Split(abc.ABC):
    """A part of a data set, read in batches, and able to say how good outputs for it are.

    Rows are numbered in the order in which they are stored. `kept` below is what `kept` returned for all rows, in
    that order.
    """

    @property
    def has_targets(self) -> bool:
        """Whether the targets are known, so that a model can be trained on them and its outputs scored."""
        return True

    def check_scorable(self) -> None:
        """Passes where outputs can be scored; else InputError."""
        if not self.has_targets:
            raise InputError("these data come without targets, so there is no score; give others with --split")

    @abc.abstractmethod
    def __len__(self) -> int:
        """How many rows there are."""

    @abc.abstractmethod
    def batches(self, size: int, order: Tensor | None = None) -> Iterator[Batch]:
        """Batches of `size` rows in the given order (default: as stored); the last one may be smaller."""

    @abc.abstractmethod
    def score(self, kept: Tensor) -> Score:
        """The score of a model's outputs for all rows (N, ...); InputError where the split has no targets."""

    def kept(self, outputs: Tensor, targets: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """What `score` needs of a batch's outputs (B, ...): all of them, or less, such as the likeliest class (B,)."""
        return outputs

    def values(self, kept: Tensor) -> Tensor | None:  # noqa: ARG002
        """What each row's output is worth, or costs (N,), in the metric's unit; None for a score that is no such mean.

        Their mean is the score. With them a submodel that falls behind is dropped before all rows are scored; rows of
        `kept` that are not known yet are then zeros, and what comes back for them is not read.
        """
        return None

    def alike(self, rows: Tensor) -> Sequence[Tensor]:
        """`rows`, which ascend, in groups in each of which inputs have one shape; one group by default."""
        return (rows,)

    def right(self, outputs: Tensor, targets: Tensor) -> Tensor | None:  # noqa: ARG002
        """A number per row (B,), in the metric's unit, whose running mean training shows; None for nothing to show."""
        return None

    def grouped(self, order: Tensor, size: int) -> Tensor:  # noqa: ARG002
        """`order`, rearranged where batches of `size` would otherwise hold inputs of several shapes."""
        return order

    def first_lesson(self) -> Tensor:
        """The rows to begin with where training goes from simple to hard; all, where none are simpler."""
        return torch.arange(len(self))

    def details(self, kept: Tensor) -> Mapping[str, float]:  # noqa: ARG002
        """Further figures by name, each as it is shown (shares in percent); empty where there are none."""
        return {}

    def results(self, kept: Tensor) -> Sequence[Any]:  # noqa: ARG002
        """One entry per row, as an evaluation server takes them in a JSON file; InputError where there is no such."""
        raise InputError("this data set has no evaluation server to write answers for; leave out --results")


class Task(abc.ABC):
    """A data set with its loss and its metric.

    - `name`: what the task is known by; folders remember it.
    - `metric`: what kind of number its scores are.
    - `is_packaged`: whether the data come with an installed package, always the same, so that no folder is asked for
      and a preset must have their sizes.
    - `has_classes`: whether outputs are logits of classes (B, A), and targets class ids (B,) or a number between 0
      and 1 per class (B, A): what the losses of published recipes are for.
    - `recipes`: names of the recipes to train by where none is asked for; the first that exists is taken. `{family}`
      stands for the model's. "task" trains with the task's own `loss` and `distance`.
    """

    name: ClassVar[str]
    metric: ClassVar[Metric] = ACCURACY
    is_packaged: ClassVar[bool] = False
    has_classes: ClassVar[bool] = False
    recipes: ClassVar[tuple[str, ...]] = ("task",)

    @classmethod
    def build(cls, data_dir: Path | None) -> Self:  # noqa: ARG003
        """The task as a new model is trained for it; `data_dir` is the folder that the user gave with --data-dir."""
        return cls()

    @classmethod
    def load(cls, saved: Path, data_dir: Path | None) -> Self:  # noqa: ARG003
        """The task as the model in the folder `saved` was trained for it: what `save` wrote there is read."""
        return cls.build(data_dir)

    def save(self, folder: Path) -> None:  # noqa: B027
        """Writes into a model's folder what `load` needs of the data; nothing by default."""

    def sizes(self) -> Mapping[str, int]:
        """Sizes of a model's configuration that the data decide, by name; a name that it lacks does not matter."""
        return {}

    def other_sizes(self, config: Config) -> dict[str, int]:
        """Those of `sizes` that the configuration has, but differently."""
        known = {field.name for field in dataclasses.fields(config)}
        return {name: size for name, size in self.sizes().items() if name in known and size != getattr(config, name)}

    @property
    def classes(self) -> tuple[str, ...]:
        """What each number of the output stands for, where outputs are logits of classes; else none."""
        return ()

    @abc.abstractmethod
    def split(self, name: str, reader: Reader) -> Split:
        """The "train", "validation" or "test" part, for a model that reads its inputs so."""

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:  # noqa: ARG002
        """What training a teacher makes small, per row (B,); InputError where the task has none."""
        raise InputError(f"{self.name} has no loss to train a teacher with; write one, or give --teacher DIR")

    def distance(self, outputs: Tensor, teacher: Tensor) -> Tensor:
        """How far outputs are from the teacher's, per row (B,); what distillation makes small."""
        return (outputs - teacher).square().flatten(1).mean(1)

    def augmented(self, batch: Batch, rate: float) -> Batch:  # noqa: ARG002
        """`batch` as it is trained on; `rate` is the recipe's share of what is left out or replaced."""
        return batch
