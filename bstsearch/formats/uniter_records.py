"""One image of UNITER's databases, decoded; nothing in a file is ever executed.

Public code ChenRocks/UNITER, files data/data.py and scripts/convert_imgdir.py. An image is an .npz archive, or
MessagePack with arrays as the package msgpack-numpy writes them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from bstsearch.errors import InputError
from bstsearch.formats.number_arrays import array_of, read_arrays
from bstsearch.formats.region_files import MOST_BYTES
from bstsearch.reading import opened, parsing

CONFIDENCE = 0.2  # boxes above it are kept,
LEAST_BOXES, MOST_BOXES = 10, 100  # but never fewer or more than these
FEATURES, BOXES, CONFIDENCES = "features", "norm_bb", "conf"
BOX_NUMBERS = 6  # x1, y1, x2, y2, width, height as shares of the image


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stored:
    """Features (n, F) and boxes (n, 6) of an image as stored, of which the first `confident` are to be used.

    Boxes are (n, 0) where none were asked for.
    """

    features: NDArray[Any]
    boxes: NDArray[Any]
    confident: int


def read_npz(value: bytes | Path, where: str, *, has_boxes: bool = True) -> Stored:
    """The regions in an .npz archive or file; InputError, which calls it `where`, for anything else."""
    source = opened(value, MOST_BYTES) if isinstance(value, Path) else contextlib.nullcontext(io.BytesIO(value))
    with parsing(where), source as file:
        return _stored(read_arrays(file, _wanted(has_boxes)), has_boxes=has_boxes)


def read_msgpack(value: bytes, where: str, *, has_boxes: bool = True) -> Stored:
    """The regions in an uncompressed record; InputError, which calls it `where`, for anything else."""
    with parsing(where):
        record = msgspec.msgpack.decode(value, type=dict[str, Any])
        arrays = {name: _array(name, record[name]) for name in _wanted(has_boxes) if name in record}
        return _stored(arrays, has_boxes=has_boxes)


def _wanted(has_boxes: bool) -> tuple[str, ...]:
    return (FEATURES, BOXES, CONFIDENCES) if has_boxes else (FEATURES, CONFIDENCES)


def _array(name: str, packed: Any) -> NDArray[Any]:
    # msgpack-numpy's own encoding; its keys are bytes or text, by the options it was written with.
    if not isinstance(packed, dict):
        raise InputError(f"{name} is no array, but {type(packed).__name__}")
    fields = {key.decode() if isinstance(key, bytes) else key: value for key, value in packed.items()}
    kind, data = fields.get("type"), fields.get("data")
    if not isinstance(kind, str | bytes) or not isinstance(data, bytes):
        raise InputError(f"{name} lacks type or data; expected an array as msgpack-numpy writes it")
    return array_of(name, data, np.dtype(kind if isinstance(kind, str) else kind.decode()), fields["shape"])


def _stored(arrays: Mapping[str, NDArray[Any]], *, has_boxes: bool) -> Stored:
    features = arrays.get(FEATURES)
    if features is None or features.ndim != 2 or not features.size:
        shape = "not there" if features is None else f"of shape {features.shape}"
        raise InputError(f"{FEATURES} is {shape}; expected (n, F)")
    count = len(features)
    boxes = _sized(arrays, BOXES, (count, BOX_NUMBERS)) if has_boxes else np.zeros((count, 0), np.float32)
    confident = confident_boxes(_sized(arrays, CONFIDENCES, (count,))) if CONFIDENCES in arrays else count
    return Stored(features=features, boxes=boxes, confident=confident)


def _sized(arrays: Mapping[str, NDArray[Any]], name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    found = arrays.get(name)
    if found is None or found.shape != shape:
        there = "not there" if found is None else f"of shape {found.shape}"
        raise InputError(f"{name} is {there}; expected {shape}, as there are {shape[0]} regions")
    return found


def confident_boxes(confidences: NDArray[Any]) -> int:
    """How many of the first boxes are used: as many as are confident, within bounds.

    >>> confident_boxes(np.full(50, 0.1)), confident_boxes(np.full(50, 0.5))
    (10, 50)
    """
    return int(np.clip((confidences > CONFIDENCE).sum(), LEAST_BOXES, MOST_BOXES))
