from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from bstsearch.graphs.onnx_graph import simplify

TOKENS, SIZE = 3, 4
Array = NDArray[Any]


def node(kind: str, inputs: str, outputs: str, **attributes: Any) -> NodeProto:
    return helper.make_node(kind, inputs.split(), outputs.split(), **attributes)


def random(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def make(
    nodes: Sequence[NodeProto], shape: Sequence[int | str] = ("batch", TOKENS, SIZE), **constants: Array
) -> ModelProto:
    """A model from `x` of that shape to `y`, of the shape that inference finds."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model, strict_mode=True)


def run(model: ModelProto, batch: int) -> Array:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    shape = [batch, *(size for size in session.get_inputs()[0].shape[1:])]
    result: Array = session.run(None, {"x": random(*shape)})[0]
    return result


def simplified(model: ModelProto) -> tuple[ModelProto, Counter[str]]:
    """The simplified copy, having checked that it computes the same, and how many nodes it has of each kind."""
    smaller = simplify(ModelProto.FromString(model.SerializeToString()))
    for batch in (1, 5):
        before, after = run(model, batch), run(smaller, batch)
        assert before.shape == after.shape
        np.testing.assert_allclose(after, before, atol=1e-5)
    return smaller, Counter(kind.op_type for kind in smaller.graph.node)


def test_linear_with_bias_becomes_one_gemm_between_reshapes() -> None:
    model = make([node("MatMul", "x w", "p"), node("Add", "b p", "y")], w=random(SIZE, 2), b=random(2))
    assert simplified(model)[1] == {"Reshape": 2, "Gemm": 1}


def test_linear_without_bias_becomes_one_gemm() -> None:
    assert simplified(make([node("MatMul", "x w", "y")], w=random(SIZE, 2)))[1] == {"Reshape": 2, "Gemm": 1}


def test_bias_stays_apart_where_the_product_is_read_twice() -> None:
    nodes = [node("MatMul", "x w", "p"), node("Add", "p b", "q"), node("Mul", "p q", "y")]
    assert simplified(make(nodes, w=random(SIZE, 2), b=random(2)))[1]["Add"] == 1


def test_adding_a_whole_matrix_is_no_bias() -> None:
    nodes = [node("MatMul", "x w", "p"), node("Add", "p b", "y")]
    assert simplified(make(nodes, w=random(SIZE, 2), b=random(TOKENS, 2)))[1]["Add"] == 1


def test_product_of_two_activations_stays() -> None:
    nodes = [node("Transpose", "x", "t", perm=[0, 2, 1]), node("MatMul", "x t", "y")]
    assert simplified(make(nodes))[1] == {"Transpose": 1, "MatMul": 1}


@given(sizes=st.lists(st.integers(1, 5), min_size=2, max_size=4), has_bias=st.booleans())
def test_siblings_become_one_gemm_and_a_split(sizes: list[int], has_bias: bool) -> None:
    nodes, constants = [], {}
    for index, size in enumerate(sizes):
        constants[f"w{index}"] = random(SIZE, size, seed=index)
        nodes.append(node("MatMul", f"x w{index}", f"p{index}" if has_bias else f"o{index}"))
        if has_bias:
            constants[f"b{index}"] = random(size, seed=index)
            nodes.append(node("Add", f"p{index} b{index}", f"o{index}"))
    # Backwards, so that a wrong order of the pieces shows.
    nodes.append(node("Concat", " ".join(f"o{index}" for index in reversed(range(len(sizes)))), "y", axis=-1))
    smaller, kinds = simplified(make(nodes, **constants))
    assert (kinds["Gemm"], kinds["Split"]) == (1, 1)
    assert {tensor.name for tensor in smaller.graph.initializer}.isdisjoint(constants)


def test_row_wise_nodes_between_linears_need_no_reshape() -> None:
    nodes = [
        node("MatMul", "x w", "p"),
        node("Add", "p b", "h"),
        node("Relu", "h", "r"),
        node("MatMul", "r v", "q"),
        node("Add", "h q", "s"),
        node("LayerNormalization", "s g b", "n"),
        node("MatMul", "n v", "y"),
    ]
    constants = {"w": random(SIZE, 6), "v": random(6, 6), "b": random(6), "g": random(6, seed=1)}
    kinds = simplified(make(nodes, **constants))[1]
    assert kinds == {"Reshape": 2, "Gemm": 3, "Relu": 1, "Add": 1, "LayerNormalization": 1}


def test_reshape_into_heads_reads_the_rows() -> None:
    nodes = [node("MatMul", "x w", "p"), node("Reshape", "p s", "h"), node("Transpose", "h", "y", perm=[0, 2, 1, 3])]
    model = make(nodes, w=random(SIZE, 6), s=np.array([-1, TOKENS, 2, 3]))
    assert simplified(model)[1] == {"Reshape": 2, "Gemm": 1, "Transpose": 1}


def test_nodes_that_mix_tokens_get_their_axes_back() -> None:
    nodes = [node("MatMul", "x w", "p"), node("Softmax", "p", "a", axis=1), node("Add", "a p", "y")]
    assert simplified(make(nodes, w=random(SIZE, 2)))[1] == {"Reshape": 2, "Gemm": 1, "Softmax": 1, "Add": 1}


@pytest.mark.parametrize("axis", [1, -2])
def test_normalisation_over_tokens_is_not_row_wise(axis: int) -> None:
    nodes = [node("MatMul", "x w", "p"), node("LayerNormalization", "p g", "y", axis=axis)]
    assert simplified(make(nodes, w=random(SIZE, 2), g=random(TOKENS, 2)))[1]["Reshape"] == 2


def test_sum_of_rows_and_a_broadcast_tensor_is_not_row_wise() -> None:
    nodes = [node("MatMul", "x w", "p"), node("MatMul", "x v", "q"), node("Add", "p q", "y")]
    assert simplified(make(nodes, w=random(SIZE, 2), v=random(SIZE, 1)))[1]["Add"] == 1


def test_sizes_that_are_no_numbers_leave_a_linear_as_it_is() -> None:
    nodes = [node("MatMul", "x w", "p"), node("Add", "p b", "y")]
    model = make(nodes, shape=("batch", "tokens", SIZE), w=random(SIZE, 2), b=random(2))
    assert Counter(kind.op_type for kind in simplify(model).graph.node) == {"MatMul": 1, "Add": 1}


def test_constants_and_identities_go_but_not_the_outputs_name() -> None:
    nodes = [
        helper.make_node("Constant", [], ["two"], value=numpy_helper.from_array(np.float32(2))),
        node("Identity", "x", "same"),
        node("Mul", "same two", "double"),
        node("Identity", "double", "y"),
    ]
    assert simplified(make(nodes))[1] == {"Mul": 1, "Identity": 1}


def lstm(fill: float) -> ModelProto:
    nodes = [
        node("Shape", "x", "s", start=1, end=2),
        node("Concat", "one s size", "shape", axis=0),
        helper.make_node(
            "ConstantOfShape", ["shape"], ["state"], value=numpy_helper.from_array(np.array([fill], np.float32))
        ),
        helper.make_node("LSTM", ["x", "w", "r", "b", "", "state", "state"], ["y"], hidden_size=2),
    ]
    constants = {"w": random(1, 8, SIZE), "r": random(1, 8, 2), "b": random(1, 16)}
    return make(nodes, ("batch", TOKENS, SIZE), **constants, one=np.array([1]), size=np.array([2]))


def test_an_lstm_that_starts_from_zeros_reads_no_states() -> None:
    assert simplified(lstm(0.0))[1] == {"LSTM": 1}


def test_an_lstm_that_starts_elsewhere_keeps_its_states() -> None:
    assert simplified(lstm(1.0))[1]["ConstantOfShape"] == 1
