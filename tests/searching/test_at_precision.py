from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bstsearch.graphs.onnx_precision import example_rows
from bstsearch.model.supernet import Supernet
from bstsearch.score import ACCURACY
from bstsearch.searching.at_precision import model_of, outputs_of
from bstsearch.searching.racer import Racer
from bstsearch.space import Precision, Submodel
from bstsearch.tasks.split import ImageSplit


@pytest.mark.parametrize(("precision", "share"), [("float16", 0.01), ("int8", 0.2)])
def test_outputs_are_those_of_torch_but_for_rounding(
    precision: Precision, share: float, tiny_supernet: Supernet
) -> None:
    submodel = Submodel.from_id("w1of2-d1of2")
    inputs = tiny_supernet.family.example_inputs(tiny_supernet.config, example_rows(precision, 3))
    with (
        torch.no_grad(),
        tiny_supernet.bind(submodel) as exact,
        model_of(tiny_supernet, submodel.at(precision)) as near,
    ):
        expected, found = exact(**inputs), near(**inputs)
    assert not torch.equal(found, expected)
    assert float((found - expected).abs().max()) < share * float(expected.abs().max())


def test_torch_refuses_what_it_does_not_compute_in(tiny_supernet: Supernet) -> None:
    with pytest.raises(ValueError, match="w1-d1-int8: torch computes in float32"):
        tiny_supernet.materialise(Submodel(precision="int8"))


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_a_race_scores_what_an_evaluation_does(precision: Precision, yes_folder: Path, small_split: ImageSplit) -> None:
    supernet, submodel = Supernet.load(yes_folder), Submodel.from_id("w1of4-d1of4").at(precision)
    kept = outputs_of(supernet, submodel, small_split, where="the supernet")
    found = Racer(supernet, small_split, ACCURACY).score(submodel)
    assert found.score == small_split.score(kept)
    assert found.rights is not None
