"""The JPEG files that LXMERT's question lists name, found in the folders that CLIP-ViL reads them from.

Public code clip-vil/CLIP-ViL, files lxmert_data.py and gqa_data.py of CLIP-ViL-Pretrain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from bstsearch.errors import InputError
from bstsearch.formats.image_ids import ImageIndex
from bstsearch.inputs.pictures import picture_size
from bstsearch.reading import Count, digest, read_json, shown

PARTS = ("train2014", "val2014", "test2015")  # of COCO; they occur in the names of its images
NAMES = "*.[jJ][pP][gG]"
FOLDERS = ("", "images", "mscoco", "gqa/images")
SIZES = "width_heigths.json"  # spelt so
SIZE_FOLDERS = ("", "mscoco", "gqa")

Size = tuple[Count, Count]


def get_images(folder: Path, names: Iterable[str]) -> dict[str, Path]:
    """The file of each image; InputError where one has none, or two that differ."""
    parts: dict[str, ImageIndex[Path]] = {}
    found: dict[str, Path] = {}
    for name in names:
        part = next((part for part in PARTS if part in name), "")
        if part not in parts:
            parts[part] = _pictures(folder, part)
        path = parts[part].find(name)
        if path is None or not path.is_file():
            what = f"a question is about image {shown(name)}, but there is no such .jpg file"
            places = ", ".join(filter(None, FOLDERS))
            raise InputError(f"{folder}: {what} here, in {places}, or in a folder {part or PARTS[0]} of these")
        found[name] = path
    return found


def _pictures(folder: Path, part: str) -> ImageIndex[Path]:
    """The pictures in the folders that there are for a part of COCO."""
    places = [folder / place / part for place in FOLDERS] + [folder / place for place in FOLDERS]
    files = [(path.stem, path) for place in dict.fromkeys(places) for path in sorted(place.glob(NAMES))]
    return ImageIndex(folder, files, label=lambda _, path: path.relative_to(folder).as_posix(), content=digest)


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
