"""The score of a submodel, or of any module, on a split."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from bstsearch.doors import fault_of
from bstsearch.errors import InputError
from bstsearch.model.supernet import Supernet
from bstsearch.reading import REASON, said, shown
from bstsearch.score import Score
from bstsearch.space import Submodel
from bstsearch.tasks.task import Batch, Split

BATCH_SIZE = 128  # of 32 to 1,024, what a processor's caches suit best

OnBatch = Callable[[int], None]
Computed = TypeVar("Computed")


def evaluate(
    supernet: Supernet, submodel: Submodel, split: Split, *, batch_size: int = BATCH_SIZE, where: str = "the supernet"
) -> Score:
    """The score of `submodel`, computed with slices of the supernet (no copy of its weights).

    InputError, which calls the supernet `where`, for outputs that are not finite, or a split without targets.
    """
    split.check_scorable()
    return split.score(outputs_of(supernet, submodel, split, batch_size=batch_size, where=where))


def evaluate_model(model: nn.Module | Callable[..., Tensor], split: Split, *, batch_size: int = BATCH_SIZE) -> Score:
    """The score of a module that takes the split's inputs by name; runs on the module's device.

    InputError as of `evaluate`.
    """
    split.check_scorable()
    return split.score(outputs_with(model, split, batch_size=batch_size))


def outputs_of(
    supernet: Supernet,
    submodel: Submodel,
    split: Split,
    *,
    batch_size: int = BATCH_SIZE,
    on_batch: OnBatch | None = None,
    where: str = "the supernet",
) -> Tensor:
    """What the split keeps of the outputs for all rows (N, ...), computed with slices of the supernet."""
    name = f"{where}, submodel {submodel.id}"
    with torch.inference_mode(), supernet.bind(submodel) as model:
        return outputs_with(model, split, batch_size=batch_size, on_batch=on_batch, where=name)


def outputs_with(
    model: nn.Module | Callable[..., Tensor],
    split: Split,
    *,
    batch_size: int = BATCH_SIZE,
    on_batch: OnBatch | None = None,
    where: str = "the model",
) -> Tensor:
    """What the split keeps of the outputs for all rows (N, ...), from a module that takes its inputs by name.

    `on_batch` is called after each batch with the number of its rows. InputError, which calls the model `where`, for
    outputs that are not finite: the likeliest of them would say nothing.
    """
    parameter = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    device = torch.device("cpu") if parameter is None else parameter.device
    found = Kept(split, where)
    with torch.inference_mode():
        for batch in split.batches(batch_size):
            on_device = batch.to(device)
            outputs = computed(model, on_device, split, where)
            found.add(outputs, on_device.targets)
            if on_batch:
                on_batch(len(outputs))
    return found.all()


class Kept:
    """What a split keeps of outputs, batch after batch."""

    def __init__(self, split: Split, where: str) -> None:
        self._split, self._where = split, where
        self._found: list[Tensor] = []
        self.broken = 0  # rows of outputs that are not finite

    def add(self, outputs: Tensor, targets: Tensor | None) -> None:
        """Keeps what is needed of a batch's outputs."""
        self.broken += count_not_finite(outputs)
        if not self.broken:
            self._found.append(self._split.kept(outputs, targets).cpu())

    def so_far(self) -> Tensor:
        """What was kept, of a batch at least."""
        return torch.cat(self._found)

    def all(self) -> Tensor:
        """What was kept of all rows; InputError where there are others, or outputs that are not finite."""
        check_finite(self.broken, len(self._split), self._where)
        kept, name = self.so_far(), type(self._split).__name__
        check_finite(count_not_finite(kept), len(self._split), f"{name}.kept of {self._where}")
        if len(kept) != len(self._split):
            raise InputError(f"{name}.batches and kept gave {len(kept):,} rows of {len(self._split):,}; check {name}")
        return kept


def computed(model: Callable[..., Computed], batch: Batch, split: Split, where: str) -> Computed:
    """The outputs; InputError where a split that is not ours hands out what the model cannot read."""
    try:
        return model(**batch.inputs)
    except Exception as error:
        name = type(split).__name__
        if type(split).__module__.startswith("bstsearch.") or fault_of(error) is not None:
            raise
        given = ", ".join(f"{key} {tensor.dtype} {tuple(tensor.shape)}" for key, tensor in batch.inputs.items())
        raise InputError(
            f"{where} cannot read {shown(given, REASON)} of {name}: {said(error)}; check {name}"
        ) from error


def count_not_finite(outputs: Tensor) -> int:
    """How many rows of (N, ...) hold a NaN or an infinite number."""
    return int((~torch.isfinite(outputs)).reshape(len(outputs), -1).any(1).sum())


def check_finite(broken: int, total: int, where: str) -> None:
    """Passes where no outputs are broken; else InputError."""
    if broken:
        raise InputError(f"{where}: outputs of {broken:,} of {total:,} examples are not finite; check the weights")
