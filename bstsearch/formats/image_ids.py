"""Which image a file, a line or an entry belongs to: names are compared by one rule, whoever wrote them.

The exact name comes first. Else numbers are compared, without their leading zeros, and what stands before them must be
the same where both have it: "7", "0007" and "COCO_val2014_000000000007" are one image, "vg_7" is another than the last.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Generic, TypeVar

from bstsearch.errors import InputError
from bstsearch.reading import shown

Place = TypeVar("Place")


def image_id(name: str) -> tuple[str, str]:
    """What stands before the last "_" of a file's or an image's name, and the id behind it, without leading zeros.

    >>> image_id("COCO_train2014_000000458752.jpg"), image_id("0002001"), image_id("n161313")
    (('COCO_train2014', '458752'), ('', '2001'), ('', 'n161313'))
    """
    if name.startswith("."):  # systems leave such files beside those that are meant: "._7.npz"
        return "", name
    before, _, number = _bare(name).rpartition("_")
    return before, (number.lstrip("0") or "0") if number.isdecimal() else number


class ImageIndex(Generic[Place]):
    """Where images lie in `folder`: places by names of images, which may still have the images' own suffix.

    `label` names a place, from `folder` on; `content` is what two places of one image must have in common.
    """

    def __init__(
        self,
        folder: Path,
        places: Iterable[tuple[str, Place]],
        *,
        label: Callable[[str, Place], str],
        content: Callable[[Place], Any],
    ) -> None:
        self._folder, self._label, self._content = folder, label, content
        self._named: dict[str, list[tuple[str, Place]]] = {}
        self._numbered: dict[str, list[tuple[str, Place]]] = {}
        for name, place in places:
            for key in {name, _bare(name)}:
                self._named.setdefault(key, []).append((name, place))
            self._numbered.setdefault(image_id(name)[1], []).append((name, place))

    def find(self, image: str) -> Place | None:
        """Where `image` lies, None where it is not there; InputError where several places claim it and differ."""
        found = self._named.get(image) or self._alike(image)
        if not found:
            return None
        (name, place), *others = found
        for other, rival in others:
            if self._content(rival) != self._content(place):
                raise InputError(
                    f"{self._folder / self._label(name, place)}: image {shown(image)} may be this or "
                    f"{self._label(other, rival)}, and they differ; remove one of them"
                )
        return place

    def _alike(self, image: str) -> list[tuple[str, Place]]:
        if _bare(image) != image:  # "a.b" is not "a"
            return []
        before, number = image_id(image)
        found = self._numbered.get(number, [])
        return [one for one in found if not before or image_id(one[0])[0] in ("", before)]


def files_below(folder: Path, suffix: str) -> list[Path]:
    """The files in and below `folder` whose names end in `suffix`, in small letters or capitals, in order.

    Links to folders are followed, each folder once.
    """
    found: list[Path] = []
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        if (real := os.path.realpath(place)) in seen:
            folders.clear()
            continue
        seen.add(real)
        found += [Path(place, name) for name in names if name.lower().endswith(suffix)]
    return sorted(found)


def _bare(name: str) -> str:
    """A name up to its first dot, if that is not where it begins."""
    return name.partition(".")[0] or name
