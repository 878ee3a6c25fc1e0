from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bstsearch.errors import InputError
from bstsearch.formats.butd_tsv import open_tsv


def line(image: int, regions: int = 3, size: int = 8, **changes: Any) -> bytes:
    """One image's line; its features are its number, its boxes 50 pixels of 200 x 100."""
    x = np.full((regions, size), image, np.float32)
    columns = {
        "image": str(image),
        "width": "200",
        "height": "100",
        "count": str(regions),
        "boxes": base64.b64encode(np.full((regions, 4), 50, np.float32).tobytes()).decode(),
        "features": base64.b64encode(x.tobytes()).decode(),
    }
    return "\t".join({**columns, **changes}.values()).encode() + b"\n"


def test_each_image_is_found_whatever_its_file_and_number_of_regions(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "one.tsv").write_bytes(line(7) + line(458752, regions=5))
    (tmp_path / "inner" / "two.tsv").write_bytes(line(12)[:-1])  # the last line need not end
    source = open_tsv(tmp_path, 8)
    for image, count in (("7", 3), ("458752", 5), ("12", 3)):
        found = source.regions(image)
        assert found.features.tolist() == [[float(image)] * 8] * count
        assert found.boxes[0].tolist() == [0.25, 0.5, 0.25, 0.5]
    assert source.first_missing(["7", "12"]) is None
    assert source.first_missing(["7", "8"]) == f"image 8 is in no .tsv file in {tmp_path}"
    with pytest.raises(InputError, match="have no image 8; copy the one that has it there"):
        source.regions("8")


BAD = {
    "NaN": (line(7, features=base64.b64encode(np.full(24, np.nan, np.float32)).decode()), "NaN"),
    "no boxes": (line(7, regions=0), "cannot be read|has 0 boxes"),
    "101 boxes": (line(7, regions=101), "has 101 boxes; expected 1 to 100"),
    "other features": (line(7, size=9), "the model reads 8 features"),
    "no base64": (line(7, boxes="?!"), "cannot be read"),
    "no number": (line(7, width="wide"), "cannot be read"),
    "a column less": (b"\t".join(line(7).split(b"\t")[:5]) + b"\n", "cannot be read"),
    "half a line": (line(7)[:-20], "cannot be read"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_malformed_line_names_its_file_and_image(tmp_path: Path, case: str) -> None:
    content, message = BAD[case]
    (tmp_path / "one.tsv").write_bytes(content)
    with pytest.raises(InputError, match=rf"one\.tsv, image 7,.*({message})"):
        open_tsv(tmp_path, 8).regions("7")


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "cannot be read"), (b"image_id\tw\n", "begins with b'image_id")]
)
def test_a_file_that_is_no_such_table_is_refused_when_it_is_opened(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "one.tsv").write_bytes(content)
    with pytest.raises(InputError, match=rf"feature file .*one\.tsv.*{message}"):
        open_tsv(tmp_path, 8)
