"""Region features in UNITER's image folders: one folder for each part of COCO, holding LMDB databases or .npz files.

Public code ChenRocks/UNITER, files data/data.py and scripts/convert_imgdir.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bstsearch.errors import InputError
from bstsearch.formats.boxes import check_shares
from bstsearch.formats.lmdb_folder import LmdbFolder, open_lmdb
from bstsearch.formats.region_files import Regions
from bstsearch.formats.uniter_records import Stored, read_msgpack, read_npz
from bstsearch.reading import parsing, read_json, shown

# In the order of preference of the public code's defaults; those that end in this are archives, the others MessagePack.
COMPRESSED = "_compressed"
DATABASES = tuple(
    name + suffix for name in ("feat_th0.2_max100_min10", "all", "feat_numbb36") for suffix in (COMPRESSED, "")
)
FIXED_COUNT = "feat_numbb"  # databases that hold the same number of boxes of every image: all of them are used
COUNTS = "nbb_th0.2_max100_min10.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageFolder:
    """One part's images, by names such as "coco_val2014_000000393267.npz"; `counts` are boxes to use, where given.

    Boxes are read only with `has_boxes`.
    """

    path: Path
    database: LmdbFolder | None
    counts: Mapping[str, int] | None
    has_boxes: bool

    def __contains__(self, name: str) -> bool:
        return (self.path / name).is_file() if self.database is None else name in self.database

    def regions(self, name: str) -> Regions:
        """The image's regions that are to be used; InputError where it is missing or malformed."""
        where = str(self.path / name) if self.database is None else f"{self.database.path}, key {shown(name)}"
        found = self._stored(name, where)
        count = self._count(name, found)
        with parsing(where), np.errstate(all="ignore"):  # what no float32 can hold becomes infinite
            features, boxes = found.features[:count].astype(np.float32), found.boxes[:count].astype(np.float32)
            if not (np.isfinite(features).all() and np.isfinite(boxes).all()):
                raise InputError("NaN or infinite numbers; copy it again")
            if self.has_boxes:
                check_shares(boxes)
        return Regions(features=features, boxes=boxes)

    def _stored(self, name: str, where: str) -> Stored:
        if self.database is None:
            return read_npz(self.path / name, where, has_boxes=self.has_boxes)
        read = read_npz if self.database.path.name.endswith(COMPRESSED) else read_msgpack
        return read(self.database.value(name), where, has_boxes=self.has_boxes)

    def _count(self, name: str, found: Stored) -> int:
        if self.database is not None and self.database.path.name.startswith(FIXED_COUNT):
            return len(found.features)
        if self.counts is None:
            return min(found.confident, len(found.features))
        count = self.counts.get(name, 0)
        if not 0 < count <= len(found.features):
            has = len(found.features)
            raise InputError(f"{self.path / COUNTS} gives {count} boxes for {name}, which has {has}; copy both")
        return count


def open_image_folder(path: Path, *, has_boxes: bool = True) -> ImageFolder:
    """The images in `path`; InputError where there is neither a database nor an .npz file."""
    name = next((name for name in DATABASES if (path / name).is_dir()), None)
    if name is None:
        if next(path.glob("*.npz"), None) is None:
            raise InputError(f"{path}: an image folder that holds no .npz file and none of {', '.join(DATABASES)}")
        return ImageFolder(path=path, database=None, counts=None, has_boxes=has_boxes)
    is_listed = name in DATABASES[:2] and (path / COUNTS).exists()
    counts = read_json(path / COUNTS, dict[str, int]) if is_listed else None
    return ImageFolder(path=path, database=open_lmdb(path / name), counts=counts, has_boxes=has_boxes)
