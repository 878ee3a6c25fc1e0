"""How much memory a graph's activations take at most at once, from its shapes and the order of its nodes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import helper


def largest_live_set(path: Path, inputs: Mapping[str, tuple[int, ...]]) -> int:
    """Bytes of the tensors that live while the hungriest node runs: its inputs and outputs, and what waits for later.

    Weights do not count. `inputs` give the shapes of the graph's inputs, which fix every other one. A runtime
    that computes in place needs less, one that aligns or keeps buffers somewhat more.
    """
    model = onnx.load(path, load_external_data=False)
    sizes = _sizes(model, inputs)
    last_use = {name: index for index, node in enumerate(model.graph.node) for name in node.input}
    last_use.update({value.name: len(model.graph.node) for value in model.graph.output})
    live = sum(size for name, size in sizes.items() if name in inputs)
    largest = live
    for index, node in enumerate(model.graph.node):
        live += sum(sizes.get(name, 0) for name in node.output)
        largest = max(largest, live)
        spent = {name for name in (*node.input, *node.output) if last_use.get(name, index) == index}
        live -= sum(sizes.get(name, 0) for name in spent)
    return largest


def _sizes(model: onnx.ModelProto, inputs: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Activation -> bytes; tensors whose shape cannot be told count nothing."""
    for value in model.graph.input:
        shape = value.type.tensor_type.shape
        for dimension, size in zip(shape.dim, inputs[value.name], strict=True):
            dimension.dim_value = size
    del model.graph.value_info[:]  # written for a free batch axis
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    return {value.name: _bytes(value) for value in (*graph.input, *graph.value_info, *graph.output)}


def _bytes(value: onnx.ValueInfoProto) -> int:
    tensor = value.type.tensor_type
    count = int(np.prod([max(1, dimension.dim_value) for dimension in tensor.shape.dim], dtype=np.int64))
    return count * int(helper.tensor_dtype_to_np_dtype(tensor.elem_type).itemsize)
