"""An ONNX graph rewritten into fewer nodes: standard operators only, the same results to rounding.

A small Transformer on a CPU spends about as long between nodes as in them. What exporters leave behind
costs most: one MatMul and one Add per linear map, and one linear map each for query, key and value.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

from bstsearch.graphs.positions import Positions

Constant = NDArray[np.number[Any]]

LINEAR = "Linear"  # x, weight[, bias]; lives only between the passes of this file
ROW_WISE = {"Add", "LayerNormalization", "Relu", "Split"}  # work on each token by itself (on the last axis)


@dataclasses.dataclass(kw_only=True)
class _Graph:
    """The part of a model that the passes change; `shapes` has None for every size that is not a number.

    `positions` are those of the constants whose numbers are parameters'.
    """

    nodes: list[NodeProto]
    constants: dict[str, Constant]
    positions: dict[str, Positions]
    shapes: dict[str, tuple[int | None, ...]]
    outputs: tuple[str, ...]

    def users(self) -> Mapping[str, list[NodeProto]]:
        """Tensor name -> the nodes that read it, in running order."""
        users = collections.defaultdict(list)
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                users[name].append(node)
        return users

    def constant(self, name: str, values: Sequence[int]) -> str:
        """`name`, now a constant of these int64 values."""
        self.constants[name] = np.array(values, np.int64)
        return name


def simplify(model: onnx.ModelProto, positions: dict[str, Positions] | None = None) -> onnx.ModelProto:
    """The same function in fewer nodes; sizes other than the first (batch) axis should be numbers.

    `positions` of constants that are parameters' numbers get those of the constants that are made of such.
    """
    inferred = onnx.shape_inference.infer_shapes(model).graph
    values = [*inferred.value_info, *inferred.input, *inferred.output]
    graph = _Graph(
        nodes=list(model.graph.node),
        constants={tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer},
        positions={} if positions is None else positions,
        shapes={value.name: _shape(value) for value in values},
        outputs=tuple(value.name for value in model.graph.output),
    )
    for change in (_inline_constants, _drop_zero_states, _find_linears, _merge_siblings, _flatten_rows, _prune):
        change(graph)
    model.graph.ClearField("node")
    model.graph.node.extend(graph.nodes)
    model.graph.ClearField("initializer")
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in graph.constants.items())
    onnx.checker.check_model(model)
    return model


def _inline_constants(graph: _Graph) -> None:
    """Constant nodes become initializers; Identity nodes are removed, except one that names an output."""
    kept = []
    renamed: dict[str, str] = {}
    for node in graph.nodes:
        inputs = [renamed.get(name, name) for name in node.input]
        if node.op_type == "Constant":
            graph.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        elif node.op_type == "Identity" and node.output[0] not in graph.outputs:
            renamed[node.output[0]] = inputs[0]
        else:
            node.input[:] = inputs
            kept.append(node)
    graph.nodes = kept


def _drop_zero_states(graph: _Graph) -> None:
    """An LSTM that starts from zeros needs no tensors of zeros: that is the operator's default."""
    zeros = {node.output[0] for node in graph.nodes if node.op_type == "ConstantOfShape" and _fills_zeros(node)}
    for node in graph.nodes:
        if node.op_type == "LSTM" and set(node.input[5:7]) <= zeros:
            del node.input[5:]


def _find_linears(graph: _Graph) -> None:
    """MatMul by a constant matrix, with the Add of a constant vector if that is all it feeds, becomes LINEAR."""
    users = graph.users()
    biased: set[str] = set()
    for index, node in enumerate(graph.nodes):
        if node.op_type == "MatMul" and _rank(graph, node.input[1]) == 2 and _has_free_batch(graph, node.output[0]):
            linear = helper.make_node(LINEAR, node.input, node.output, node.name)
            readers = users[node.output[0]]
            bias = _bias(graph, readers[0], node.output[0]) if len(readers) == 1 else None
            if bias is not None:
                linear.input.append(bias)
                linear.output[:] = readers[0].output
                biased.update(readers[0].output)
            graph.nodes[index] = linear
    graph.nodes = [node for node in graph.nodes if node.op_type == LINEAR or biased.isdisjoint(node.output)]


def _merge_siblings(graph: _Graph) -> None:
    """LINEARs of one input become one with all their weights side by side, and a Split."""
    users = graph.users()
    merged: list[NodeProto] = []
    for node in graph.nodes:
        family = [other for other in users[node.input[0]] if _is_sibling(node, other)]
        if len(family) < 2:
            merged.append(node)
        elif node is family[0]:
            merged.extend(_merge(graph, family))
    graph.nodes = merged


def _is_sibling(node: NodeProto, other: NodeProto) -> bool:
    is_pair = node.op_type == other.op_type == LINEAR and node.input[0] == other.input[0]
    return is_pair and len(node.input) == len(other.input)


