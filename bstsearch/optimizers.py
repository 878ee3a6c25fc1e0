"""Which optimiser moves which parameter: Muon the weight matrices of hidden layers, Adam all others."""

from __future__ import annotations

import torch
from torch import nn


def make_optimizers(
    model: nn.Module, *, learning_rate: float, matrix_learning_rate: float
) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for the weights of linear layers but the last one, Adam for the rest.

    Muon (Jordan et al., 2024) gives every direction of a matrix the same step, also those whose gradient is
    weak. On questions that need a match between word and picture Adam stays on a plateau several times
    longer (docs/log.md). As its authors do, the layer that gives the answers is left to Adam, with
    embeddings, convolutions, the LSTM, norms and biases. Adam's settings are BST's.
    """
    matrices = [module.weight for module in model.modules() if isinstance(module, nn.Linear)][:-1]
    ids = set(map(id, matrices))
    others = [parameter for parameter in model.parameters() if id(parameter) not in ids]
    muon = torch.optim.Muon(matrices, lr=matrix_learning_rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.Adam(others, lr=learning_rate, betas=(0.9, 0.98), eps=1e-9)
    for group in (*muon.param_groups, *adam.param_groups):
        group["initial_lr"] = group["lr"]
    return muon, adam
