from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bstsearch.graphs.live_set import largest_live_set

FLOAT = 4


def weight(name: str, *shape: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.zeros(shape, np.float32), name)


def save(
    nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto], path: Path, kind: int = TensorProto.FLOAT
) -> Path:
    """A graph from x (any batch, 4) to y."""
    ends = [helper.make_tensor_value_info(name, kind, ["batch", 4]) for name in "xy"]
    graph = helper.make_graph(nodes, "made up", ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)
    return path


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_what_waits_for_later_counts(batch: int, tmp_path: Path) -> None:
    """A layer with a residual: while c is computed, x waits for the sum, and b (8 wide) has just been read."""
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),  # x 4, a 4
        helper.make_node("MatMul", ["a", "up"], ["b"]),  # x 4, a 4, b 8
        helper.make_node("Relu", ["b"], ["c"]),  # x 4, b 8, c 8: the most
        helper.make_node("MatMul", ["c", "down"], ["d"]),  # x 4, c 8, d 4
        helper.make_node("Add", ["d", "x"], ["y"]),  # x 4, d 4, y 4
    ]
    path = save(nodes, [weight("up", 4, 8), weight("down", 8, 4)], tmp_path / "graph.onnx")
    assert largest_live_set(path, {"x": (batch, 4)}) == (4 + 8 + 8) * batch * FLOAT


def test_what_is_spent_does_not(tmp_path: Path) -> None:
    """However long a chain is, two neighbours live at a time."""
    names = ["x", *(f"t{number}" for number in range(9)), "y"]
    nodes = [helper.make_node("Relu", [one], [other]) for one, other in itertools.pairwise(names)]
    assert largest_live_set(save(nodes, [], tmp_path / "graph.onnx"), {"x": (1, 4)}) == (4 + 4) * FLOAT


def test_an_output_that_nobody_reads_goes_at_once(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("TopK", ["x", "k"], ["values", "places"]),  # x 4 floats, 4 floats, 4 int64s: the most
        helper.make_node("Relu", ["values"], ["a"]),
        helper.make_node("Relu", ["a"], ["y"]),
    ]
    count = numpy_helper.from_array(np.array([4]), "k")
    path = save(nodes, [count], tmp_path / "graph.onnx")
    assert largest_live_set(path, {"x": (1, 4)}) == (4 + 4) * FLOAT + 4 * 8


def test_whole_numbers_have_their_own_size(tmp_path: Path) -> None:
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    path = save(nodes, [], tmp_path / "graph.onnx", TensorProto.INT64)
    assert largest_live_set(path, {"x": (1, 4)}) == (4 + 4) * 8


def test_the_file_stays_as_it_is(tmp_path: Path) -> None:
    path = save([helper.make_node("Relu", ["x"], ["y"])], [], tmp_path / "graph.onnx")
    before = path.read_bytes()
    largest_live_set(path, {"x": (3, 4)})
    assert path.read_bytes() == before
