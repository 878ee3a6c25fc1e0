"""The JPEG files that LXMERT's question lists name, found in the folders that CLIP-ViL reads them from.

Public code clip-vil/CLIP-ViL, files lxmert_data.py and gqa_data.py of CLIP-ViL-Pretrain.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from bstsearch.errors import InputError
from bstsearch.formats.image_ids import ImageIndex
from bstsearch.inputs.pictures import picture_size
from bstsearch.reading import Count, digest, read_json, shown

PARTS = ("train2014", "val2014", "test2015")  # of COCO; they occur in the names of its images
FOLDERS = ("", "images", "mscoco", "gqa/images")
SIZES = "width_heigths.json"  # spelt so
SIZE_FOLDERS = ("", "mscoco", "gqa")

Size = tuple[Count, Count]


def get_images(folder: Path, names: Iterable[str]) -> dict[str, Path]:
    """The file of each image; InputError where one has none."""
    inside: dict[str, _Inside] = {}  # part of COCO -> the folders there are for it
    found: dict[str, Path] = {}
    for name in names:
        part = next((part for part in PARTS if part in name), "")
        if part not in inside:
            inside[part] = _Inside(folder, part)
        path = inside[part].find(name) if Path(name).name == name else None
        if path is None:
            places = ", ".join(place for place in FOLDERS if place)
            what = f"a question is about image {shown(name)}, but there is no such .jpg file"
            raise InputError(f"{folder}: {what} here, in {places}, or in a folder {part or PARTS[0]} of these")
        found[name] = path
    return found


class _Inside:
    """The folders that there are for the images of a part of COCO."""

    def __init__(self, folder: Path, part: str) -> None:
        self._folder = folder
        places = [folder / place / part for place in FOLDERS] + [folder / place for place in FOLDERS]
        self._places = [place for place in dict.fromkeys(places) if place.is_dir()]

    def find(self, name: str) -> Path | None:
        """The image's file: the first of exactly its name, else as `ImageIndex` compares names; None without one."""
        exact = (place / f"{name}.jpg" for place in self._places)
        return next((path for path in exact if os.path.isfile(path)), None) or self._index.find(name)

    @functools.cached_property
    def _index(self) -> ImageIndex[Path]:
        files = [(path.name, path) for place in self._places for path in sorted(place.glob("*.jpg"))]
        return ImageIndex(
            self._folder, files, label=lambda _, path: str(path.relative_to(self._folder)), content=digest
        )


def are_lying(folder: Path, paths: Mapping[str, Path]) -> dict[str, bool]:
    """Whether each image is wider than high: from the list of sizes where there is one, else from the files."""
    sizes = _listed_sizes(folder)
    return {name: is_lying(path, sizes.get(path.name)) for name, path in paths.items()}


def _listed_sizes(folder: Path) -> dict[str, Size]:
    # A key is a path on the machine where the list was made; only its last part means something here.
    paths = [folder / place / SIZES for place in SIZE_FOLDERS]
    listed = (read_json(path, dict[str, Size]) for path in paths if path.exists())
    return {Path(key).name: size for sizes in listed for key, size in sizes.items()}


def is_lying(path: Path, size: Size | None = None) -> bool:
    """Whether an image is wider than high; `size` is its listed height and width; InputError where it is malformed."""
    if size is None:
        width, height = picture_size(path)
    else:
        # Whatever the list's name says, it has the height first: it is written from the shape of an array.
        height, width = size
    return width > height
