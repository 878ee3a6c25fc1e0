"""MCAN's own normalisation of rows: as published, and as one kernel for models that are trained with it."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-6  # added to the standard deviation, not to the variance (public code MILVLG/openvqa, layer_norm.py)
TINY = 1e-30  # under the root, where it is lost in any row but a constant one: there the root has no derivative


class McanLayerNorm(nn.Module):
    """weight * (x - mean) / (std + 1e-6) + bias, std with the n-1 divisor; of a constant row, `bias`.

    It is written out, because torch's kernel adds its eps to the variance. The two differ most where a row's std is far
    from what the eps is chosen for: in padded rows, and in checkpoints of unknown scale.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size))
        self.to_std = math.sqrt(size - 1)

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype != self.weight.dtype:  # half precision, whose sums of squares are too coarse
            x = x.to(self.weight.dtype)
        x = x - x.mean(-1, keepdim=True)
        length = ((x * x).sum(-1, keepdim=True) + TINY).sqrt()  # std times sqrt(n-1), which the weight takes over
        return x / (length + EPS * self.to_std) * (self.weight * self.to_std) + self.bias


class FusedMcanLayerNorm(nn.Module):
    """McanLayerNorm with (std + 1e-6)^2 taken as std^2 + 2e-6 * expected_std, which torch's kernel computes.

    One kernel in place of ten, and one node in ONNX: a fifth of a small model's latency. Equal to rounding where std
    is near `expected_std`, another norm where it is far smaller: for models that are trained with it.
    """

    def __init__(self, size: int, *, expected_std: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size))
        self.to_unbiased = math.sqrt((size - 1) / size)
        self.eps = 2 * EPS * expected_std * self.to_unbiased**2

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight * self.to_unbiased, self.bias, self.eps)
