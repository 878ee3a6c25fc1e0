"""Tensors as the Open Inference Protocol v2 writes them in JSON (no torch)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from bstsearch.errors import InputError
from bstsearch.reading import Name, Positive, Whole, parsing, shown

# The protocol's name of each type, and numpy's.
TYPES = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "INT8": "int8",
    "INT32": "int32",
    "INT64": "int64",
    "FP32": "float32",
    "FP64": "float64",
}
# ONNX Runtime's names of those that models read.
OF_RUNTIME = {"float": "FP32", "double": "FP64", **{name: kind for kind, name in TYPES.items()}}


class Tensor(msgspec.Struct, kw_only=True):
    """An input: its numbers are listed, nested or flat."""

    name: Name
    shape: list[Whole]
    datatype: str
    data: list[Any]


class Parameters(msgspec.Struct):
    """What a request may set; this server's own."""

    deadline_ms: Positive | None = None


class Wanted(msgspec.Struct):
    """An output that is asked for."""

    name: Name


class Infer(msgspec.Struct, kw_only=True):
    """The body of an inference request, of which other keys of the protocol are passed over."""

    inputs: list[Tensor]
    outputs: list[Wanted] | None = None
    id: str | None = None
    parameters: Parameters | None = None


class Signature(msgspec.Struct, kw_only=True):
    """An input or output of a model; -1 in a shape stands for any size. The first axis is the batch, of one."""

    name: str
    datatype: str
    shape: list[int]


def signatures(values: Sequence[Any]) -> list[Signature]:
    """Those of the inputs or outputs of an ONNX Runtime session."""
    return [
        Signature(
            name=value.name,
            datatype=OF_RUNTIME[value.type.removeprefix("tensor(").removesuffix(")")],
            shape=[1, *(size if isinstance(size, int) else -1 for size in value.shape[1:])],
        )
        for value in values
    ]


def check_outputs(wanted: Sequence[Wanted] | None, expected: Sequence[Signature]) -> None:
    """Passes where the model has all outputs that are asked for; else InputError."""
    known = [one.name for one in expected]
    if strange := [one.name for one in wanted or () if one.name not in known]:
        raise InputError(f"the model has no output {shown(strange[0])}; choose one of {', '.join(known)}")


def read_inputs(tensors: Sequence[Tensor], expected: Sequence[Signature], longest: int) -> dict[str, NDArray[Any]]:
    """The model's inputs by name; InputError tells which is missing, or has another type, shape or number of values.

    An axis of any size may be `longest`.
    """
    given = {tensor.name: tensor for tensor in tensors}
    if lacking := [one.name for one in expected if one.name not in given]:
        raise InputError(f"the inputs hold no {shown(lacking[0])}")
    if strange := given.keys() - {one.name for one in expected}:
        raise InputError(f"the model reads no {shown(min(strange))}")
    return {one.name: _array(given[one.name], one, longest) for one in expected}


def _array(tensor: Tensor, expected: Signature, longest: int) -> NDArray[Any]:
    fits = len(tensor.shape) == len(expected.shape) and all(
        want in (-1, size) for size, want in zip(tensor.shape, expected.shape, strict=True)
    )
    if tensor.datatype != expected.datatype or not fits:
        raise InputError(
            f"input {tensor.name} is {shown(tensor.datatype)} {shown(tensor.shape)}; "
            f"expected {expected.datatype} {expected.shape}"
        )
    if max(tensor.shape, default=0) > max(longest, *expected.shape):
        raise InputError(f"input {tensor.name} is {shown(tensor.shape)}; give an axis of any size {longest:,} at most")
    with parsing(f"input {tensor.name}"):
        array = np.array(tensor.data, dtype=TYPES[tensor.datatype])
        return array.reshape(tensor.shape)


def outputs_json(expected: Sequence[Signature], outputs: Sequence[NDArray[Any]]) -> list[Mapping[str, Any]]:
    """The outputs of one example, each flat."""
    return [
        {"name": one.name, "datatype": one.datatype, "shape": list(array.shape), "data": array.ravel().tolist()}
        for one, array in zip(expected, outputs, strict=True)
    ]
