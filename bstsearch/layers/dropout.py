"""Dropout with a random draw that is cheap on a processor, where torch's own costs more than a norm does."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

STEPS = 2**16  # a number is dropped or kept by 16 random bits


class Dropout(nn.Dropout):
    """Torch's dropout; on a processor with a draw of its own, which depends on torch's seed alone, as torch's does.

    There the rate is rounded to 16 bits (0.1 is 0.100006), and what is kept is scaled by just that rate.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        return input * drawn_scales(input, self.p) if self._draws(input) else super().forward(input)

    def relu(self, x: Tensor) -> Tensor:
        """dropout(relu(x)), with less to remember."""
        if not self._draws(x):
            dropped: Tensor = self(x.relu())
            return dropped
        both: Tensor = _DroppedRelu.apply(x, self.p)  # type: ignore[no-untyped-call]
        return both

    def added(self, x: Tensor, y: Tensor) -> Tensor:
        """x + dropout(y), in one pass."""
        if not self._draws(y):
            summed: Tensor = x + self(y)
            return summed
        return torch.addcmul(x, y, drawn_scales(y, self.p))

    def _draws(self, x: Tensor) -> bool:
        """Whether some of these numbers are dropped, by a draw of its own."""
        return self.training and self.p > 0 and x.device.type == "cpu"


class _DroppedRelu(torch.autograd.Function):
    """ReLU and dropout, of which the result alone is kept: it is positive where a gradient goes through."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rate: float) -> Tensor:
        y = drawn_scales(x, rate).mul_(x).relu_()
        ctx.save_for_backward(y)
        ctx.scale = scale_of(rate)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (y,) = ctx.saved_tensors
        of_x: Tensor = torch.ops.aten.threshold_backward(gradient, y, 0).mul_(ctx.scale)
        return of_x, None


def scale_of(rate: float) -> float:
    """By how much what is kept is enlarged, at a rate of 16 bits."""
    dropped = round(rate * STEPS)
    return STEPS / (STEPS - dropped) if dropped < STEPS else 0.0


def drawn_scales(like: Tensor, rate: float) -> Tensor:
    """What to multiply numbers shaped `like` by: 0 for a share of `rate`, and 1 / (1 - rate) for the others."""
    words = torch.empty((like.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    bits = words.view(torch.int16)[: like.numel()].view(like.shape)
    # Into numbers at once: by way of booleans it takes four times as long.
    scales = torch.empty(like.shape, dtype=like.dtype)
    torch.ge(bits, round(rate * STEPS) - STEPS // 2, out=scales)
    return scales.mul_(scale_of(rate))
