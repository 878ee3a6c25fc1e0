"""The score of a submodel, or of any module, on a split."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bstsearch.model.supernet import Supernet
from bstsearch.score import Score
from bstsearch.space import Submodel
from bstsearch.tasks.task import Split

BATCH_SIZE = 256

OnBatch = Callable[[int], None]


def evaluate(supernet: Supernet, submodel: Submodel, split: Split, *, batch_size: int = BATCH_SIZE) -> Score:
    """The score of `submodel`, computed with slices of the supernet (no copy of its weights)."""
    return split.score(outputs_of(supernet, submodel, split, batch_size=batch_size))


def evaluate_model(model: nn.Module | Callable[..., Tensor], split: Split, *, batch_size: int = BATCH_SIZE) -> Score:
    """The score of a module that takes the split's inputs by name; runs on the module's device."""
    return split.score(outputs_with(model, split, batch_size=batch_size))


def outputs_of(
    supernet: Supernet,
    submodel: Submodel,
    split: Split,
    *,
    batch_size: int = BATCH_SIZE,
    on_batch: OnBatch | None = None,
) -> Tensor:
    """What the split keeps of the outputs for all rows (N, ...), computed with slices of the supernet."""
    with torch.inference_mode(), supernet.bind(submodel) as model:
        return outputs_with(model, split, batch_size=batch_size, on_batch=on_batch)


def outputs_with(
    model: nn.Module | Callable[..., Tensor],
    split: Split,
    *,
    batch_size: int = BATCH_SIZE,
    on_batch: OnBatch | None = None,
) -> Tensor:
    """What the split keeps of the outputs for all rows (N, ...), from a module that takes its inputs by name.

    `on_batch` is called after each batch with the number of its rows.
    """
    parameter = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    device = torch.device("cpu") if parameter is None else parameter.device
    found = []
    with torch.inference_mode():
        for batch in split.batches(batch_size):
            on_device = batch.to(device)
            found.append(split.kept(model(**on_device.inputs), on_device.targets).cpu())
            if on_batch:
                on_batch(len(found[-1]))
    return torch.cat(found)
