"""Region features in UNITER's image folders: one folder for each part of COCO, holding LMDB databases or .npz files.

Public code ChenRocks/UNITER, files data/data.py and scripts/convert_imgdir.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bstsearch.errors import InputError
from bstsearch.formats.lmdb_folder import LmdbFolder, open_lmdb
from bstsearch.formats.region_files import Regions
from bstsearch.formats.uniter_records import Stored, read_msgpack, read_npz
from bstsearch.reading import read_json

# In the order of preference of the public code's defaults; those that end in this are archives, the others MessagePack.
COMPRESSED = "_compressed"
DATABASES = tuple(
    name + suffix for name in ("feat_th0.2_max100_min10", "all", "feat_numbb36") for suffix in (COMPRESSED, "")
)
FIXED_COUNT = "feat_numbb"  # databases that hold the same number of boxes of every image: all of them are used
COUNTS = "nbb_th0.2_max100_min10.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageFolder:
    """One part's images, by names such as "coco_val2014_000000393267.npz"; `counts` are boxes to use, where given."""

    path: Path
    database: LmdbFolder | None
    counts: Mapping[str, Any] | None

    def __contains__(self, name: str) -> bool:
        return (self.path / name).is_file() if self.database is None else name in self.database

    def regions(self, name: str) -> Regions:
        """The image's regions that are to be used; InputError where it is missing or malformed."""
        if self.database is None:
            found = read_npz(self.path / name, str(self.path / name))
        else:
            where = f"{self.database.path}, key {name!r},"
            read = read_npz if self.database.path.name.endswith(COMPRESSED) else read_msgpack
            found = read(self.database.value(name), where)
        count = self._count(name, found)
        features, boxes = found.features[:count].astype(np.float32), found.boxes[:count].astype(np.float32)
        if not (np.isfinite(features).all() and np.isfinite(boxes).all()):
            raise InputError(f"image {name} in {self.path} holds NaN or infinite numbers; copy it again")
        return Regions(features=features, boxes=boxes)

    def _count(self, name: str, found: Stored) -> int:
        if self.database is not None and self.database.path.name.startswith(FIXED_COUNT):
            return len(found.features)
        if self.counts is None:
            return min(found.confident, len(found.features))
        count = self.counts.get(name)
        if type(count) is not int or not 0 < count <= len(found.features):
            raise InputError(
                f"{self.path / COUNTS} gives {count!r} boxes for {name}, which has {len(found.features)}; copy both"
            )
        return count


def open_image_folder(path: Path) -> ImageFolder:
    """The images in `path`; InputError where there is neither a database nor an .npz file."""
    name = next((name for name in DATABASES if (path / name).is_dir()), None)
    if name is None:
        if next(path.glob("*.npz"), None) is None:
            raise InputError(f"image folder {path} holds none of {', '.join(DATABASES)} and no .npz file")
        return ImageFolder(path=path, database=None, counts=None)
    counts = read_json(path / COUNTS) if name in DATABASES[:2] and (path / COUNTS).exists() else None
    return ImageFolder(path=path, database=open_lmdb(path / name), counts=counts)
