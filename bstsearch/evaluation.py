"""Accuracy of a submodel, or of any module, on a held-out split."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bstsearch.data.answers import Accuracy
from bstsearch.data.split import Split
from bstsearch.space import Submodel
from bstsearch.supernet import Supernet

BATCH_SIZE = 256


def evaluate(supernet: Supernet, submodel: Submodel, split: Split, *, batch_size: int = BATCH_SIZE) -> Accuracy:
    """Accuracy of `submodel`, computed with slices of the supernet (no copy of its weights)."""
    return split.score(predict(supernet, submodel, split, batch_size=batch_size))


def evaluate_model(model: nn.Module | Callable[..., Tensor], split: Split, *, batch_size: int = BATCH_SIZE) -> Accuracy:
    """Accuracy of a module that takes the split's inputs by name; runs on the module's device."""
    return split.score(predict_with(model, split, batch_size=batch_size))


def predict(supernet: Supernet, submodel: Submodel, split: Split, *, batch_size: int = BATCH_SIZE) -> Tensor:
    """The most likely class of every question (N,), computed with slices of the supernet."""
    with torch.inference_mode(), supernet.bind(submodel) as model:
        return predict_with(model, split, batch_size=batch_size)


def predict_with(model: nn.Module | Callable[..., Tensor], split: Split, *, batch_size: int = BATCH_SIZE) -> Tensor:
    """The most likely class of every question (N,), from a module that takes the split's inputs by name."""
    parameter = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    device = torch.device("cpu") if parameter is None else parameter.device
    with torch.inference_mode():
        batches = (batch.to(device) for batch in split.batches(batch_size))
        return torch.cat([model(**batch.inputs).argmax(-1).cpu() for batch in batches])
