"""A graph written as short as it can be: names of a letter or two, small constants once, weights in another file."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

Run = tuple[int, int]
Runs = Sequence[Sequence[Run]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stored:
    """A tensor in the file of weights: at which byte it begins, its shape and what its numbers are."""

    start: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class ShortGraph:
    """A copy of `source` that is given its constants one by one; `weights` is the name of the file beside it."""

    def __init__(self, source: onnx.ModelProto, weights: str) -> None:
        self._source, self._weights = source, weights
        self._numbers = itertools.count()
        self._fixed = {value.name for value in (*source.graph.input, *source.graph.output)}
        self._short: dict[str, str] = {}
        self._known: dict[tuple[Any, ...], str] = {}
        self._external_names: dict[Stored, str] = {}
        self._tensors: list[TensorProto] = []
        self._nodes: list[NodeProto] = []

    def keep(self, name: str, array: NDArray[Any]) -> None:
        """The constant `name` is written out."""
        self._short[name] = self._constant(array)

    def view(self, name: str, stored: Stored, runs: Runs) -> None:
        """The constant `name` is a part of a tensor in the file: of each axis these runs.

        Leading rows are a shorter tensor; of other axes slices are taken.
        """
        shape = stored.shape
        rows = runs[0][0] if len(runs[0]) == 1 else (0, shape[0])
        start = stored.start + rows[0] * math.prod(shape[1:]) * stored.dtype.itemsize
        whole = Stored(start=start, shape=(rows[1] - rows[0], *shape[1:]), dtype=stored.dtype)
        shape = whole.shape
        rest = [[(0, shape[0])] if len(runs[0]) == 1 else list(runs[0]), *map(list, runs[1:])]
        axes = [axis for axis, size in enumerate(shape) if rest[axis] != [(0, size)]]
        if len(axes) == 1 and (step := _step(rest[axes[0]], shape[axes[0]])):
            self._short[name] = self._blocks(whole, axes[0], rest[axes[0]], step)
            return
        result = self._external(whole)
        for axis in axes:
            result = self._taken(result, axis, rest[axis])
        self._short[name] = result

    def model(self) -> onnx.ModelProto:
        """The short model, once all constants are there."""
        graph = self._source.graph
        for node in graph.node:
            copy = helper.make_node(node.op_type, self._renamed(node.input), self._renamed(node.output))
            copy.attribute.extend(node.attribute)
            self._nodes.append(copy)
        short = helper.make_graph(self._nodes, "g", graph.input, graph.output, self._tensors)
        model = helper.make_model(short, opset_imports=self._source.opset_import, ir_version=self._source.ir_version)
        model.producer_name = self._source.producer_name
        return model

    def _blocks(self, stored: Stored, axis: int, runs: Sequence[Run], step: int) -> str:
        """The leading parts of blocks of `step`: one slice of the tensor as if it had an axis for the blocks."""
        before, size, after = stored.shape[:axis], stored.shape[axis], stored.shape[axis + 1 :]
        whole = dataclasses.replace(stored, shape=(*before, size // step, step, *after))
        length = runs[0][1] - runs[0][0]
        taken = self._taken(self._external(whole), axis + 1, [(0, length)])
        return self._node("Reshape", [taken, self._numbers_of([*before, len(runs) * length, *after])])

    def _taken(self, name: str, axis: int, runs: Iterable[Run]) -> str:
        """These runs of an axis, side by side."""
        one = self._numbers_of([axis])
        slices = [
            self._node("Slice", [name, self._numbers_of([first]), self._numbers_of([end]), one]) for first, end in runs
        ]
        return slices[0] if len(slices) == 1 else self._node("Concat", slices, axis=axis)

    def _node(self, kind: str, inputs: Sequence[str], axis: int | None = None) -> str:
        name = self._new()
        self._nodes.append(helper.make_node(kind, inputs, [name], axis=axis))
        return name

    def _external(self, stored: Stored) -> str:
        if stored not in self._external_names:
            kind = helper.np_dtype_to_tensor_dtype(stored.dtype)
            tensor = TensorProto(name=self._new(), data_type=kind, dims=stored.shape, raw_data=b"")
            set_external_data(tensor, self._weights, stored.start, math.prod(stored.shape) * stored.dtype.itemsize)
            tensor.ClearField("raw_data")
            self._external_names[stored] = tensor.name
            self._tensors.append(tensor)
        return self._external_names[stored]

    def _numbers_of(self, values: Sequence[int]) -> str:
        return self._constant(np.array(values, np.int64))

    def _constant(self, array: NDArray[Any]) -> str:
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = self._new()
            self._tensors.append(numpy_helper.from_array(array, self._known[key]))
        return self._known[key]

    def _renamed(self, names: Iterable[str]) -> list[str]:
        return [self._name(name) for name in names]

    def _name(self, name: str) -> str:
        if not name or name in self._fixed:
            return name
        if name not in self._short:
            self._short[name] = self._new()
        return self._short[name]

    def _new(self) -> str:
        """A name that is not used yet."""
        return next(name for name in map(_letters, self._numbers) if name not in self._fixed)


def _letters(number: int) -> str:
    text = ""
    while number >= 0:
        number, digit = divmod(number, len(LETTERS))
        text, number = LETTERS[digit] + text, number - 1
    return text


def _step(runs: Sequence[Run], size: int) -> int | None:
    """How far equally long runs are apart, where each begins one of the equal blocks that an axis is made of."""
    if len(runs) < 2 or size % len(runs):
        return None
    step, length = size // len(runs), runs[0][1] - runs[0][0]
    return step if list(runs) == [(start, start + length) for start in range(0, size, step)] else None
