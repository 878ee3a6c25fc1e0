"""Region features of GQA as its authors publish them: gqa_objects_0.h5 to gqa_objects_15.h5 and one list of images.

gqa_objects_0.h5 ...     features (N, 100, F), bboxes (N, 100, 4; x1, y1, x2, y2 in pixels)
gqa_objects_info.json    {image id: {"file", "idx", "objectsNum", "width", "height"}}
"""

from __future__ import annotations

import dataclasses
import functools
import math
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from numpy.typing import NDArray

from bstsearch.errors import InputError
from bstsearch.formats.image_ids import ImageIndex, image_id
from bstsearch.formats.number_arrays import check_numbers
from bstsearch.formats.region_files import Boxes, Regions, checked
from bstsearch.reading import Amount, Whole, check_file, needing, parsing, read_json, shown

INFO = "gqa_objects_info.json"
MOST_DEFLATED = 1032  # times that a file's bytes can be compressed


class Place(msgspec.Struct, frozen=True):
    """Where an image's regions lie, how many are real, and the image's size in pixels."""

    file: Whole
    idx: Whole
    objectsNum: Whole  # noqa: N815 (the file's own name)
    width: Amount
    height: Amount


@dataclasses.dataclass(frozen=True, kw_only=True)
class H5Source:
    """The regions in `folder`; `features` is F; boxes are read only with `has_boxes`."""

    folder: Path
    places: ImageIndex[Place]
    features: int
    has_boxes: bool = True

    def regions(self, image: str) -> Regions:
        """As `RegionSource.regions`."""
        place = self.places.find(image)
        if place is None:
            raise InputError(f"{self.folder / INFO} does not list image {image}; is it of another part of GQA?")
        path = self.folder / f"gqa_objects_{place.file}.h5"
        file = _open(path)
        with parsing(f"{path}, image {shown(image)}"):
            x = _rows(file, "features", place)
            boxes = Boxes(_rows(file, "bboxes", place), place.width, place.height) if self.has_boxes else None
            return checked(x, self.features, boxes)

    def first_missing(self, images: Iterable[str]) -> str | None:
        """As `RegionSource.first_missing`."""
        missing = next((image for image in images if self.places.find(image) is None), None)
        return None if missing is None else f"{self.folder / INFO} does not list image {missing}"


def open_h5(folder: Path, features: int, *, has_boxes: bool = True) -> H5Source:
    """The regions that the list in `folder` names; InputError where it is malformed."""
    places = read_json(folder / INFO, dict[str, Place])
    _check_apart(places, folder / INFO)
    index = ImageIndex(folder, places.items(), label=lambda name, _: f"{INFO}, {shown(name)}", content=lambda one: one)
    return H5Source(folder=folder, places=index, features=features, has_boxes=has_boxes)


def _check_apart(places: Mapping[str, Place], path: Path) -> None:
    """Passes where no two images have the same place; else InputError: one would be seen for the other."""
    taken: dict[tuple[int, int], str] = {}
    for image, place in places.items():
        other = taken.setdefault((place.file, place.idx), image)
        if image_id(other) != image_id(image):
            raise InputError(f"{path} gives images {shown(other)} and {shown(image)} one place; copy it again")


@functools.lru_cache(maxsize=32)
def _open(path: Path) -> Any:
    with needing(f"reading {path}"):
        import h5py
    check_file(path, sys.maxsize)
    with parsing(path):
        return h5py.File(path, "r")


def _rows(file: Any, name: str, place: Place) -> NDArray[Any]:
    """The real rows of an image in a data set (N, rows, columns)."""
    found = _data_set(file, name)
    if found.ndim != 3:
        raise InputError(f"{name} has shape {shown(found.shape)}; expected three axes")
    if place.idx >= found.shape[0] or place.objectsNum > found.shape[1]:
        raise InputError(f"{name} is {found.shape}, but {INFO} gives idx {place.idx}, objectsNum {place.objectsNum}")
    check_numbers(name, found.dtype, found.shape[1:])
    check_numbers(f"a part of {name}", found.dtype, found.chunks or ())  # it is decompressed whole
    rows: NDArray[Any] = found[place.idx, : place.objectsNum]
    return rows


def _data_set(file: Any, name: str) -> Any:
    """The data set of that name, which lies in this file and can be as large as it says; else InputError."""
    import h5py

    if name not in file:
        raise InputError(f"no data set {name!r}; expected features and bboxes")
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise InputError(f"{name} is a link to another place; copy the file that holds the numbers")
    found = file[name]
    if not isinstance(found, h5py.Dataset):
        raise InputError(f"{name} is a group; expected a data set")
    if found.is_virtual or found.external:
        raise InputError(f"{name} lies in other files; copy the file that holds the numbers")
    size, held = math.prod(found.shape) * found.dtype.itemsize, found.id.get_storage_size()
    if size > held * (MOST_DEFLATED if found.id.get_create_plist().get_nfilters() else 1):
        raise InputError(f"{name} has shape {shown(found.shape)}, but {held:,} bytes are there; is it truncated?")
    return found
