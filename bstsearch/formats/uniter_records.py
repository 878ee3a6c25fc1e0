"""One image of UNITER's databases, decoded; nothing in a file is ever executed.

Public code ChenRocks/UNITER, files data/data.py and scripts/convert_imgdir.py. An image is an .npz archive, or
MessagePack with arrays as the package msgpack-numpy writes them.
"""

from __future__ import annotations

import dataclasses
import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from bstsearch.errors import InputError

CONFIDENCE = 0.2  # boxes above it are kept,
LEAST_BOXES, MOST_BOXES = 10, 100  # but never fewer or more than these
ARRAYS: tuple[str, ...] = ("features", "norm_bb", "conf")
BOX_NUMBERS = 6  # x1, y1, x2, y2, width, height as shares of the image


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stored:
    """Features (n, F) and boxes (n, 6) of an image as stored, of which the first `confident` are to be used."""

    features: NDArray[Any]
    boxes: NDArray[Any]
    confident: int


def read_npz(value: bytes | Path, where: str) -> Stored:
    """The regions in an .npz archive or file; InputError, which calls it `where`, for anything else."""
    try:
        # From memory: NumPy leaves a file open that turns out to be no archive.
        content = io.BytesIO(value if isinstance(value, bytes) else value.read_bytes())
        with np.load(content, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in ARRAYS if name in archive}
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{where} is no .npz archive of region features ({error}); is it truncated?") from error
    return _regions(arrays, where)


def read_msgpack(value: bytes, where: str) -> Stored:
    """The regions in an uncompressed record; InputError, which calls it `where`, for anything else."""
    try:
        record = msgspec.msgpack.decode(value, type=dict[str, Any])
        arrays = {name: _array(record[name]) for name in ARRAYS if name in record}
    except (KeyError, TypeError, ValueError, msgspec.MsgspecError) as error:
        raise InputError(f"{where} is no record of region features ({error}); is it truncated?") from error
    return _regions(arrays, where)


def _array(packed: Any) -> NDArray[Any]:
    # msgpack-numpy's own encoding; its keys are bytes or text, by the options it was written with.
    if not isinstance(packed, dict):
        raise TypeError(f"expected an array, not {packed!r:.50}")
    fields = {key.decode() if isinstance(key, bytes) else key: value for key, value in packed.items()}
    dtype = np.dtype(fields["type"])
    if dtype.kind not in "fiu":
        raise TypeError(f"an array of type {dtype} holds no plain numbers")
    return np.frombuffer(fields["data"], dtype).reshape(fields["shape"])


def _regions(arrays: Mapping[str, NDArray[Any]], where: str) -> Stored:
    if missing := [name for name in ("features", "norm_bb") if name not in arrays]:
        raise InputError(f"{where} lacks {missing[0]!r}, which UNITER's image features have")
    features, boxes = arrays["features"], arrays["norm_bb"]
    confident = confident_boxes(arrays["conf"]) if "conf" in arrays else len(features)
    if features.ndim != 2 or boxes.shape != (len(features), BOX_NUMBERS):
        raise InputError(
            f"{where} has features {features.shape} and norm_bb {boxes.shape}; expected (n, F) and (n, {BOX_NUMBERS})"
        )
    return Stored(features=features, boxes=boxes, confident=confident)


def confident_boxes(confidences: NDArray[Any]) -> int:
    """How many of the first boxes are used: as many as are confident, within bounds.

    >>> confident_boxes(np.full(50, 0.1)), confident_boxes(np.full(50, 0.5))
    (10, 50)
    """
    return int(np.clip((confidences > CONFIDENCE).sum(), LEAST_BOXES, MOST_BOXES))
