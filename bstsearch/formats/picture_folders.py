"""Pictures in a folder for each class, below one for each part or not, as torchvision's ImageFolder (no torch)."""

from __future__ import annotations

from pathlib import Path

from bstsearch.errors import InputError
from bstsearch.formats.labelled import Labelled, by_part

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


def matches(path: Path) -> bool:
    """Whether `path` holds folders, other than hidden ones."""
    return bool(_folders(path))


def read_parts(folder: Path) -> dict[str, Labelled]:
    """The parts there are: those of `folder/PART/CLASS/*`, or `folder/CLASS/*` as "train"; the pictures stay unread.

    InputError where a part has no folders, or a class no pictures.
    """
    parts = by_part(_folders(folder)) or {"train": [folder]}
    for places in parts.values():
        if len(places) > 1:
            raise InputError(f"{places[1]}: the part that {places[0].name} is already; remove one of them")
    return {part: _read(place) for part, (place,) in parts.items()}


def _read(folder: Path) -> Labelled:
    classes = _folders(folder)
    if not classes:
        raise InputError(f"{folder} holds no folders; make one for each class, with its pictures")
    found = [(picture, label.name) for label in classes for picture in _pictures(label)]
    return Labelled(
        where=folder,
        examples=[picture for picture, _ in found],
        labels=[name for _, name in found],
        rows=[picture.relative_to(folder).as_posix() for picture, _ in found],
    )


def _folders(path: Path) -> list[Path]:
    return sorted(place for place in path.glob("*") if place.is_dir() and not place.name.startswith("."))


def _pictures(folder: Path) -> list[Path]:
    found = sorted(file for file in folder.rglob("*") if file.suffix.lower() in ENDINGS and file.is_file())
    if not found:
        raise InputError(f"{folder} holds no picture that ends in {', '.join(ENDINGS)}; add some, or remove the folder")
    return found
