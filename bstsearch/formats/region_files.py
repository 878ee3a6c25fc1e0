"""Region features in .npz files, as bottom-up attention's tools write them and openvqa and BST read them.

    VQA-v2: feats/{train2014,val2014,test2015}/COCO_train2014_000000458752.jpg.npz    x (F, n) or (n, F), bbox (n, 4)
    GQA:    feats/gqa-frcn/2375429.npz                                                x (n, F), bbox (n, 4)

Boxes are x1, y1, x2, y2 in pixels; the image's size is called image_w and image_h, or width and height.
"""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bstsearch.errors import InputError

MOST = 100  # regions of an image
SIZES = (("image_w", "image_h"), ("width", "height"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Regions:
    """Features (n, F) and boxes (n, 4), x1, y1, x2, y2 as shares of the image."""

    features: NDArray[np.float32]
    boxes: NDArray[np.float32]


class RegionSource(Protocol):
    """Where the regions of a data set's images are read from; `regions` may be called by several threads."""

    def regions(self, image: str) -> Regions:
        """The regions of an image; InputError where its file is missing or malformed."""

    def first_missing(self, images: Iterable[str]) -> str | None:
        """The first of these images that has no regions, and where they were looked for; None where all have."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NpzSource:
    """One .npz file for each image, found by the image's id; `features` is F."""

    folder: Path
    files: Mapping[str, Path]
    features: int

    def regions(self, image: str) -> Regions:
        """As `RegionSource.regions`."""
        if image not in self.files:
            raise InputError(f"{self.folder} has no feature file for image {image}; copy it there")
        return read_npz(self.files[image], self.features)

    def first_missing(self, images: Iterable[str]) -> str | None:
        """As `RegionSource.first_missing`."""
        missing = next((image for image in images if image not in self.files), None)
        return None if missing is None else f"image {missing} has no .npz file below {self.folder}"


def find_npz(folder: Path, features: int) -> NpzSource:
    """The .npz files in and below `folder`; an image's id is the number behind the last "_" of its file's name.

    >>> image_id("COCO_train2014_000000458752.jpg.npz"), image_id("n161313.npz")
    ('458752', 'n161313')
    """
    files = {image_id(path.name): path for path in sorted(folder.rglob("*.npz"))}
    return NpzSource(folder=folder, files=files, features=features)


def image_id(name: str) -> str:
    """The id of the image that a feature file's name stands for, without leading zeros."""
    text = name.partition(".")[0].rpartition("_")[2]
    return str(int(text)) if text.isdecimal() else text


def read_npz(path: Path, features: int) -> Regions:
    """The regions in one file, in either orientation; InputError where it is missing, truncated or malformed."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            names = next((pair for pair in SIZES if pair[0] in file), SIZES[0])
            arrays = {name: file[name] for name in ("x", "bbox", *names)}
            size = [float(arrays[name]) for name in names]
    except FileNotFoundError:
        raise InputError(f"feature file {path} does not exist") from None
    except KeyError as error:
        raise InputError(f"feature file {path} lacks {error}; expected x, bbox, image_w and image_h") from None
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(f"feature file {path} cannot be read: {error}; is it truncated?") from error
    return checked(arrays["x"], arrays["bbox"], size, features, f"feature file {path}")


def checked(x: NDArray[Any], boxes: NDArray[Any], size: Iterable[float], features: int, where: str) -> Regions:
    """Regions of these numbers; InputError (beginning with `where`) where they cannot be what was asked for."""
    if boxes.ndim != 2 or boxes.shape[1] != 4 or x.ndim != 2:
        raise InputError(f"{where} has x {x.shape} and bbox {boxes.shape}; expected (n, {features}) and (n, 4)")
    count = len(boxes)
    if not 1 <= count <= MOST:
        raise InputError(f"{where} has {count} boxes; expected 1 to {MOST}")
    if x.shape == (features, count):
        x = x.T
    if x.shape != (count, features):
        raise InputError(f"{where} has x {x.shape} for {count} boxes; the model reads {features} features of each")
    width, height = size
    if not (width > 0 and height > 0):
        raise InputError(f"{where} gives the image's size as {width:g} x {height:g}")
    shares = (boxes / np.array([width, height, width, height])).astype(np.float32)
    found = Regions(features=np.ascontiguousarray(x, dtype=np.float32), boxes=shares)
    if not (np.isfinite(found.features).all() and np.isfinite(found.boxes).all()):
        raise InputError(f"{where} holds NaN or infinite numbers; make it again")
    return found
