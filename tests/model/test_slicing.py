from __future__ import annotations

import dataclasses
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
from bstsearch.model.slicing import Cut
from bstsearch.model.supernet import Supernet
from bstsearch.space import Submodel

HALF = Submodel(width=Fraction(1, 2))


@st.composite
def cuts(draw: st.DrawFn) -> tuple[Cut, tuple[int, ...]]:
    """A cut, and the shape of the full tensor that it is taken from."""
    proportion = st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple)
    parts = tuple(draw(st.lists(proportion, min_size=1, max_size=3)))
    small = tuple(draw(st.integers(1, 3)) for _ in parts)
    full = tuple(unit + draw(st.integers(0, 2)) for unit in small)
    shape = tuple(unit * sum(part) for unit, part in zip(small, parts, strict=True))
    cut = Cut(source="weight", shape=shape, parts=parts)
    return cut, tuple(unit * sum(part) for unit, part in zip(full, parts, strict=True))


def taken(cut: Cut, full_shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """Which indices of each axis are taken: of every part the leading share."""
    rows = []
    for size, parts, full_size in zip(cut.shape, cut.parts, full_shape, strict=True):
        row: list[int] = []
        start = 0
        for part in parts:
            row += range(start, start + part * size // sum(parts))
            start += part * full_size // sum(parts)
        rows.append(row)
    return np.ix_(*rows)


@given(cuts())
def test_a_slice_is_the_leading_share_of_every_part(case: tuple[Cut, tuple[int, ...]]) -> None:
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


def test_a_slice_of_single_parts_is_a_view() -> None:
    full = torch.zeros(4, 6)
    Cut(source="weight", shape=(2, 3), parts=((1,), (1,))).apply(full).fill_(1)
    assert full.sum() == 6


def test_a_scalar_parameter_is_its_own_slice() -> None:
    full = torch.tensor(3.0)
    assert Cut(source="scale", shape=(), parts=()).apply(full) == 3


def test_a_declared_axis_is_cut_part_by_part() -> None:
    supernet = Supernet(FAMILY, ToyConfig())
    full = supernet.model.layers[0].qkv.weight
    with torch.no_grad():
        full.copy_(torch.arange(24.0)[:, None].expand_as(full))
    queries_keys_values = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19]  # two of four heads of two, three times
    assert supernet.materialise(HALF).layers[0].qkv.weight[:, 0].tolist() == queries_keys_values
    with supernet.bind(HALF) as model:
        assert model.layers[0].qkv.weight[:, 0].tolist() == queries_keys_values


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
