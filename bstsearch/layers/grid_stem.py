"""An image as a grid of tokens, for models that otherwise read features made by a detector.

Letters: B batch, S image side, V tokens, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bstsearch.errors import InputError


class GridStem(nn.Module):
    """Tokens (B, V, C) of images (B, S, S, 3; uint8): stride-2 convolutions, BatchNorm, ReLU, a learned position.

    The published systems have none: they read features from disk. It lets a small model see raw images. Positions
    begin as zeros, or, where `is_placed`, as waves along rows and columns.
    """

    def __init__(self, channels: Sequence[int], side: int, *, is_placed: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for size_in, size_out in zip((3, *channels), channels, strict=False):
            convolution = nn.Conv2d(size_in, size_out, 3, stride=2, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(size_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        if is_placed:
            self.position = nn.Parameter(places(side >> len(channels), channels[-1]))
        else:
            self.position = nn.Parameter(torch.zeros(grid_tokens(channels, side), channels[-1]))

    def forward(self, image_BSS3: Tensor) -> Tensor:
        """The tokens, row by row from the top left."""
        x_B3SS = image_BSS3.permute(0, 3, 1, 2).to(self.position.dtype) / 127.5 - 1.0
        tokens, channels = self.position.shape
        grid_BVC: Tensor = self.layers(x_B3SS).reshape(-1, channels, tokens).transpose(1, 2)
        return grid_BVC + self.position


def grid_tokens(channels: Sequence[int], side: int) -> int:
    """How many tokens the stem makes of an image of that side.

    >>> grid_tokens((8, 16, 32), 64)
    64
    """
    return (side >> len(channels)) ** 2


def places(side: int, channels: int) -> Tensor:
    """Where each token of a square grid lies (side * side, channels): waves along its row, then along its column.

    Their wavelengths are from four to a quarter of the grid's side, as in Transformers on words (Vaswani et al., 2017).
    """
    waves = channels // 4
    lengths_W = side * 4.0 ** (1 - 2 * torch.arange(waves) / max(1, waves - 1))
    angles_SW = 2 * math.pi * torch.arange(side)[:, None] / lengths_W
    code_SC = torch.cat([angles_SW.sin(), angles_SW.cos()], 1)
    row, column = torch.arange(side * side) // side, torch.arange(side * side) % side
    return F.pad(torch.cat([code_SC[row], code_SC[column]], 1), (0, channels - 4 * waves))


def check_side(name: str, channels: Sequence[int], side: int) -> None:
    """Passes where each layer of the stem can halve the side; else InputError, which begins with `name`."""
    if channels and side % 2 ** len(channels):
        raise InputError(f"{name}: each of {len(channels)} stem layers halves image_side={side}")
