"""Several submodels' graphs over one file of weights: the same session as each one's own file."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from bstsearch.errors import BstsearchError
from bstsearch.graphs.onnx_file import locate, write_onnx
from bstsearch.graphs.positions import Located
from bstsearch.graphs.shared_weights import SharedWeights
from bstsearch.graphs.short_graph import LETTERS, ShortGraph, Stored
from bstsearch.model.supernet import Supernet
from bstsearch.space import Submodel

IDS = ["w1-d1", "w1of4-d1of4", "w1of2-d2.3of4", "w3of4-d1-h2.2.2.2.1.1.1.1of2-f1.2.3.4.1.2.3.4of4"]


def located(supernet: Supernet, submodel: Submodel) -> Located:
    small = supernet.family.shrink(supernet.config, submodel)
    model, positions = supernet.numbered(submodel)
    return locate(model, supernet.family.example_inputs(small, 1), positions, supernet.family.free_axes(small))


@pytest.fixture(scope="module")
def folder(tiny_supernet: Supernet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    weights = SharedWeights(folder / "weights.bin", sum(p.numel() for p in tiny_supernet.model.parameters()))
    weights.add_full(located(tiny_supernet, Submodel()))
    for name in IDS:
        onnx.save(weights.graph(located(tiny_supernet, Submodel.from_id(name))), folder / f"{name}.onnx")
    return folder


def session(path: Path, optimised: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.optimized_model_filepath = 4, str(optimised)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", IDS)
def test_the_session_is_the_one_of_the_submodel_s_own_file(
    folder: Path, tiny_supernet: Supernet, tmp_path: Path, name: str
) -> None:
    submodel = Submodel.from_id(name)
    model = tiny_supernet.materialise(submodel)
    inputs = tiny_supernet.family.example_inputs(tiny_supernet.config, 3)
    write_onnx(model, inputs, tmp_path / "own.onnx")
    feed = {key: tensor.numpy() for key, tensor in inputs.items()}
    paths = {folder / f"{name}.onnx": tmp_path / "a.onnx", tmp_path / "own.onnx": tmp_path / "b.onnx"}
    outputs = [session(path, optimised).run(None, feed)[0] for path, optimised in paths.items()]
    np.testing.assert_array_equal(*outputs)
    kinds = [
        collections.Counter(node.op_type for node in onnx.load(path, load_external_data=False).graph.node)
        for path in paths.values()
    ]
    assert kinds[0] == kinds[1]
    onnx.checker.check_model(str(folder / f"{name}.onnx"), full_check=True)


def test_the_file_holds_the_full_model_once_and_graphs_hold_no_weights(folder: Path, tiny_supernet: Supernet) -> None:
    numbers = sum(parameter.numel() for parameter in tiny_supernet.model.parameters())
    tensors = len(list(tiny_supernet.model.parameters()))
    assert 4 * numbers * 0.9 < (folder / "weights.bin").stat().st_size < 4 * numbers + 64 * tensors
    for name in IDS[1:]:
        graph = onnx.load(folder / f"{name}.onnx", load_external_data=False).graph
        assert sum(tensor.ByteSize() for tensor in graph.initializer) < 100 * len(graph.initializer)


def test_full_columns_are_not_sliced(folder: Path) -> None:
    kinds = collections.Counter(
        node.op_type for node in onnx.load(folder / "w1-d1.onnx", load_external_data=False).graph.node
    )
    assert kinds["Slice"] == 0


def test_equal_constants_of_different_parameters_are_not_confused(tiny_supernet: Supernet, tmp_path: Path) -> None:
    """Were slices found by their contents, zeros and ones of an untrained model would be found anywhere."""
    supernet = Supernet(tiny_supernet.family, tiny_supernet.config).eval()
    with torch.no_grad():
        for parameter in supernet.model.parameters():
            parameter.fill_(0.5)
    weights = SharedWeights(tmp_path / "weights.bin", sum(p.numel() for p in supernet.model.parameters()))
    weights.add_full(located(supernet, Submodel()))
    onnx.save(weights.graph(located(supernet, Submodel.from_id(IDS[2]))), tmp_path / "model.onnx")
    inputs = supernet.family.example_inputs(supernet.config, 2)
    feed = {key: tensor.numpy() for key, tensor in inputs.items()}
    with torch.no_grad():
        expected = supernet.materialise(Submodel.from_id(IDS[2]))(**inputs).numpy()
    np.testing.assert_allclose(session(tmp_path / "model.onnx", tmp_path / "o.onnx").run(None, feed)[0], expected, 1e-4)


def test_a_file_with_other_numbers_is_refused(tiny_supernet: Supernet, tmp_path: Path) -> None:
    weights = SharedWeights(tmp_path / "weights.bin", sum(p.numel() for p in tiny_supernet.model.parameters()))
    weights.add_full(located(tiny_supernet, Submodel()))
    other = Supernet(tiny_supernet.family, tiny_supernet.config).eval()
    with pytest.raises(BstsearchError, match=r"weights\.bin does not hold the numbers of"):
        weights.graph(located(other, Submodel.from_id(IDS[1])))


VIEWS: Mapping[str, list[list[tuple[int, int]]]] = {
    "all": [[(0, 6)], [(0, 12)]],
    "rows": [[(2, 5)], [(0, 12)]],
    "columns": [[(0, 6)], [(3, 9)]],
    "equal blocks": [[(0, 3)], [(0, 2), (4, 6), (8, 10)]],
    "blocks of many sizes": [[(1, 4)], [(0, 3), (4, 6), (8, 12)]],
    "blocks of rows": [[(0, 1), (3, 4)], [(0, 12)]],
    "rows and columns of many sizes": [[(0, 1), (3, 5)], [(1, 2), (7, 12)]],
}


@pytest.mark.parametrize("runs", VIEWS.values(), ids=VIEWS.keys())
def test_runs_of_any_axis_are_taken(runs: list[list[tuple[int, int]]], tmp_path: Path) -> None:
    stored = np.arange(72, dtype=np.float32).reshape(6, 12)
    (tmp_path / "weights.bin").write_bytes(bytes(8) + stored.tobytes())
    rows, columns = (np.concatenate([np.arange(*run) for run in axis]) for axis in runs)
    expected: NDArray[np.float32] = stored[np.ix_(rows, columns)]
    make, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["a", "weight"], ["sum"])],
        "add",
        [make("a", kind, [1])],
        [make("sum", kind, list(expected.shape))],
    )
    source = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8)
    short = ShortGraph(source, "weights.bin")
    short.view("weight", Stored(start=8, shape=stored.shape, dtype=stored.dtype), runs)
    onnx.save(short.model(), tmp_path / "model.onnx")
    found = session(tmp_path / "model.onnx", tmp_path / "o.onnx").run(None, {"a": np.zeros(1, np.float32)})[0]
    np.testing.assert_array_equal(found, expected)


def test_short_names_are_new_ones(tmp_path: Path) -> None:
    """Inputs and outputs keep their names, whatever they are called."""
    make, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    names = [f"value{number}" for number in range(2 * len(LETTERS))]
    nodes = [onnx.helper.make_node("Neg", [a], [b]) for a, b in zip(["a", *names], [*names, "b"], strict=True)]
    graph = onnx.helper.make_graph(nodes, "negate", [make("a", kind, [1])], [make("b", kind, [1])])
    source = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(ShortGraph(source, "weights.bin").model(), tmp_path / "model.onnx")
    onnx.checker.check_model(str(tmp_path / "model.onnx"), full_check=True)
    found = session(tmp_path / "model.onnx", tmp_path / "o.onnx").run(None, {"a": np.ones(1, np.float32)})[0]
    assert found == (-1) ** (len(names) + 1)
