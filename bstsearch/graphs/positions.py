"""Where the numbers of an exported graph's constants lie in the model's parameters.

An exporter folds constants: it transposes matrices and puts an LSTM's gates in another order, and then nothing tells
which parameter a constant was. So the same model is exported once more without folding, where parameters have their
names, and what is done to them there is done to the positions of their numbers. No two numbers are ever compared.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

Positions = NDArray[np.int64]  # for each number of a tensor its place among all numbers of the full model


@dataclasses.dataclass(frozen=True, kw_only=True)
class Located:
    """An ONNX model, and by name the positions of those of its constants that are parameters' numbers."""

    model: onnx.ModelProto
    positions: Mapping[str, Positions]


# Operators that move numbers and change none.
MOVING = {"Concat", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"}
NORM = "BatchNormalization"


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Constant:
    """A tensor that no input of the model has a part in; None where its values, or its positions, are not known."""

    value: NDArray[np.number] | None = None
    positions: Positions | None = None


def find_positions(
    folded: onnx.ModelProto, unfolded: onnx.ModelProto, parameters: Mapping[str, Positions]
) -> dict[str, Positions]:
    """Constant of `folded` -> the positions of its numbers, for those that are numbers of parameters and no others.

    `unfolded` is the same model without folding. Nothing is found where the two do not have the same nodes.
    """
    pairs = [list(_live(model, names)) for model, names in ((folded, {}), (unfolded, parameters))]
    if [node.op_type for node, _ in pairs[0]] != [node.op_type for node, _ in pairs[1]]:
        return {}
    found: dict[str, Positions] = {}
    for (node, _), (other, constants) in zip(*pairs, strict=True):
        for name, source in zip(node.input, other.input, strict=False):
            if source in constants and (positions := constants[source].positions) is not None:
                found.setdefault(name, positions)
    shapes = {tensor.name: tuple(tensor.dims) for tensor in folded.graph.initializer}
    return {name: positions for name, positions in found.items() if shapes.get(name) == positions.shape}


def _live(
    model: onnx.ModelProto, parameters: Mapping[str, Positions]
) -> Iterator[tuple[NodeProto, dict[str, _Constant]]]:
    """The nodes that depend on an input of the model, in running order, and all constants before them.

    A BatchNormalization behind a Conv is left out, and what the Conv reads is no parameter's: where constants are
    folded, the one goes into the other.
    """
    convolved = {name for node in model.graph.node if node.op_type == "Conv" for name in node.output}
    norms = [node for node in model.graph.node if node.op_type == NORM and node.input[0] in convolved]
    changed = {node.input[0] for node in norms}
    constants = {
        tensor.name: _Constant(value=numpy_helper.to_array(tensor), positions=parameters.get(tensor.name))
        for tensor in model.graph.initializer
    }
    for node in model.graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = _Constant(value=numpy_helper.to_array(node.attribute[0].t))
        elif all(name in constants for name in node.input if name) and any(node.input):
            constants.update(_moved(node, constants))
        elif node not in norms:
            yield node, {} if changed & set(node.output) else constants


def _moved(node: NodeProto, constants: Mapping[str, _Constant]) -> dict[str, _Constant]:
    """What a node makes of constants: known where it only moves numbers whose positions are known."""
    unknown = dict.fromkeys(node.output, _Constant())
    moved = [name for name in node.input if name and constants[name].positions is not None]
    others = [name for name in node.input if name and name not in moved]
    is_known = node.op_type in MOVING and moved and node.input[0] in moved
    if not is_known or any(constants[name].value is None for name in others):
        return unknown
    if node.op_type == "Concat" and others:
        return unknown
    feed = {name: constants[name].positions for name in moved} | {name: constants[name].value for name in others}
    results = _evaluator(node).run(None, feed)
    return {name: _Constant(positions=np.asarray(result)) for name, result in zip(node.output, results, strict=True)}


def _evaluator(node: NodeProto) -> ReferenceEvaluator:
    """Runs one node on numpy arrays."""
    kind = onnx.TensorProto.INT64
    inputs, outputs = (
        [helper.make_tensor_value_info(name, kind, None) for name in dict.fromkeys(names) if name]
        for names in (node.input, node.output)
    )
    graph = helper.make_graph([node], "one", inputs, outputs)
    return ReferenceEvaluator(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]))
