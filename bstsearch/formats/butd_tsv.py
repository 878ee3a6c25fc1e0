"""Region features as bottom-up attention publishes them: tables of one line for each image (Anderson et al., 2018).

    trainval_resnet101_faster_rcnn_genome_36.tsv    image_id, image_w, image_h, num_boxes, boxes, features

Columns are parted by tabs, without a head; boxes (n, 4; x1, y1, x2, y2 in pixels) and features (n, F) are float32 in
base64. A file of 40 GB is passed over once, to find where its lines begin, and no more of it is held.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import mmap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bstsearch.errors import InputError
from bstsearch.formats.region_files import Regions, checked

BOX = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
    """Where an image's line lies."""

    path: Path
    start: int
    size: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class TsvSource:
    """The lines of the tables in `folder`, by image; `features` is F."""

    folder: Path
    lines: Mapping[str, Line]
    features: int

    def regions(self, image: str) -> Regions:
        """As `RegionSource.regions`."""
        if image not in self.lines:
            raise InputError(f"the .tsv files in {self.folder} have no image {image}; copy the one that has it there")
        line = self.lines[image]
        where = f"{line.path}, image {image},"
        try:
            with line.path.open("rb") as file:
                file.seek(line.start)
                _, width, height, count, boxes, features = file.read(line.size).rstrip(b"\r\n").split(b"\t")
            found = int(count)
            x, corners = _floats(features).reshape(found, -1), _floats(boxes).reshape(found, BOX)
            return checked(x, corners, (float(width), float(height)), self.features, where)
        except (OSError, ValueError, binascii.Error) as error:
            raise InputError(f"{where} cannot be read: {error}; is the file truncated?") from error

    def first_missing(self, images: Iterable[str]) -> str | None:
        """As `RegionSource.first_missing`."""
        missing = next((image for image in images if image not in self.lines), None)
        return None if missing is None else f"image {missing} is in no .tsv file in {self.folder}"


def open_tsv(folder: Path, features: int) -> TsvSource:
    """The images in the .tsv files in and below `folder`; InputError names one that is empty or no such table."""
    lines = {image: line for path in sorted(folder.rglob("*.tsv")) for image, line in _lines(path)}
    return TsvSource(folder=folder, lines=lines, features=features)


def _lines(path: Path) -> Iterator[tuple[str, Line]]:
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            start = 0
            while start < len(data):
                end = data.find(b"\n", start) + 1 or len(data)
                yield _image(path, data[start : start + 32]), Line(path=path, start=start, size=end - start)
                start = end
    except (OSError, ValueError) as error:  # mmap refuses empty files
        raise InputError(f"feature file {path} cannot be read: {error}") from error


def _image(path: Path, begin: bytes) -> str:
    name, tab, _ = begin.partition(b"\t")
    if not tab or not name.isdigit():
        raise InputError(
            f"feature file {path} has a line that begins with {begin[:16]!r}; expected image_id, image_w, image_h, "
            f"num_boxes, boxes and features, parted by tabs"
        )
    return str(int(name))


def _floats(text: bytes) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(text, validate=True), np.float32)
