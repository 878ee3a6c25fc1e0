"""MCAN's own normalisation of rows: as published, and another as one kernel for models that are trained with it."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

EPS = 1e-6  # added to the standard deviation, not to the variance (public code MILVLG/openvqa, layer_norm.py)
TINY = 1e-30  # under the root, where it is lost in any row but a constant one: there the root has no derivative


class McanLayerNorm(nn.Module):
    """weight * (x - mean) / (std + 1e-6) + bias, std with the n-1 divisor; of a constant row, `bias`.

    Torch's kernel adds its eps to the variance. The two differ most where a row's std is far from what the eps is
    chosen for: in padded rows, and in checkpoints of unknown scale. So it is written out, in operators that an export
    understands; in training it is `_Normalised`, the same up to rounding.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size))
        self.to_std = math.sqrt(size - 1)

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype != self.weight.dtype:  # half precision, whose sums of squares are too coarse
            x = x.to(self.weight.dtype)
        if self.training:
            trained: Tensor = _Normalised.apply(x, self.weight, self.bias)  # type: ignore[no-untyped-call]
            return trained
        x = x - x.mean(-1, keepdim=True)
        length = ((x * x).sum(-1, keepdim=True) + TINY).sqrt()  # std times sqrt(n-1), which the weight takes over
        return x / (length + EPS * self.to_std) * (self.weight * self.to_std) + self.bias


class _Normalised(torch.autograd.Function):
    """McanLayerNorm through torch's kernel without an eps, and a correction of each row: a quarter of the time.

    The kernel gives z = (x - mean) / s, s the std with the n divisor. The published row is c * z, where
    c = s / (std + 1e-6) and std = k * s. Its gradient is c / s * (g - mean(g) - c * k * z * mean(g * z)), which is what
    the kernel computes of a row whose s is divided by a = sqrt(c * k), once g is multiplied by c / a.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        size = x.shape[-1]
        scaled, mean, inverse_std = torch.native_layer_norm(x, (size,), weight, None, TINY)
        k = math.sqrt(size / (size - 1))
        correction = 1 / (k + EPS * inverse_std)
        ctx.save_for_backward(x, weight, mean, inverse_std, correction)
        return torch.addcmul(bias, scaled, correction)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, weight, mean, inverse_std, correction = ctx.saved_tensors
        size = x.shape[-1]
        a = (correction * math.sqrt(size / (size - 1))).sqrt()
        of_x, of_weight, _ = torch.ops.aten.native_layer_norm_backward(
            gradient * (correction / a), x, (size,), mean, inverse_std * a, weight, None, (True, True, False)
        )
        return of_x, of_weight, gradient.reshape(-1, size).sum(0)


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
