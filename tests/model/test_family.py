from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from toy import FAMILY, ToyConfig, shrink

from bstsearch.errors import InputError
from bstsearch.families import mcan
from bstsearch.model.config import config_from_json, config_to_json
from bstsearch.model.family import whole
from bstsearch.model.lookup import get_family
from bstsearch.model.supernet import Supernet
from bstsearch.space import Space, Submodel

HALF, ONE = Fraction(1, 2), Fraction(1)


# Which spaces a model allows


def test_a_space_for_other_stacks_is_refused() -> None:
    with pytest.raises(InputError, match=r"the space is for stacks of \(6,\) layers; this toy has \(4,\)"):
        Supernet(FAMILY, ToyConfig(), Space.bst(stacks=(6,)))


@pytest.mark.parametrize("choice", ["layer_heads", "layer_ffn", "widths"])
def test_fractional_heads_and_units_are_refused(choice: str) -> None:
    third = (Fraction(1, 3), ONE)
    space = Space(**{"widths": (ONE,), "depths": (ONE,), "stacks": (4,), choice: third})
    with pytest.raises(InputError, match="times 1/3 is not a whole number; choose other widths or sizes"):
        Supernet(FAMILY, ToyConfig(), space)


def test_a_layer_choice_need_not_divide_what_it_does_not_scale() -> None:
    config = ToyConfig(hidden=8, heads=(3,) * 4, ffn=(16,) * 4)
    space = Space(widths=(ONE,), depths=(ONE,), stacks=(4,), layer_heads=(Fraction(1, 3), ONE))
    FAMILY.check(config, space)


def test_a_family_that_shrinks_its_heads_instead_of_dropping_some_is_refused() -> None:
    def narrower_heads(config: ToyConfig, submodel: Submodel) -> ToyConfig:
        small = shrink(config, dataclasses.replace(submodel, heads=(ONE,) * len(shrink(config, submodel).heads)))
        return dataclasses.replace(small, head_dim=whole(config.head_dim, submodel.width, "head_dim"))

    family = dataclasses.replace(FAMILY, shrink=narrower_heads)
    space = Space(widths=(HALF, ONE), depths=(ONE,), stacks=(4,))
    with pytest.raises(InputError, match="toy w1of2-d1: head_dim is fixed at 2, not 1"):
        Supernet(family, ToyConfig(), space)


def test_keep_orders_say_which_layers_stay() -> None:
    assert FAMILY.kept_layers(ToyConfig(), Submodel(depth=HALF)) == {"layers": (0, 3)}
    assert FAMILY.kept_layers(ToyConfig(), Submodel(depth=Fraction(3, 4))) == {"layers": (0, 1, 3)}


# Names and files


def test_families_are_found_by_name() -> None:
    assert get_family("mcan") is mcan.FAMILY
    with pytest.raises(InputError, match=r"unknown family 'toy'; known are .*mcan"):
        get_family("toy")


@pytest.mark.parametrize("name", mcan.PRESETS)
def test_a_configuration_survives_json(name: str) -> None:
    config = mcan.PRESETS[name]
    assert config_from_json(mcan.McanConfig, json.loads(json.dumps(config_to_json(config)))) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.update(colour=1), "McanConfig: unknown field 'colour'; its fields: vocab, answers"),
        (lambda data: data.pop("vocab"), "McanConfig: object missing required field vocab"),
        (lambda data: data.update(vocab="28"), "McanConfig, vocab: expected int, got str"),
        (lambda data: data.update(vocab=28.0), "McanConfig, vocab: expected int, got float"),
        (lambda data: data.update(vocab=True), "McanConfig, vocab: expected int, got bool"),
        (lambda data: data.update(encoder_ffn=32), "McanConfig, encoder_ffn: expected array, got int"),
        (lambda data: data.update(encoder_ffn=[32, None]), r"McanConfig, encoder_ffn\[1\]: expected int, got null"),
        (lambda data: data.update(dropout="0"), "McanConfig, dropout: expected float, got str"),
        (lambda data: data.update(hidden=-1), "McanConfig, hidden: expected int >= 0"),
        (lambda data: data.update(hidden=10**15), "McanConfig, hidden: expected int <= 10000000"),
        (lambda data: data.update(vocab="x" * 300_000), "McanConfig, vocab: expected str of length <= 1000"),
        (lambda data: data.update(encoder_ffn=[8] * 2000), "McanConfig, encoder_ffn: expected array of length <= 1000"),
        (lambda data: data.update(dropout=float("nan")), "McanConfig, dropout: expected"),
    ],
)
def test_a_malformed_configuration_is_refused(change: Callable[[dict[str, Any]], object], message: str) -> None:
    data = json.loads(json.dumps(config_to_json(mcan.PRESETS["mcan-easy-vqa"])))
    change(data)
    with pytest.raises(InputError, match=message):
        config_from_json(mcan.McanConfig, data)


def test_a_configuration_that_is_no_object_is_refused() -> None:
    with pytest.raises(InputError, match="McanConfig: expected object, got array"):
        config_from_json(mcan.McanConfig, [])


def test_a_whole_number_counts_as_a_float() -> None:
    data = config_to_json(mcan.PRESETS["mcan-easy-vqa"]) | {"dropout": 0}
    assert config_from_json(mcan.McanConfig, data) == mcan.PRESETS["mcan-easy-vqa"]
