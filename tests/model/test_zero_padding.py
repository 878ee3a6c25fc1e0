from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from typing import Any

import grouped
import pytest
import torch
from grouped import GroupedConfig
from torch import Tensor, nn

from bstsearch.errors import InputError
from bstsearch.model.axes import Axis
from bstsearch.model.family import Family
from bstsearch.model.zero_padding import RIGHT, WRONG, padding_error
from bstsearch.space import Submodel

CONFIG = GroupedConfig(heads=(8,) * 4, kv_heads=(4,) * 4)  # keys beside values are as long as the queries
HALF = Submodel(width=Fraction(1, 2))


def family(*axes: Axis, **changes: Any) -> Family:
    """The family with two queries to a key and a value, and with other axes declared first."""
    right = (Axis(parameter="layers.*.qkv.*", axis=0, parts=(2, 1, 1)), *grouped.FAMILY.axes)
    return dataclasses.replace(
        grouped.FAMILY, groups=lambda config: ({"heads": 2, "kv_heads": 1},), axes=(*axes, *right), **changes
    )


def error(of: Family, submodel: Submodel = HALF) -> float:
    return padding_error(of, CONFIG, submodel, of.example_inputs(CONFIG, 2))


def test_a_right_plan_is_off_by_rounding() -> None:
    assert error(family()) <= RIGHT
    assert error(family(), Submodel()) <= RIGHT
    assert error(family(), Submodel(width=Fraction(1, 2), ffn=(Fraction(1, 4),) * 4)) <= RIGHT


@pytest.mark.parametrize(
    "axis",
    [
        Axis(parameter="layers.*.qkv.*", axis=0, parts=(1, 1)),
        Axis(parameter="layers.*.gate_up.*", axis=0, parts=(1,)),
        Axis(parameter="layers.*.gate_up.*", axis=0, parts=(1, 1, 1, 1)),
        Axis(parameter="classifier.weight", axis=1, parts=(1,)),
        Axis(parameter="layers.2.norm2.*", axis=0, parts=(1, 1)),
    ],
    ids=str,
)
def test_a_wrong_declaration_is_caught_though_every_shape_fits(axis: Axis) -> None:
    assert error(family(axis)) >= WRONG


class Scaled(grouped.Grouped):
    """As Gemma's: the words are multiplied by the root of the hidden size."""

    def elastic(self, words_BT: Tensor) -> Tensor:
        x_BTD = self.embedding(words_BT) * math.sqrt(self.embedding.embedding_dim)
        for layer in self.layers:
            x_BTD = layer(x_BTD)
        return self.classifier(torch.cat([x_BTD.mean(1), x_BTD.amax(1)], -1))


class Odd(grouped.Grouped):
    """Its norms take the mean over all of a vector's numbers, and are no modules."""

    def elastic(self, words_BT: Tensor) -> Tensor:
        x_BTD = self.embedding(words_BT)
        x_BTD = nn.functional.layer_norm(x_BTD, x_BTD.shape[-1:])
        return self.classifier(torch.cat([x_BTD, x_BTD], -1).mean(1))


@pytest.mark.parametrize("build", [Scaled, Odd])
def test_what_depends_on_a_size_in_the_code_is_caught(build: type[nn.Module]) -> None:
    assert error(family(build=build)) >= WRONG


def test_layers_are_not_its_business() -> None:
    with pytest.raises(InputError, match=r"^w1-d1of2: zeros around a model stand for no layer; choose a submodel of "):
        error(family(), Submodel(depth=Fraction(1, 2)))
