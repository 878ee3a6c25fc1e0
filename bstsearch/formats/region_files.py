"""Region features in .npz files, as bottom-up attention's tools write them and openvqa and BST read them.

    VQA-v2: feats/{train2014,val2014,test2015}/COCO_train2014_000000458752.jpg.npz    x (F, n) or (n, F), bbox (n, 4)
    GQA:    feats/gqa-frcn/2375429.npz                                                x (n, F), bbox (n, 4)

Boxes are x1, y1, x2, y2 in pixels; the image's size is called image_w and image_h, or width and height. For a model
that reads no boxes, files without boxes and size are sound, too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from bstsearch.errors import InputError
from bstsearch.formats.boxes import shares_of
from bstsearch.formats.number_arrays import read_arrays
from bstsearch.reading import opened

MOST = 100  # regions of an image
MOST_BYTES = 1 << 28  # of an image's file
SIZES = (("image_w", "image_h"), ("width", "height"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Regions:
    """Features (n, F) and boxes (n, 4), x1, y1, x2, y2 as shares of the image; (n, 0) where none were asked for."""

    features: NDArray[np.float32]
    boxes: NDArray[np.float32]


class Boxes(NamedTuple):
    """Boxes (n, 4) in pixels, and the size of their image."""

    pixels: NDArray[Any]
    width: float
    height: float


class RegionSource(Protocol):
    """Where the regions of a data set's images are read from; `regions` may be called by several threads."""

    def regions(self, image: str) -> Regions:
        """The regions of an image; InputError where its file is missing or malformed."""

    def first_missing(self, images: Iterable[str]) -> str | None:
        """The first of these images that has no regions, and where they were looked for; None where all have."""


def read_npz(path: Path, features: int, *, has_boxes: bool = True) -> Regions:
    """The regions in one file, in either orientation; InputError where it is missing, truncated or malformed."""
    with opened(path, MOST_BYTES) as file:
        arrays = read_arrays(file, ("x", "bbox", *SIZES[0], *SIZES[1]) if has_boxes else ("x", "bbox"))
        x = _needed(arrays, "x")
        if has_boxes:
            return checked(x, features, _boxes(arrays))
        # Boxes that nobody asked for say at least how many regions there are.
        return checked(x, features, None, _count(arrays["bbox"], x, features) if "bbox" in arrays else None)


def checked(x: NDArray[Any], features: int, boxes: Boxes | None, count: int | None = None) -> Regions:
    """Regions of these numbers, `x` in either orientation; InputError where they cannot be what was asked for.

    There are `count` of them where that is known without boxes.
    """
    if boxes is not None:
        count = _count(boxes.pixels, x, features)
    if x.ndim == 2 and x.shape[0] == features and count in (None, x.shape[1]):
        x = x.T
    if x.ndim != 2 or x.shape[1] != features or count not in (None, x.shape[0]):
        of_boxes = "" if count is None else f" for {count} boxes"
        raise InputError(f"x is {x.shape}{of_boxes}; the model reads {features} features of each region")
    _check_count(len(x), "regions")
    with np.errstate(all="ignore"):  # what no float32 can hold becomes infinite
        found = np.ascontiguousarray(x, dtype=np.float32)
    if not np.isfinite(found).all():
        raise InputError("x holds NaN or infinite numbers; make it again")
    shares = np.zeros((len(x), 0), dtype=np.float32) if boxes is None else shares_of(*boxes)
    return Regions(features=found, boxes=shares)


def _count(pixels: NDArray[Any], x: NDArray[Any], features: int) -> int:
    if pixels.ndim != 2 or pixels.shape[1] != 4:
        raise InputError(f"x is {x.shape} and bbox {pixels.shape}; expected (n, {features}) and (n, 4)")
    _check_count(len(pixels), "boxes")
    if not np.isfinite(pixels).all():
        raise InputError("bbox holds NaN or infinite numbers; make it again")
    return len(pixels)


def _check_count(count: int, what: str) -> None:
    if not 1 <= count <= MOST:
        raise InputError(f"{count} {what}; expected 1 to {MOST}")


def _boxes(arrays: Mapping[str, NDArray[Any]]) -> Boxes:
    names = next((pair for pair in SIZES if pair[0] in arrays), SIZES[0])
    width, height = (_number(arrays, name) for name in names)
    return Boxes(_needed(arrays, "bbox"), width, height)


def _number(arrays: Mapping[str, NDArray[Any]], name: str) -> float:
    found = _needed(arrays, name)
    if found.size != 1:
        raise InputError(f"{name} is {found.shape}; expected one number")
    return float(found.item())


def _needed(arrays: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    if name not in arrays:
        expected = "x" if name == "x" else "x, bbox, image_w and image_h, since the model reads boxes"
        raise InputError(f"no array {name!r}; expected {expected}")
    return arrays[name]
