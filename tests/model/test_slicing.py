from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from toy import FAMILY, Toy, ToyConfig

from bstsearch.errors import InputError
from bstsearch.families import mcan
from bstsearch.model.family import FusedAxis
from bstsearch.model.slicing import Cut, refuse_undeclared_fused_axes
from bstsearch.model.supernet import Supernet
from bstsearch.space import Submodel

HALF = Submodel(width=Fraction(1, 2))


@st.composite
def cuts(draw: st.DrawFn) -> tuple[Cut, tuple[int, ...]]:
    """A cut, and the shape of the full tensor that it is taken from."""
    blocks = tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))
    small = tuple(draw(st.integers(1, 3)) for _ in blocks)
    full = tuple(size + draw(st.integers(0, 2)) for size in small)
    shape = tuple(size * count for size, count in zip(small, blocks, strict=True))
    cut = Cut(source="weight", shape=shape, blocks=blocks)
    return cut, tuple(size * count for size, count in zip(full, blocks, strict=True))


def taken(cut: Cut, full_shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """Which indices of each axis are taken: of every block the leading part."""
    axes = zip(cut.shape, cut.blocks, full_shape, strict=True)
    return np.ix_(*[[b * (n // k) + i for b in range(k) for i in range(size // k)] for size, k, n in axes])


@given(cuts())
def test_a_slice_is_the_leading_part_of_every_block(case: tuple[Cut, tuple[int, ...]]) -> None:
    cut, full_shape = case
    full = torch.arange(np.prod(full_shape)).view(full_shape)
    assert torch.equal(cut.apply(full), torch.from_numpy(full.numpy()[taken(cut, full_shape)]))


@given(cuts())
def test_adding_into_the_slice_changes_it_alone(case: tuple[Cut, tuple[int, ...]]) -> None:
    cut, full_shape = case
    full = torch.ones(full_shape)
    small = torch.arange(np.prod(cut.shape), dtype=torch.float32).view(cut.shape)
    expected = full.numpy().copy()
    expected[taken(cut, full_shape)] += small.numpy()
    cut.add_into(full, small)
    assert torch.equal(full, torch.from_numpy(expected))


def test_a_slice_without_fused_axes_is_a_view() -> None:
    full = torch.zeros(4, 6)
    Cut(source="weight", shape=(2, 3), blocks=(1, 1)).apply(full).fill_(1)
    assert full.sum() == 6


def test_a_scalar_parameter_is_its_own_slice() -> None:
    full = torch.tensor(3.0)
    assert Cut(source="scale", shape=(), blocks=()).apply(full) == 3


# Fused axes


@pytest.mark.parametrize("name", mcan.PRESETS)
def test_mcan_has_no_fused_axis(name: str) -> None:
    refuse_undeclared_fused_axes(mcan.FAMILY, mcan.PRESETS[name])


def test_the_probe_loads_no_compiler() -> None:
    code = (
        "import sys; from bstsearch.families.mcan import FAMILY, PRESETS; "
        "from bstsearch.model.supernet import Supernet; "
        "Supernet(FAMILY, PRESETS['mcan-easy-vqa']); sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("blocks", [1, 2, 4])
def test_an_undeclared_fused_axis_is_refused(blocks: int) -> None:
    fused = (FusedAxis(parameter="layers.*.qkv.*", axis=0, blocks=blocks),) if blocks > 1 else ()
    family = dataclasses.replace(FAMILY, fused_axes=fused)
    message = (
        r"toy: axis 0 of layers\.0\.qkv\.\w+ grows from 24 to 30 when heads grows by one from \(4, 4, 4, 4\); "
        rf"expected {2 * blocks} for each unit of heads\. Declare its blocks as a FusedAxis"
    )
    with pytest.raises(InputError, match=message):
        Supernet(family, ToyConfig())


def test_a_fused_axis_that_is_as_long_as_a_plain_one_elsewhere_is_refused() -> None:
    # Three blocks of one head in layer 0, where other layers have three heads.
    fused = (FusedAxis(parameter="layers.[123].qkv.*", axis=0, blocks=3),)
    config = ToyConfig(heads=(1, 3, 3, 3))
    with pytest.raises(InputError, match=r"axis 0 of layers\.0\.qkv\.\w+ grows from 6 to 12 .* expected 2 for each"):
        refuse_undeclared_fused_axes(dataclasses.replace(FAMILY, fused_axes=fused), config)


def test_a_declared_fused_axis_is_cut_block_by_block() -> None:
    supernet = Supernet(FAMILY, ToyConfig())
    full = supernet.model.layers[0].qkv.weight
    with torch.no_grad():
        full.copy_(torch.arange(24.0)[:, None].expand_as(full))
    queries_keys_values = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19]  # two of four heads of two, three times
    assert supernet.materialise(HALF).layers[0].qkv.weight[:, 0].tolist() == queries_keys_values
    with supernet.bind(HALF) as model:
        assert model.layers[0].qkv.weight[:, 0].tolist() == queries_keys_values


class _WithTail(Toy):
    """A pooled vector in which an elastic part stands beside another part."""

    def __init__(self, config: ToyConfig, tail: int) -> None:
        super().__init__(config)
        self.pool = nn.Linear(config.hidden + tail, 1)


@pytest.mark.parametrize("tail", [lambda config: 3, lambda config: config.ffn[0]], ids=["fixed", "elastic"])
def test_an_elastic_part_beside_another_part_is_refused(tail: Callable[[ToyConfig], int]) -> None:
    family = dataclasses.replace(FAMILY, build=lambda config: _WithTail(config, tail(config)))
    with pytest.raises(InputError, match=r"toy: axis 1 of pool\.weight grows .* or give each part its own parameter"):
        Supernet(family, ToyConfig())


def test_the_probe_runs_once_for_each_configuration() -> None:
    builds = []

    def build(config: ToyConfig) -> Toy:
        builds.append(config)
        return Toy(config)

    family = dataclasses.replace(FAMILY, build=build)
    Supernet(family, ToyConfig())
    first = len(builds)
    Supernet(family, ToyConfig())
    assert len(builds) == first + 1


# What does not fit


class _WithBatchNorm(Toy):
    def __init__(self, config: ToyConfig) -> None:
        super().__init__(config)
        self.norm = nn.BatchNorm1d(config.hidden)


class _WithMoreWhenSmall(Toy):
    def __init__(self, config: ToyConfig) -> None:
        super().__init__(config)
        if config.hidden == 4:
            self.extra = nn.Parameter(torch.zeros(1))


class _LargerWhenSmall(Toy):
    def __init__(self, config: ToyConfig) -> None:
        super().__init__(config)
        self.extra = nn.Parameter(torch.zeros(9 if config.hidden == 4 else 1))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (_WithBatchNorm, r"buffer norm.running_mean \(4,\) is not the full model's norm.running_mean \(8,\)"),
        (_WithMoreWhenSmall, "the full model has no parameter 'extra' for 'extra'"),
        (_LargerWhenSmall, r"extra \(9,\) does not fit in extra \(1,\)"),
    ],
)
def test_a_small_model_that_is_no_part_of_the_full_one_is_refused(
    build: Callable[[ToyConfig], nn.Module], message: str
) -> None:
    supernet = Supernet(dataclasses.replace(FAMILY, build=build), ToyConfig())
    with pytest.raises(InputError, match=f"^toy w1of2-d1: {message}"):
        supernet.materialise(HALF)
    with pytest.raises(InputError, match=f"^toy w1of2-d1: {message}"), supernet.bind(HALF):
        pytest.fail("bound")


def test_batch_norm_of_fixed_size_within_a_layer_follows_its_layer() -> None:
    class Layered(Toy):
        def __init__(self, config: ToyConfig) -> None:
            super().__init__(config)
            for layer in self.layers:
                layer.norm = nn.BatchNorm1d(3)

    supernet = Supernet(dataclasses.replace(FAMILY, build=Layered), ToyConfig())
    for index, layer in enumerate(supernet.model.layers):
        layer.norm.running_mean.fill_(index)
    small = supernet.materialise(Submodel(depth=Fraction(1, 2)))
    assert [layer.norm.running_mean[0].item() for layer in small.layers] == [0, 3]
