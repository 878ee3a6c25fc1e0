"""Region features as bottom-up attention publishes them: tables of one line for each image (Anderson et al., 2018).

    trainval_resnet101_faster_rcnn_genome_36.tsv    image_id, image_w, image_h, num_boxes, boxes, features
    LXMERT's train2014_obj36.tsv                    img_id, img_h, img_w, objects_id, objects_conf, attrs_id,
                                                    attrs_conf, num_boxes, boxes, features

Columns are parted by tabs, without a head; boxes (n, 4; x1, y1, x2, y2 in pixels) and features (n, F) are float32 in
base64. A file of 40 GB is passed over once, to find where its lines begin, and no more of it is held.
"""

from __future__ import annotations

import base64
import codecs
import dataclasses
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bstsearch.errors import InputError
from bstsearch.formats.region_files import MOST, Boxes, Regions, checked
from bstsearch.reading import opened, parsing, shown

BOX = 4
MOST_BYTES = 1 << 26  # of a line; a hundred regions have two million
QUOTED = re.compile(rb"""b(['"])(.*)\1""", re.DOTALL)  # what Python 3 wrote of bytes: b'...'


class Columns(NamedTuple):
    """The places of what is read."""

    width: int
    height: int
    number: int
    boxes: int
    features: int


COLUMNS = {6: Columns(1, 2, 3, 4, 5), 10: Columns(2, 1, 7, 8, 9)}  # by their number


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
    """Where an image's line lies."""

    path: Path
    image: str
    start: int
    size: int

    def read(self) -> bytes:
        """The line; InputError where the file is gone or shorter."""
        with opened(self.path, sys.maxsize) as file:
            file.seek(self.start)
            return file.read(self.size)


def table_lines(path: Path) -> list[tuple[str, Line]]:
    """The lines of a table by image; InputError where the file does not begin as one.

    A line that is malformed further on is found, too: reading it tells.
    """
    with opened(path, sys.maxsize) as file:
        start = len(codecs.BOM_UTF8) if file.peek(3).startswith(codecs.BOM_UTF8) else 0
        file.seek(start)
        _check_table(file.readline(MOST_BYTES))
        file.seek(start)
        lines = iter(lambda: file.readline(MOST_BYTES), b"")
        return [(line.image, line) for line in _lines(path, start, lines)]


def read_line(line: Line, features: int, *, has_boxes: bool = True) -> Regions:
    """The regions of an image, F numbers each; InputError where its line is malformed."""
    with parsing(f"{line.path}, image {shown(line.image)}"):
        columns = line.read().rstrip(b"\r\n").split(b"\t")
        where = _places(columns)
        count = int(_bare(columns[where.number]))
        if not 1 <= count <= MOST:
            raise InputError(f"{count} boxes; expected 1 to {MOST}")
        x = _floats(columns[where.features], count, features, "features")
        if not has_boxes:
            return checked(x, features, None)
        width, height = (float(_bare(columns[place])) for place in (where.width, where.height))
        return checked(x, features, Boxes(_floats(columns[where.boxes], count, BOX, "boxes"), width, height))


def _lines(path: Path, start: int, lines: Iterator[bytes]) -> Iterator[Line]:
    for line in lines:
        if len(line) == MOST_BYTES:
            raise InputError(f"byte {start}: a line of more than {MOST_BYTES:,} bytes")
        name, tab, _ = line[:256].partition(b"\t")
        if tab:  # else a line that ends in its image's number, which may lack digits
            yield Line(path=path, image=_bare(name).decode(), start=start, size=len(line))
        start += len(line)


def _check_table(line: bytes) -> None:
    columns = line.rstrip(b"\r\n").split(b"\t")
    places = COLUMNS.get(len(columns))
    if places is None or not _bare(columns[places.number]).isdigit():
        raise InputError(f"begins with {shown(line[:16])}; expected a table of 6 columns, or of LXMERT's 10")


def _places(columns: list[bytes]) -> Columns:
    if len(columns) not in COLUMNS:
        raise InputError(f"the line has {len(columns)} columns; expected 6, or LXMERT's 10; is it truncated?")
    return COLUMNS[len(columns)]


def _bare(text: bytes) -> bytes:
    found = QUOTED.fullmatch(text)
    return found[2] if found else text


def _floats(text: bytes, count: int, size: int, what: str) -> NDArray[np.float32]:
    """Numbers (count, size) from base64; some lines of the published test2014 tables hold them twice."""
    text, wanted = _bare(text), count * size * np.dtype(np.float32).itemsize
    once = -(-wanted // 3) * 4  # the second time may begin behind the padding of the first
    data = b"".join(base64.b64decode(part, validate=True) for part in (text[:once], text[once:]))
    if len(data) == 2 * wanted and data[:wanted] == data[wanted:]:
        data = data[:wanted]
    if len(data) != wanted:
        found = len(data) / wanted * size
        raise InputError(f"{found:g} {what} for each of {count} boxes; the model reads {size}; is it truncated?")
    return np.frombuffer(data, np.float32).reshape(count, size)
