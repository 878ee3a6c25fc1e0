"""The JPEG files that LXMERT's question lists name, found in the folders that CLIP-ViL reads them from.

Public code clip-vil/CLIP-ViL, files lxmert_data.py and gqa_data.py of CLIP-ViL-Pretrain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from bstsearch.errors import InputError
from bstsearch.inputs.pictures import seen_size
from bstsearch.reading import read_json

PARTS = ("train2014", "val2014", "test2015")  # of COCO; they occur in the names of its images
FOLDERS = ("", "images", "mscoco", "gqa/images")
SIZES = "width_heigths.json"  # spelt so
SIZE_FOLDERS = ("", "mscoco", "gqa")


def get_images(folder: Path, names: Iterable[str]) -> dict[str, Path]:
    """The file of each image; InputError where one has none."""
    inside: dict[str, list[Path]] = {}  # part of COCO -> the folders there are for it
    found: dict[str, Path] = {}
    for name in names:
        part = next((part for part in PARTS if part in name), "")
        if part not in inside:
            places = [folder / place / part for place in FOLDERS] + [folder / place for place in FOLDERS]
            inside[part] = [place for place in dict.fromkeys(places) if place.is_dir()]
        path = next((place / f"{name}.jpg" for place in inside[part] if (place / f"{name}.jpg").is_file()), None)
        if path is None or Path(name).name != name:
            expected = " or ".join(str(folder / place / part) for place in FOLDERS)
            raise InputError(f"image {name}.jpg, which a question is about, is not in {expected}")
        found[name] = path
    return found


def are_lying(folder: Path, paths: Mapping[str, Path]) -> dict[str, bool]:
    """Whether each image is wider than high: from the list of sizes where there is one, else from the files."""
    sizes = _listed_sizes(folder)
    return {name: is_lying(path, sizes.get(path.name)) for name, path in paths.items()}


def _listed_sizes(folder: Path) -> dict[str, Any]:
    # A key is a path on the machine where the list was made; only its last part means something here.
    paths = [folder / place / SIZES for place in SIZE_FOLDERS]
    listed = (read_json(path) for path in paths if path.exists())
    return {Path(key).name: size for sizes in listed for key, size in sizes.items()}


def is_lying(path: Path, size: Any = None) -> bool:
    """Whether an image is wider than high; `size` is its listed height and width; InputError where it is malformed."""
    if size is None:
        try:
            with Image.open(path) as image:
                width, height = seen_size(image)
                return width > height
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise InputError(f"{path} cannot be read as an image: {error}") from error
    if not (isinstance(size, list) and len(size) == 2 and all(type(number) is int for number in size)):
        raise InputError(f"{SIZES} must give two numbers for {path.name}, not {size!r}")
    # Whatever its name says, the list has the height first: it is written from the shape of an array.
    return bool(size[1] > size[0])
