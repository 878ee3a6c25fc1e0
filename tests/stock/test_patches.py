"""ViLT's patches in order are what its own forward computes with them in a drawn order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from classes import CLASSES
from folders import config_of

from bstsearch.answering.exported_folder import open_session
from bstsearch.graphs.onnx_file import write_onnx
from bstsearch.stock.configuration import StockConfig
from bstsearch.stock.inputs import example_inputs
from bstsearch.stock.module import StockModel, build

VILT = "ViltForQuestionAnswering"


@pytest.fixture(scope="module")
def config() -> StockConfig:
    return config_of(VILT, CLASSES[VILT][0] | {"num_labels": 5, "image_size": 32})


def both(config: StockConfig) -> tuple[StockModel, StockModel]:
    """The model, and the same one as its class computes."""
    torch.manual_seed(0)
    model = build(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.3)
    return model, StockModel(model.model, model.names, is_drawing=True).eval()


@pytest.mark.parametrize(("dtype", "off"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_the_stock_forward_gives_the_same_whatever_order_it_draws(
    config: StockConfig, dtype: torch.dtype, off: float
) -> None:
    model, stock = (one.to(dtype) for one in both(config))
    inputs = example_inputs(config, 3)
    inputs["pixel_values"] = inputs["pixel_values"].to(dtype)
    inputs["attention_mask"][1, 7:] = 0
    with torch.no_grad():
        found = model(**inputs)
        drawn = [stock(**inputs) for _ in range(4)]
    assert found.shape == (3, 5)
    assert found.std() > 0.1
    assert max(float((one - found).abs().max()) for one in drawn) < off
    assert not torch.equal(drawn[0], drawn[1])  # another order, another rounding
    assert torch.equal(model(**inputs), model(**inputs))


def test_gradients_are_the_same(config: StockConfig) -> None:
    model, stock = (one.double() for one in both(config))
    inputs = example_inputs(config, 2)
    inputs["pixel_values"] = inputs["pixel_values"].double()
    gradients = []
    for one in (model, stock):
        one.zero_grad()
        one(**inputs).square().sum().backward()
        gradients.append({name: weight.grad.clone() for name, weight in one.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-9, atol=1e-9)


def test_a_model_that_sees_some_patches_only_draws_them_as_its_class_does(config: StockConfig) -> None:
    few = config.with_settings({"max_image_length": 3})
    model, inputs = build(few).eval(), example_inputs(few, 2)
    with torch.no_grad():
        assert not torch.equal(model(**inputs), model(**inputs))


def test_the_graph_computes_what_the_stock_forward_does(config: StockConfig, tmp_path: Path) -> None:
    model, stock = both(config)
    write_onnx(model, example_inputs(config, 1), tmp_path / "model.onnx")
    inputs = example_inputs(config, 3)
    session = open_session(tmp_path / "model.onnx")
    (found,) = session.run(None, {name: value.numpy() for name, value in inputs.items()})
    with torch.no_grad():
        np.testing.assert_allclose(found, stock(**inputs).numpy(), atol=1e-4)
