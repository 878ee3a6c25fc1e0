"""CLIP's convolutional image tower (Radford et al., 2021; public code openai/CLIP): images to a grid of features.

A ResNet with three changes: three 3x3 convolutions at the start, average pooling in place of strided convolutions, and
attention pooling at the end. The last is left out here: what it would pool is the grid. Parameter names are those of
that code. Letters: B batch, C channels, F features, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

EXPANSION = 4  # a block's output channels for each of its inner ones


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut; `stride` pools after the 3x3 one, and in the shortcut."""

    def __init__(self, size_in: int, size_mid: int, stride: int) -> None:
        super().__init__()
        size_out = EXPANSION * size_mid
        self.conv1 = nn.Conv2d(size_in, size_mid, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(size_mid)
        self.conv2 = nn.Conv2d(size_mid, size_mid, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(size_mid)
        self.conv3 = nn.Conv2d(size_mid, size_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(size_out)
        self.pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        has_own_shortcut = stride > 1 or size_in != size_out
        shortcut = nn.Sequential(nn.Conv2d(size_in, size_out, 1, bias=False), nn.BatchNorm2d(size_out))
        self.downsample = shortcut if has_own_shortcut else nn.Identity()

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Features at the block's own number of channels and stride."""
        y_BCHW = F.relu(self.bn1(self.conv1(x_BCHW)))
        y_BCHW = self.pool(F.relu(self.bn2(self.conv2(y_BCHW))))
        return F.relu(self.bn3(self.conv3(y_BCHW)) + self.downsample(self.pool(x_BCHW)))


class ClipResNet(nn.Module):
    """Features (B, F, H / stride, W / stride) of images (B, 3, H, W; normalised), both sides whole multiples.

    `layers` holds the number of blocks of each stage; CLIP's networks have four, a small model may have fewer.
    """

    def __init__(self, layers: Sequence[int], width: int) -> None:
        super().__init__()
        for index, (size_in, size_out) in enumerate(((3, width // 2), (width // 2, width // 2), (width // 2, width))):
            stride = 2 if index == 0 else 1
            self.add_module(f"conv{index + 1}", nn.Conv2d(size_in, size_out, 3, stride, padding=1, bias=False))
            self.add_module(f"bn{index + 1}", nn.BatchNorm2d(size_out))
        self.stages = len(layers)
        size_in = width
        for index, blocks in enumerate(layers):
            size_mid = width * 2**index
            self.add_module(f"layer{index + 1}", _stage(size_in, size_mid, blocks, stride=2 if index else 1))
            size_in = EXPANSION * size_mid

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """The last stage's features."""
        x_BCHW = image_B3HW
        for index in (1, 2, 3):
            convolution, norm = self.get_submodule(f"conv{index}"), self.get_submodule(f"bn{index}")
            x_BCHW = F.relu(norm(convolution(x_BCHW)))
        x_BCHW = F.avg_pool2d(x_BCHW, 2)
        for index in range(self.stages):
            x_BCHW = self.get_submodule(f"layer{index + 1}")(x_BCHW)
        return x_BCHW


def tower_stride(stages: int) -> int:
    """Pixels of the image, in each direction, for one cell of the grid.

    >>> tower_stride(4)
    32
    """
    return int(2 ** (stages + 1))


def tower_features(stages: int, width: int) -> int:
    """Features of each cell of the grid.

    >>> tower_features(4, 80), tower_features(4, 64)
    (2560, 2048)
    """
    return int(EXPANSION * width * 2 ** (stages - 1))


def _stage(size_in: int, size_mid: int, blocks: int, stride: int) -> nn.Sequential:
    """Blocks one after another; the first one changes channels and stride."""
    rest = (Bottleneck(EXPANSION * size_mid, size_mid, 1) for _ in range(blocks - 1))
    return nn.Sequential(Bottleneck(size_in, size_mid, stride), *rest)
