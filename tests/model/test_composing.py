"""Sums over layers against whole models counted by fvcore, as integers, on random submodels of every family."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import pytest
import torch
from grouped import FAMILY as GROUPED
from grouped import GroupedConfig
from stock import FAMILY as STOCK
from stock import StockConfig
from torch import Tensor, nn
from toy import FAMILY as TOY
from toy import Toy, ToyConfig

from bstsearch.errors import InputError
from bstsearch.listener import Listener
from bstsearch.model import composing
from bstsearch.model.composing import compose
from bstsearch.model.cost import Cost
from bstsearch.model.counting import count, count_parts
from bstsearch.model.family import Config, Family
from bstsearch.model.layer_costs import LayerCosts
from bstsearch.model.lookup import get_preset
from bstsearch.reading import checked
from bstsearch.space import ONE, Space, Submodel

QUARTERS = tuple(Fraction(n, 4) for n in (1, 2, 3, 4))


def elastic(family: Family, config: Config) -> Space:
    """All that is free in the family: stacks, layers, every width with every depth, tokens of the image."""
    return dataclasses.replace(family.space(config).elastic.unfiltered, tokens=family.token_shares(config))


def drawn(space: Space, count: int, seed: int = 1) -> Iterator[Submodel]:
    """Submodels of an elastic space, each choice by itself."""
    draw = random.Random(seed).choice
    for _ in range(count):
        depths = tuple(draw(space.depths) for _ in space.stacks)
        depths = depths if space.has_own_depths else depths[:1] * len(depths)
        one = Submodel(width=draw(space.widths), depths=depths, tokens=draw(space.tokens))
        layers = space.kept_layers(one)
        heads, ffn = (
            tuple(draw(row) for _ in range(layers)) if row else () for row in (space.layer_heads, space.layer_ffn)
        )
        yield dataclasses.replace(one, heads=heads, ffn=ffn)


class Notes(Listener):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def preset(name: str, **changes: Any) -> tuple[Family, Config]:
    family, config = get_preset(name)
    return family, dataclasses.replace(config, **changes)


SMALL = {
    "mcan on pictures": preset("mcan-easy-vqa", image_side=32),
    "mcan on regions": preset("mcan-objects-sort-of-clevr", box_features=0),
    "mcan on regions with boxes": preset("mcan-objects-sort-of-clevr"),
    "mcan whose layers differ": preset(
        "mcan-objects-sort-of-clevr", encoder_heads=(4, 8, 4, 4), encoder_ffn=(256, 64, 64, 128)
    ),
    "mcan with stacks of their own depth": preset(
        "mcan-objects-sort-of-clevr", decoder_heads=(4,) * 8, decoder_ffn=(256,) * 8
    ),
    "uniter": preset("uniter-easy-vqa"),
    "uniter with fixed tables": preset("uniter-easy-vqa", table_hidden=64),
    "clip_vil": preset("clip-vil-easy-vqa"),
    "clip_vil on a saved grid": preset("clip-vil-easy-vqa", tower_layers=()),
    "toy": (TOY, ToyConfig()),
    "grouped": (GROUPED, GroupedConfig()),
    "stock": (STOCK, StockConfig()),
}


@pytest.mark.parametrize(
    ("family", "config", "number"),
    [
        *(pytest.param(*model, 4, id=name) for name, model in SMALL.items() if name in ("uniter", "grouped")),
        *(pytest.param(*model, 25, id=name, marks=pytest.mark.slow) for name, model in SMALL.items()),
        *(
            pytest.param(*get_preset(name), 3, id=name, marks=pytest.mark.slow)
            for name in ("mcan-vqa-v2", "mcan-gqa", "uniter-base")
        ),
    ],
)
def test_a_sum_over_layers_is_what_is_counted(family: Family, config: Config, number: int) -> None:
    space = family.space(config).unfiltered if family is STOCK else elastic(family, config)
    costs = compose(family, config, space)
    assert costs is not None
    for submodel in drawn(space, number):
        assert costs.cost(submodel) == count(family, config, submodel), submodel.id


@pytest.fixture(scope="module")
def costs() -> LayerCosts:
    found = compose(TOY, ToyConfig(), elastic(TOY, ToyConfig()))
    assert found is not None
    return found


def test_costs_are_read_as_they_were_written(costs: LayerCosts) -> None:
    assert checked(json.loads(json.dumps(costs.to_json())), LayerCosts, "layers") == costs


def test_layers_that_cost_the_same_are_told_once(costs: LayerCosts) -> None:
    assert [stack.kinds for stack in costs.stacks] == [(0, 0, 0, 0)]
    assert {len(cell.kinds) for cell in costs.cells} == {1}


@pytest.mark.parametrize(
    "name",
    [
        "w1of3-d1",  # of a width that was not counted
        "w1-d1of3",  # of a third of four layers
        "w1-d1-h12of2",  # heads for two layers of four
        "w1-d1-h1115of8",  # a share of heads that the space has not
        "w1-d1.2of4",  # depths for two stacks of one
        "w1-d1-t1of4",
    ],
)
def test_what_is_outside_of_the_space_is_not_summed(name: str, costs: LayerCosts) -> None:
    assert costs.cost(Submodel.from_id(name)) is None


def test_own_depths_are_summed_where_they_were_counted() -> None:
    family, config = SMALL["mcan on regions"]
    uniform = compose(family, config, family.space(config))
    own = Submodel.from_id("w1of2-d1.2of4")
    assert uniform is not None
    assert uniform.cost(own) is None
    assert uniform.cost(Submodel.from_id("w1of2-d1of2")) is not None


def test_costs_of_other_stacks_are_refused(costs: LayerCosts) -> None:
    with pytest.raises(InputError, match="not of the stacks"):
        dataclasses.replace(costs, stacks=costs.stacks * 2)
    with pytest.raises(InputError, match="keep_order must name each layer once"):
        dataclasses.replace(costs.stacks[0], keep_order=(0, 0, 1, 2))


# Models that are no sums


def changed(elastic_part: Callable[[Any, Tensor], Tensor]) -> Family:
    """The toy family with another way through its layers."""

    class Changed(Toy):
        def elastic(self, words_BT: Tensor) -> Tensor:
            return elastic_part(self, words_BT)

    return dataclasses.replace(TOY, name="changed", build=Changed)


def shortening(model: Any, words_BT: Tensor) -> Tensor:
    """Each layer sees one token less than the one before."""
    x_BTD = model.embedding(words_BT)
    for layer in model.layers:
        x_BTD = layer(x_BTD)[:, 1:]
    return x_BTD.mean(1)


def squaring(model: Any, words_BT: Tensor) -> Tensor:
    """Every two layers are compared, outside of them."""
    outputs = []
    x_BTD = model.embedding(words_BT)
    for layer in model.layers:
        x_BTD = layer(x_BTD)
        outputs.append(x_BTD)
    together_BSD = torch.cat(outputs, 1)
    return together_BSD @ together_BSD.transpose(1, 2)


def twice(model: Any, words_BT: Tensor) -> Tensor:
    """A layer's first map is used once more, for all heads together: a product of heads and heads."""
    x_BTD = model.embedding(words_BT)
    for layer in model.layers:
        x_BTD = layer(x_BTD) + (layer.qkv.weight @ layer.qkv.weight.transpose(0, 1)).sum()
    return x_BTD.mean(1)


