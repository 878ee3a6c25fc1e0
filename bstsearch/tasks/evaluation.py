"""Accuracy of a submodel, or of any module, on a held-out split."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bstsearch.model.supernet import Supernet
from bstsearch.score import Accuracy
from bstsearch.space import Submodel
from bstsearch.tasks.split import Split

BATCH_SIZE = 256

OnBatch = Callable[[int], None]


def evaluate(supernet: Supernet, submodel: Submodel, split: Split, *, batch_size: int = BATCH_SIZE) -> Accuracy:
    """Accuracy of `submodel`, computed with slices of the supernet (no copy of its weights)."""
    return split.score(predict(supernet, submodel, split, batch_size=batch_size))


def evaluate_model(model: nn.Module | Callable[..., Tensor], split: Split, *, batch_size: int = BATCH_SIZE) -> Accuracy:
    """Accuracy of a module that takes the split's inputs by name; runs on the module's device."""
    return split.score(predict_with(model, split, batch_size=batch_size))


def predict(
    supernet: Supernet,
    submodel: Submodel,
    split: Split,
    *,
    batch_size: int = BATCH_SIZE,
    on_batch: OnBatch | None = None,
) -> Tensor:
    """The most likely class of every question (N,), computed with slices of the supernet."""
    with torch.inference_mode(), supernet.bind(submodel) as model:
        return predict_with(model, split, batch_size=batch_size, on_batch=on_batch)


def predict_with(
    model: nn.Module | Callable[..., Tensor],
    split: Split,
    *,
    batch_size: int = BATCH_SIZE,
    on_batch: OnBatch | None = None,
) -> Tensor:
    """The most likely class of every question (N,), from a module that takes the split's inputs by name.

    `on_batch` is called after each batch with the number of its questions.
    """
    parameter = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    device = torch.device("cpu") if parameter is None else parameter.device
    predicted = []
    with torch.inference_mode():
        for batch in split.batches(batch_size):
            predicted.append(model(**batch.to(device).inputs).argmax(-1).cpu())
            if on_batch:
                on_batch(len(predicted[-1]))
    return torch.cat(predicted)
