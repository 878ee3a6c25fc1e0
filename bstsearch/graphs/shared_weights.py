"""Graphs of several submodels over one file of weights, in which the full model's constants lie as its graph has them.

A smaller graph points to leading rows of a full constant, and slices what is left of its columns. A runtime that folds
constants when it loads a graph then runs the graph that the submodel has by itself.

Numbers of a quantised matrix are no parts of the full model's: each column has a scale of its own, after its largest
number, which another row may hold. They are stored once for all submodels that have the very same.
"""

from __future__ import annotations

import bisect
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from bstsearch.errors import BstsearchError
from bstsearch.graphs.positions import Located, Positions
from bstsearch.graphs.short_graph import ShortGraph, Stored

ALIGNMENT = 64  # bytes; where a runtime that maps the file would like tensors to begin
STORED = (np.float32, np.float16, np.int8)
SMALL = 64  # bytes; to point to so few takes more

Run = tuple[int, int]


class SharedWeights:
    """The file of weights at `path`, of a full model with `count` numbers, which grows as graphs are added."""

    def __init__(self, path: Path, count: int) -> None:
        self.path = path
        self._count = count
        self._places: dict[np.dtype[Any], NDArray[np.int64]] = {}  # at which byte each number of the full model lies
        self._stored: list[Stored] = []
        self._by_digest: dict[tuple[Any, ...], Stored] = {}
        path.touch()

    def add_full(self, full: Located) -> None:
        """Writes the constants of the full model's graph of which those of submodels are parts.

        It is called once for each precision that submodels have.
        """
        for tensor in full.model.graph.initializer:
            array, positions = numpy_helper.to_array(tensor), full.positions.get(tensor.name)
            if _is_stored(array) and positions is not None:
                places = self._places.get(array.dtype)
                if places is None:
                    places = self._places[array.dtype] = np.full(self._count, -1, np.int64)
                places[positions.ravel()] = self._add(array).start + array.itemsize * np.arange(array.size)

    def graph(self, located: Located) -> onnx.ModelProto:
        """The same model with its weights in the file; what is no part of the full model's is added there.

        BstsearchError where the numbers in the file are not the model's.
        """
        short = ShortGraph(located.model, self.path.name)
        for tensor in located.model.graph.initializer:
            array = numpy_helper.to_array(tensor)
            if not _is_stored(array):
                short.keep(tensor.name, array)
                continue
            parts = self._parts(array, located.positions.get(tensor.name))
            if parts is None:
                stored = self._add(array)
                parts = (stored, [[(0, size)] for size in stored.shape])
            else:
                self._check(tensor.name, array, located.positions[tensor.name])
            short.view(tensor.name, *parts)
        return short.model()

    def _parts(self, array: NDArray[Any], positions: Positions | None) -> tuple[Stored, list[list[Run]]] | None:
        """The stored tensor of which a constant is a part, and of each of its axes which runs; None where of none."""
        known = self._places.get(array.dtype)
        if positions is None or known is None or (places := known[positions]).min() < 0:
            return None
        stored = self._stored[bisect.bisect([one.start for one in self._stored], int(places.flat[0])) - 1]
        inside = (places - stored.start) // array.itemsize
        if len(stored.shape) != places.ndim or inside.min() < 0 or inside.max() >= np.prod(stored.shape):
            return None
        runs = []
        for axis, index in enumerate(np.unravel_index(inside, stored.shape)):
            line = np.moveaxis(index, axis, 0).reshape(places.shape[axis], -1)
            if (line != line[:, :1]).any():
                return None
            runs.append(_runs(line[:, 0]))
        return stored, runs

    def _check(self, name: str, array: NDArray[Any], positions: Positions) -> None:
        kind = np.dtype(f"u{array.itemsize}")
        file = np.memmap(self.path, kind, "r", shape=(self.path.stat().st_size // array.itemsize,))
        if not np.array_equal(file[self._places[array.dtype][positions] // array.itemsize], array.view(kind)):
            raise BstsearchError(f"{self.path.name} does not hold the numbers of {name}; nothing was written")

    def _add(self, array: NDArray[Any]) -> Stored:
        """Where `array` is stored; one that is there already, bit by bit, is not stored again."""
        numbers = np.ascontiguousarray(array)
        key = (numbers.dtype, numbers.shape, hashlib.sha256(numbers.tobytes()).digest())
        if key not in self._by_digest:
            with self.path.open("ab") as file:
                file.write(bytes(-file.tell() % ALIGNMENT))
                self._by_digest[key] = Stored(start=file.tell(), shape=numbers.shape, dtype=numbers.dtype)
                file.write(numbers.tobytes())
            self._stored.append(self._by_digest[key])
        return self._by_digest[key]


def _is_stored(array: NDArray[Any]) -> bool:
    return array.dtype in STORED and array.nbytes > SMALL


def _runs(indices: NDArray[np.int64]) -> list[Run]:
    """The runs of neighbours in `indices`, each with its first and one past its last."""
    breaks = np.flatnonzero(np.diff(indices) != 1) + 1
    return [(int(run[0]), int(run[-1]) + 1) for run in np.split(indices, breaks)]
