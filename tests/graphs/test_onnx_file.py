from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bstsearch.families.mcan import FAMILY
from bstsearch.graphs.onnx_file import write_onnx
from bstsearch.model.supernet import Supernet
from bstsearch.space import Submodel

Run = Callable[[dict[str, Tensor]], NDArray[np.float32]]


@pytest.fixture(
    scope="module", params=["w1-d1", "w1of2-d1", "w1of4-d1of4", "w1-d1-h2.2.2.2.1.1.1.1of2-f1.2.3.4.1.2.3.4of4"]
)
def model(request: pytest.FixtureRequest, tiny_supernet: Supernet) -> nn.Module:
    return tiny_supernet.materialise(Submodel.from_id(request.param))


@pytest.fixture(scope="module")
def path(model: nn.Module, tiny_supernet: Supernet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    write_onnx(model, FAMILY.example_inputs(tiny_supernet.config, batch=2), path)
    return path


def run(path: Path, inputs: dict[str, Tensor]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    logits: NDArray[np.float32] = session.run(["logits"], {name: tensor.numpy() for name, tensor in inputs.items()})[0]
    return logits


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_any_batch_gives_what_torch_gives(model: nn.Module, path: Path, tiny_supernet: Supernet, batch: int) -> None:
    inputs = FAMILY.example_inputs(tiny_supernet.config, batch)
    inputs["question"][:, 6:] = 0  # padding, as in real questions
    with torch.no_grad():
        expected = model(**inputs).numpy()
    assert np.abs(run(path, inputs) - expected).max() < 1e-5


def test_file_is_standard_onnx_of_opset_18_with_a_named_batch_axis(path: Path) -> None:
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 18)]
    assert {node.domain for node in model.graph.node} == {""}
    assert [value.name for value in model.graph.input] == ["question", "image"]
    assert [value.name for value in model.graph.output] == ["logits"]
    first_axes = [value.type.tensor_type.shape.dim[0] for value in (*model.graph.input, *model.graph.output)]
    assert {axis.dim_param for axis in first_axes} == {"batch"}


def test_no_arithmetic_on_shapes_is_left(path: Path) -> None:
    kinds = {node.op_type for node in onnx.load(path).graph.node}
    assert kinds.isdisjoint({"Shape", "ConstantOfShape", "Constant", "Identity", "Slice"})


def test_file_holds_each_weight_once(model: nn.Module, path: Path) -> None:
    parameters = sum(parameter.numel() for parameter in model.parameters())
    assert path.stat().st_size < 4 * parameters + 1000 * len(onnx.load(path).graph.node)


def test_training_mode_is_left_as_it_was(tiny_supernet: Supernet, tmp_path: Path) -> None:
    model = tiny_supernet.materialise(tiny_supernet.space.smallest).train()
    write_onnx(model, FAMILY.example_inputs(tiny_supernet.config, batch=1), tmp_path / "model.onnx")
    assert model.training


def test_a_model_that_cannot_be_exported_leaves_the_old_file(tmp_path: Path) -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("broken")

    path = tmp_path / "model.onnx"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="broken"):
        write_onnx(Broken(), {"x": torch.zeros(1, 2)}, path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    assert path.read_text() == "old"
