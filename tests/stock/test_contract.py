"""The contract of families, passed by stock classes: their configurations say what can shrink.

Some pass the whole of it here, the others the part that holds their slices against the full model. With
STOCK_CONTRACT=all in the environment all of them pass all of it, for a quarter of an hour.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from classes import CLASSES, inspected

from bstsearch.stock.configuration import StockConfig
from bstsearch.stock.family import FAMILY
from bstsearch.testing.families import FamilyContract

# DeBERTa's own code makes a tensor of a tensor; transformers asks tensors for their truth while they are traced.
pytestmark = [
    pytest.mark.filterwarnings("ignore:To copy construct from a tensor"),
    pytest.mark.filterwarnings("ignore:Converting a tensor to a Python"),
]
QUICK = ("BertForSequenceClassification",)
WHOLE = (*QUICK, "Phi3ForCausalLM", "CLIPModel")
PART = (
    "test_fewer_layers_are_the_full_model_without_the_others",
    "test_a_narrower_model_is_the_full_one_with_zeros_around_it",
)
# ViLT draws an order of patches: sums in another order are not the same bit by bit, and the draw cannot be traced.
# BLIP's labels, without which its words have no output, change its loss alone: they are no input of the graph.
OF_GRAPHS = (
    "test_onnx_computes_what_the_materialised_submodel_does",
    "test_over_the_full_model_s_file_of_weights_a_submodel_is_that_of_its_own_file",
)
LEFT_OUT = {
    "BlipForQuestionAnswering": OF_GRAPHS,
    "Idefics3ForConditionalGeneration": OF_GRAPHS,  # cuts a picture in a way that the exporter does not know
    # Its vision looks up by number which layers see all windows: without some, others have wrong numbers. How they are
    # numbered anew is in test_classes.py, and `inspect` proves the layers with the new numbers.
    "Qwen2_5_VLForConditionalGeneration": ("test_fewer_layers_are_the_full_model_without_the_others",),
    "SmolVLMForConditionalGeneration": OF_GRAPHS,
    "ViltForQuestionAnswering": (
        "test_forward_is_the_fixed_part_then_the_elastic_part",
        "test_the_largest_submodel_is_the_full_model",
        *OF_GRAPHS,
        "test_gradients_are_the_materialised_ones_at_their_slice_and_none_elsewhere",
    ),
}


class _Stock(FamilyContract):
    family = FAMILY
    architecture: str

    @property
    def config(self) -> StockConfig:  # type: ignore[override]
        return inspected(self.architecture).config


def _contract(name: str) -> Any:
    """The class of tests for one stock class, without the tests that it is not to pass here."""
    tests = [test for test in dir(FamilyContract) if test.startswith("test_")]
    is_whole = name in WHOLE or os.environ.get("STOCK_CONTRACT") == "all"
    kept = set(tests if is_whole else PART) - set(LEFT_OUT.get(name, ()))
    without = dict.fromkeys(test for test in tests if test not in kept)
    found = type(f"Test{name}", (_Stock,), {"architecture": name, "__module__": __name__, **without})
    return found if name in QUICK else pytest.mark.slow(found)


globals().update({f"Test{name}": _contract(name) for name in CLASSES})
