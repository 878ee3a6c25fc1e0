"""Region features of GQA as its authors publish them: gqa_objects_0.h5 to gqa_objects_15.h5 and one list of images.

gqa_objects_0.h5 ...     features (N, 100, F), bboxes (N, 100, 4; x1, y1, x2, y2 in pixels)
gqa_objects_info.json    {image id: {"file", "idx", "objectsNum", "width", "height"}}
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from bstsearch.errors import InputError
from bstsearch.formats.region_files import Regions, checked
from bstsearch.reading import needing

INFO = "gqa_objects_info.json"


class Place(msgspec.Struct, frozen=True):
    """Where an image's regions lie, how many are real, and the image's size in pixels."""

    file: int
    idx: int
    objectsNum: int  # noqa: N815 (the file's own name)
    width: float
    height: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class H5Source:
    """The regions in `folder`; `features` is F."""

    folder: Path
    places: Mapping[str, Place]
    features: int

    def regions(self, image: str) -> Regions:
        """As `RegionSource.regions`."""
        if image not in self.places:
            raise InputError(f"{self.folder / INFO} does not list image {image}; is it of another part of GQA?")
        place = self.places[image]
        path = self.folder / f"gqa_objects_{place.file}.h5"
        try:
            file = _open(path)
            x = file["features"][place.idx, : place.objectsNum]
            boxes = file["bboxes"][place.idx, : place.objectsNum]
        except FileNotFoundError:
            raise InputError(f"feature file {path} does not exist; image {image} is in it") from None
        except (OSError, KeyError, IndexError, ValueError) as error:
            raise InputError(f"{path} has no regions of image {image} at {place.idx}: {error}") from error
        return checked(x, boxes, (place.width, place.height), self.features, f"{path}, image {image},")

    def first_missing(self, images: Iterable[str]) -> str | None:
        """As `RegionSource.first_missing`."""
        missing = next((image for image in images if image not in self.places), None)
        return None if missing is None else f"image {missing} is not listed in {self.folder / INFO}"


def open_h5(folder: Path, features: int) -> H5Source:
    """The regions that the list in `folder` names; InputError where it is malformed."""
    path = folder / INFO
    try:
        places = msgspec.json.decode(path.read_bytes(), type=dict[str, Place])
    except (OSError, msgspec.MsgspecError) as error:
        raise InputError(f"{path} cannot be read: {error}; is it truncated?") from error
    return H5Source(folder=folder, places=places, features=features)


@functools.lru_cache(maxsize=32)
def _open(path: Path) -> Any:
    with needing(f"reading {path}"):
        import h5py
    return h5py.File(path, "r")
