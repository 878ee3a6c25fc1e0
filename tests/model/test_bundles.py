"""Units that change places leave outputs as they are; what knows them by their place is found out and left alone."""

from __future__ import annotations

import copy
import dataclasses
import random
from collections.abc import Callable

import grouped
import pytest
import sentences
import stock
import torch
import toy
from torch import Tensor, nn

from bstsearch.families import mcan, uniter
from bstsearch.model.bundles import Bundle, Held, find_bundles
from bstsearch.model.family import Config, Family
from bstsearch.space import Submodel

SMALL_MCAN = dataclasses.replace(mcan.PRESETS["mcan-easy-vqa"], image_side=16, stem_channels=(4, 8))
MODELS = [
    (toy.FAMILY, toy.ToyConfig(), {"layers": 8, "width": 0}),  # its positions depend on the hidden size
    (stock.FAMILY, stock.StockConfig(), {"layers": 8, "width": 1}),
    (grouped.FAMILY, grouped.GroupedConfig(), {"layers": 8, "width": 1}),
    (sentences.FAMILY, sentences.SentencesConfig(), {"layers": 8, "width": 1}),
    (uniter.FAMILY, uniter.PRESETS["uniter-easy-vqa"], {"layers": 8, "width": 2}),
    (mcan.FAMILY, SMALL_MCAN, {"layers": 20, "width": 3}),
]


@pytest.mark.parametrize(("family", "config", "counts"), MODELS, ids=[family.name for family, *_ in MODELS])
def test_heads_units_and_channels_are_found_and_change_places_without_changing_outputs(
    family: Family, config: Config, counts: dict[str, int]
) -> None:
    bundles = find_bundles(family, config, Submodel())
    assert sum(bundle.layer is not None for bundle in bundles) == counts["layers"]
    assert sum(bundle.layer is None for bundle in bundles) == counts["width"]
    torch.manual_seed(0)
    model = family.build(config).double().eval()
    before, source = outputs(family, config, model), random.Random(0)
    for bundle in bundles:
        order = list(range(bundle.count(model)))
        source.shuffle(order)
        bundle.reorder(model, order)
    after = outputs(family, config, model)
    torch.testing.assert_close(after.sort(-1).values, before.sort(-1).values, rtol=1e-9, atol=1e-9)


def test_no_axis_is_in_two_bundles_and_units_leave_by_what_they_hold() -> None:
    bundles = find_bundles(stock.FAMILY, stock.StockConfig(), Submodel())
    places = [(held.parameter, held.axis) for bundle in bundles for held in bundle.held]
    assert len(places) == len(set(places))
    assert all(set(bundle.leaves_by) <= set(bundle.held) for bundle in bundles)
    heads = next(bundle for bundle in bundles if bundle.layer == "layer.0" and bundle.held[0].block == 4)
    assert [(held.parameter, held.axis) for held in heads.leaves_by] == [("layer.0.merge.weight", 1)]


def test_what_is_put_in_order_stands_in_it() -> None:
    model = nn.Sequential(nn.Linear(2, 6), nn.Linear(6, 1))
    before = copy.deepcopy(model)
    held = [
        Held(parameter=name, axis=axis, block=2) for name, axis in (("0.weight", 0), ("0.bias", 0), ("1.weight", 1))
    ]
    Bundle(layer=None, held=tuple(held), leaves_by=()).reorder(model, [2, 0, 1])
    rows = [4, 5, 0, 1, 2, 3]
    assert torch.equal(model[0].weight, before[0].weight[rows])
    assert torch.equal(model[0].bias, before[0].bias[rows])
    assert torch.equal(model[1].weight, before[1].weight[:, rows])


class Slanted(stock.Stock):
    """Whose heads are not alike: each looks at its own part of the past, as its place says."""

    def __init__(self, config: stock.StockConfig) -> None:
        super().__init__(config)
        for layer in self.layer:
            layer.merge = _Scaled(config)


class _Scaled(nn.Linear):
    def __init__(self, config: stock.StockConfig) -> None:
        super().__init__(config.hidden_size, config.hidden_size)
        self.register_buffer("slopes", 1.0 + torch.arange(config.hidden_size), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * self.slopes)


def test_heads_that_are_known_by_their_place_are_left_alone() -> None:
    family = dataclasses.replace(stock.FAMILY, build=Slanted)
    bundles = find_bundles(family, stock.StockConfig(), Submodel())
    # The FFN units are found; the heads are not, so what follows their sizes is no width either.
    assert {bundle.held[0].block for bundle in bundles} == {1}
    assert all(bundle.layer is not None for bundle in bundles)


def outputs(family: Family, config: Config, model: Callable[..., Tensor]) -> Tensor:
    inputs = family.example_inputs(config, 3)
    with torch.no_grad():
        return model(**{name: one.double() if one.is_floating_point() else one for name, one in inputs.items()})
