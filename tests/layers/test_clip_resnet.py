from __future__ import annotations

import pytest
import torch
from torch import nn

from bstsearch.layers.clip_resnet import Bottleneck, ClipResNet, tower_features, tower_stride


@pytest.mark.parametrize(("layers", "width"), [((1, 2, 1, 1), 8), ((1, 1, 1), 8), ((2,), 4)])
def test_the_grid_has_the_promised_size(layers: tuple[int, ...], width: int) -> None:
    stride, features = tower_stride(len(layers)), tower_features(len(layers), width)
    with torch.no_grad():
        grid_BFHW = ClipResNet(layers, width).eval()(torch.randn(2, 3, 2 * stride, 3 * stride))
    assert grid_BFHW.shape == (2, features, 2, 3)


@pytest.mark.parametrize(
    ("layers", "width", "parameters"),
    # CLIP's two towers without their attention pooling.
    [((4, 6, 10, 6), 80, 65_619_640), ((3, 4, 6, 3), 64, 23_527_264)],
)
def test_published_towers_have_their_number_of_parameters(layers: tuple[int, ...], width: int, parameters: int) -> None:
    with torch.device("meta"):
        tower = ClipResNet(layers, width)
    assert sum(parameter.numel() for parameter in tower.parameters()) == parameters


def test_names_are_those_of_the_public_code() -> None:
    names = set(ClipResNet((1, 2), 4).state_dict())
    expected = {f"conv{index}.weight" for index in (1, 2, 3)}
    norms = {f"bn{index}" for index in (1, 2, 3)}
    for block in ("layer1.0", "layer2.0", "layer2.1"):
        expected |= {f"{block}.conv{index}.weight" for index in (1, 2, 3)}
        norms |= {f"{block}.bn{index}" for index in (1, 2, 3)}
    for block in ("layer1.0", "layer2.0"):
        expected |= {f"{block}.downsample.0.weight"}
        norms |= {f"{block}.downsample.1"}
    leaves = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    assert names == expected | {f"{norm}.{leaf}" for norm in norms for leaf in leaves}


def test_only_the_first_block_of_a_stage_pools_and_has_a_shortcut_of_its_own() -> None:
    first, second = ClipResNet((1, 2), 4).layer2
    assert isinstance(first.pool, nn.AvgPool2d)
    assert isinstance(second.pool, nn.Identity)
    assert isinstance(second.downsample, nn.Identity)


def test_no_convolution_of_a_block_has_a_stride() -> None:
    block = Bottleneck(4, 4, 2)
    assert {module.stride for module in block.modules() if isinstance(module, nn.Conv2d)} == {(1, 1)}
    assert block(torch.randn(1, 4, 6, 6)).shape == (1, 16, 3, 3)