def _merge(graph: _Graph, family: Sequence[NodeProto]) -> Iterator[NodeProto]:
    first = family[0]
    name = f"{first.output[0]}_siblings"
    sizes = [graph.constants[node.input[1]].shape[1] for node in family]
    inputs = [first.input[0]]
    for index, role in enumerate(("weight", "bias")[: len(first.input) - 1], start=1):
        inputs.append(f"{name}_{role}")
        names = [node.input[index] for node in family]
        graph.constants[inputs[-1]] = np.concatenate([graph.constants[name] for name in names], -1)
        if graph.positions.keys() >= set(names):
            graph.positions[inputs[-1]] = np.concatenate([graph.positions[name] for name in names], -1)
    graph.shapes[name] = (*graph.shapes[first.output[0]][:-1], sum(sizes))
    yield helper.make_node(LINEAR, inputs, [name], name)
    split = graph.constant(f"{name}_sizes", sizes)
    yield helper.make_node("Split", [name, split], [node.output[0] for node in family], f"{name}_split", axis=-1)


def _flatten_rows(graph: _Graph) -> None:
    """LINEARs and the row-wise nodes between them run on (batch * tokens, size): Gemm, with the bias inside."""
    nodes: list[NodeProto] = []
    rows: dict[str, str] = {}  # tensor with a batch and a token axis -> the same as rows
    whole: set[str] = set()  # those of them that exist with their axes, too

    def reshape(source: str, target: str, shape: Sequence[int]) -> None:
        nodes.append(helper.make_node("Reshape", [source, graph.constant(f"{target}_shape", shape)], [target], target))

    def unflatten(names: Sequence[str]) -> None:
        for name in names:
            if name in rows and name not in whole:
                whole.add(name)
                reshape(rows[name], name, [-1, *(size for size in graph.shapes[name][1:] if size is not None)])

    for node in graph.nodes:
        if node.op_type == LINEAR and node.input[0] not in rows:
            rows[node.input[0]] = f"{node.input[0]}_rows"
            whole.add(node.input[0])
            reshape(node.input[0], rows[node.input[0]], [-1, graph.constants[node.input[1]].shape[0]])
        if node.op_type == LINEAR or _is_row_wise(graph, node, rows):
            node.op_type = "Gemm" if node.op_type == LINEAR else node.op_type
            node.input[:] = [rows.get(name, name) for name in node.input]
            rows.update({name: f"{name}_rows" for name in node.output})
            node.output[:] = [rows[name] for name in node.output]
        elif node.op_type == "Reshape" and node.input[0] in rows and _keeps_batch(graph.constants.get(node.input[1])):
            node.input[0] = rows[node.input[0]]
        else:
            unflatten(node.input)
        nodes.append(node)
    unflatten(graph.outputs)
    graph.nodes = nodes


def _is_row_wise(graph: _Graph, node: NodeProto, rows: dict[str, str]) -> bool:
    """Whether the node treats every row alike and has its rows at hand."""
    if node.op_type not in ROW_WISE or node.input[0] not in rows or not _has_free_batch(graph, node.output[0]):
        return False
    if node.op_type == "Add":
        return node.input[1] in rows and graph.shapes[node.input[0]] == graph.shapes[node.input[1]]
    axes = [attribute.i for attribute in node.attribute if attribute.name == "axis"]
    return axes in ([], [-1]) or axes == [len(graph.shapes[node.input[0]]) - 1]


def _prune(graph: _Graph) -> None:
    """Nodes and constants that no output depends on go."""
    needed = set(graph.outputs)
    kept = []
    for node in reversed(graph.nodes):
        if needed & set(node.output):
            needed.update(node.input)
            kept.append(node)
    graph.nodes = kept[::-1]
    graph.constants = {name: value for name, value in graph.constants.items() if name in needed}


def _shape(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    sizes = value.type.tensor_type.shape.dim
    return tuple(size.dim_value if size.HasField("dim_value") else None for size in sizes)


def _rank(graph: _Graph, name: str) -> int | None:
    return graph.constants[name].ndim if name in graph.constants else None


def _has_free_batch(graph: _Graph, name: str) -> bool:
    shape = graph.shapes.get(name, ())
    return len(shape) > 2 and None not in shape[1:]


def _keeps_batch(shape: Constant | None) -> bool:
    return shape is not None and shape[0] == -1 and bool(np.all(shape[1:] > 0))


def _bias(graph: _Graph, add: NodeProto, product: str) -> str | None:
    """The constant vector that `add` adds to `product`, if that is what it does."""
    others = [name for name in add.input if name != product]
    return others[0] if add.op_type == "Add" and others and _rank(graph, others[0]) == 1 else None


def _fills_zeros(node: NodeProto) -> bool:
    return not node.attribute or not numpy_helper.to_array(node.attribute[0].t).any()
