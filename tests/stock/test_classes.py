"""Each stock class that is tried: its groups, their proof, and its submodels as folders of the same class."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from classes import CLASSES, inspected

from bstsearch.model.supernet import Supernet
from bstsearch.model.zero_padding import RIGHT
from bstsearch.stock.configuration import HERE
from bstsearch.stock.exporting import write_stock
from bstsearch.stock.family import FAMILY
from bstsearch.testing.families import assert_same

# DeBERTa's own code makes a tensor of a tensor.
pytestmark = pytest.mark.filterwarnings("ignore:To copy construct from a tensor")
QUICK = ("BertForSequenceClassification", "ViTForImageClassification", "GPT2LMHeadModel", "Phi3ForCausalLM")
NAMES = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CLASSES]


@pytest.mark.parametrize("name", NAMES)
def test_groups_are_found_and_proved(name: str) -> None:
    found = inspected(name)
    assert {frozenset(group.names) for group in found.groups} == CLASSES[name][1]
    assert all(group.error <= RIGHT for group in found.groups)
    assert found.error <= RIGHT
    assert found.left == ()
    assert found.config.found.stacks, "no list of layers can lose some"


@pytest.mark.parametrize("name", NAMES)
def test_a_submodel_is_bound_and_is_a_folder_of_the_same_class(name: str, tmp_path: Path) -> None:
    supernet = Supernet(FAMILY, inspected(name).config).eval()
    inputs = FAMILY.example_inputs(supernet.config, 2)
    smallest = supernet.space.smallest
    with supernet.bind(smallest) as model, torch.no_grad():
        torch.manual_seed(0)  # ViLT draws the order of its patches
        bound = model(**inputs)
        torch.manual_seed(0)
        assert_same(supernet.materialise(smallest)(**inputs), bound, smallest)
    told = write_stock(supernet, smallest, tmp_path / "none", tmp_path)
    assert told["parameters"] < told["of"]


def test_the_lists_of_a_configuration_follow_the_layers_that_are_kept() -> None:
    """Attention by windows or not, layer by layer; and the places of those that see everything."""
    config = inspected("ModernBertForSequenceClassification").config
    (stack,) = FAMILY.stacks(config)
    assert stack.rows == (f"{HERE}layer_types",)
    kinds = config.settings["layer_types"]
    assert stack.following(config, (0, 3))[f"{HERE}layer_types"] == [kinds[0], kinds[3]]


@pytest.mark.slow
def test_places_of_layers_are_numbered_anew() -> None:
    config = inspected("Qwen2_5_VLForConditionalGeneration").config
    stack = next(one for one in FAMILY.stacks(config) if one.places)
    (name,) = stack.places
    assert stack.following(config, (0, 3))[name] == [1]  # of [1, 3], the last one is the second now


def test_fused_parts_are_found() -> None:
    axes = inspected("Phi3ForCausalLM").config.found.axes
    assert {axis.parts for axis in axes if "qkv_proj" in axis.parameter} == {(2, 1, 1)}
    assert {axis.parts for axis in axes if "gate_up_proj" in axis.parameter} == {(1, 1)}


@pytest.mark.slow
def test_the_size_of_a_head_is_exact_but_unwanted() -> None:
    found = inspected("T5EncoderModel")
    assert found.fixed["d_kv"] == "exact, but its axes follow num_heads already"


def test_what_the_inputs_set_stays() -> None:
    found = inspected("BertForSequenceClassification")
    assert found.fixed["vocab_size"] == "set by the inputs"
    assert found.fixed["max_position_embeddings"].startswith("the class does not run with less of it: ")