class Sharing(Toy):
    """All layers are the first one."""

    def __init__(self, config: ToyConfig) -> None:
        super().__init__(config)
        for layer in self.layers[1:]:
            for name, _ in list(self.layers[0].named_parameters()):
                owner, _, leaf = name.rpartition(".")
                source: nn.Module = self.layers[0].get_submodule(owner)
                if getattr(source, leaf).shape == getattr(layer.get_submodule(owner), leaf).shape:
                    setattr(layer.get_submodule(owner), leaf, getattr(source, leaf))


@pytest.mark.parametrize(
    "family",
    [changed(shortening), changed(squaring), changed(twice), dataclasses.replace(TOY, name="sharing", build=Sharing)],
    ids=["shortening", "squaring", "twice", "sharing"],
)
def test_models_that_are_no_sums_are_not_summed(family: Family) -> None:
    listener = Notes()
    assert compose(family, ToyConfig(), elastic(TOY, ToyConfig()), listener) is None
    assert listener.notes == [
        f"{family.name}: costs are no sums over layers here, so each submodel is counted by itself"
    ]


def test_layers_that_do_not_run_under_their_own_name_are_not_summed() -> None:
    """Their attention counts as the rest's, which then differs from depth to depth."""

    def inline(model: Any, words_BT: Tensor) -> Tensor:
        x_BTD = model.embedding(words_BT)
        for layer in model.layers:
            x_BTD = layer.forward(x_BTD)
        return model.output(x_BTD.mean(1))

    family = changed(inline)
    parts, expected = (count_parts(one, ToyConfig(), Submodel()) for one in (family, TOY))
    assert parts.total == expected.total
    assert parts.base.macs > expected.base.macs
    assert compose(family, ToyConfig(), elastic(TOY, ToyConfig())) is None


def test_few_models_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []

    def noting(family: Family, config: Config, submodel: Submodel) -> Any:
        counted.append(submodel)
        return count_parts(family, config, submodel)

    monkeypatch.setattr(composing, "count_parts", noting)
    compose(TOY, ToyConfig(), elastic(TOY, ToyConfig()))
    assert len(counted) == len(set(counted)) <= 4 * 4
    counted.clear()
    alone = Space(widths=(ONE,), depths=(ONE,), stacks=(4,))
    found = compose(TOY, ToyConfig(), alone)
    assert found is not None
    assert (counted, found.cost(Submodel())) == ([Submodel()], count(TOY, ToyConfig(), Submodel()))


def test_parts_of_a_model() -> None:
    family, config = SMALL["mcan on regions"]
    parts = count_parts(family, config, Submodel.from_id("w1of2-d1of2"))
    assert [len(row) for row in parts.layers] == [2, 2]
    assert len({cost for row in parts.layers for cost in row}) == 2
    assert parts.base.recurrent_macs > 0
    assert parts.total == count(family, config, Submodel.from_id("w1of2-d1of2"))
    hidden, ffn = 32, 128
    attention = 4 * (hidden * hidden + hidden)
    assert parts.layers[0][0].parameters == attention + 2 * hidden * ffn + ffn + hidden + 4 * hidden
    assert isinstance(parts.base, Cost)
