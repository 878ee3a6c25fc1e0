"""Dropout with a random draw that is cheap on a processor, where torch's own costs more than a norm does."""

from __future__ import annotations

import torch
from torch import Tensor, nn

STEPS = 2**16  # a number is dropped or kept by 16 random bits


class Dropout(nn.Dropout):
    """Torch's dropout; on a processor with a draw of its own, which depends on torch's seed alone, as torch's does.

    There the rate is rounded to 16 bits (0.1 is 0.100006), and what is kept is scaled by just that rate.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.p:
            return x
        dropped: Tensor = x * drawn_scales(x, self.p) if x.device.type == "cpu" else super().forward(x)
        return dropped

    def added(self, x: Tensor, y: Tensor) -> Tensor:
        """x + dropout(y), in one pass."""
        if not self.training or not self.p or y.device.type != "cpu":
            return x + self(y)
        return torch.addcmul(x, y, drawn_scales(y, self.p))


def drawn_scales(like: Tensor, rate: float) -> Tensor:
    """What to multiply numbers shaped `like` by: 0 for a share of `rate`, and 1 / (1 - rate) for the others."""
    dropped = round(rate * STEPS)
    if dropped == STEPS:
        return torch.zeros_like(like)
    words = torch.empty((like.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    bits = words.view(torch.int16)[: like.numel()].view(like.shape)
    # Into numbers at once: by way of booleans it takes four times as long.
    scales = torch.empty(like.shape, dtype=like.dtype)
    torch.ge(bits, dropped - STEPS // 2, out=scales)
    return scales.mul_(STEPS / (STEPS - dropped))
