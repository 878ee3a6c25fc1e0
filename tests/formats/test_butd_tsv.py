from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bstsearch.errors import InputError
from bstsearch.formats import butd_tsv
from bstsearch.formats.butd_tsv import read_line, table_lines
from bstsearch.formats.region_files import Regions

BOX = (20, 30, 120, 80)  # in 200 x 100 pixels


def packed(array: NDArray[Any]) -> str:
    return base64.b64encode(array.astype(np.float32).tobytes()).decode()


def columns(image: int | str, regions: int = 3, size: int = 8, **changes: Any) -> dict[str, str]:
    """One image's line; its features count up from its number."""
    x = np.arange(regions * size, dtype=np.float32).reshape(regions, size) + int(str(image).rpartition("_")[2])
    found = {
        "image": str(image),
        "width": "200",
        "height": "100",
        "count": str(regions),
        "boxes": packed(np.array([BOX] * regions)),
        "features": packed(x),
    }
    return {**found, **changes}


def line(image: int | str, regions: int = 3, size: int = 8, **changes: Any) -> bytes:
    return joined(columns(image, regions, size, **changes))


def joined(values: Mapping[str, str]) -> bytes:
    return "\t".join(values.values()).encode() + b"\n"


def read(path: Path, content: bytes, *, has_boxes: bool = True) -> dict[str, Regions]:
    path.write_bytes(content)
    return {image: read_line(found, 8, has_boxes=has_boxes) for image, found in table_lines(path)}


def refusal(path: Path, content: bytes) -> str:
    with pytest.raises(InputError) as error:
        read(path, content)
    assert str(error.value).startswith(str(path))
    assert len(str(error.value)) < 300
    return str(error.value).removeprefix(str(path))


def check(found: Regions, image: int, count: int = 3) -> None:
    assert found.features.tolist() == (np.arange(count * 8.0).reshape(count, 8) + image).tolist()
    np.testing.assert_allclose(found.boxes, [[0.1, 0.3, 0.6, 0.8]] * count, rtol=1e-6)


def test_each_line_is_found_whatever_its_number_of_regions(tmp_path: Path) -> None:
    found = read(tmp_path / "a.tsv", line(7) + line(458752, regions=5) + line(12)[:-1])  # the last need not end
    assert list(found) == ["7", "458752", "12"]
    for image, count in ((7, 3), (458752, 5), (12, 3)):
        check(found[str(image)], image, count)


# What published tables are like


@pytest.mark.parametrize("quote", ["'", '"'])
def test_fields_that_python_3_wrote_as_bytes_are_read(tmp_path: Path, quote: str) -> None:
    quoted = {name: f"b{quote}{text}{quote}" for name, text in columns(7).items()}
    some = {**columns(8), "boxes": f"b{quote}{columns(8)['boxes']}{quote}"}
    found = read(tmp_path / "a.tsv", joined(quoted) + joined(some))
    check(found["7"], 7)
    check(found["8"], 8)


@pytest.mark.parametrize("regions", [3, 4, 5])  # 96 bytes need no padding, 128 and 160 do
def test_features_that_stand_twice_are_taken_once(tmp_path: Path, regions: int) -> None:
    text = columns(7, regions)["features"]
    both = packed(np.tile(np.frombuffer(base64.b64decode(text), np.float32), 2))
    for twice in (text * 2, both):
        check(read(tmp_path / "a.tsv", line(7, regions, features=twice))["7"], 7, regions)


def test_features_of_twice_the_size_are_no_features_that_stand_twice(tmp_path: Path) -> None:
    assert "16 features for each of 3 boxes; the model reads 8" in refusal(tmp_path / "a.tsv", line(7, size=16))
    thrice = columns(7)["features"] * 3
    assert "24 features for each of 3 boxes" in refusal(tmp_path / "a.tsv", line(7, features=thrice))


def test_lxmerts_table_has_the_height_first_and_four_columns_more(tmp_path: Path) -> None:
    name, plain = "COCO_val2014_000000393267", columns("COCO_val2014_000000393267")
    scores = {"objects_id": "AAAA", "objects_conf": "AAAA", "attrs_id": "AAAA", "attrs_conf": "AAAA"}
    wide = {"img_id": name, "img_h": "100", "img_w": "200", **scores}
    content = joined({**wide, **{key: plain[key] for key in ("count", "boxes", "features")}})
    check(read(tmp_path / "a.tsv", content)[name], 393267)


def test_a_byte_order_mark_and_windows_line_ends_are_passed_over(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + line(7)[:-1] + b"\r\n" + line(8)[:-1] + b"\r\n"
    found = read(tmp_path / "a.tsv", content)
    check(found["7"], 7)
    check(found["8"], 8)


def test_boxes_are_not_looked_at_for_a_model_that_reads_none(tmp_path: Path) -> None:
    found = read(tmp_path / "a.tsv", line(7, boxes="?", width="wide"), has_boxes=False)["7"]
    assert found.features.shape == (3, 8)
    assert found.boxes.shape == (3, 0)


# What is none


BAD = {
    "NaN": (line(7, features=packed(np.full(24, np.nan))), "NaN"),
    "no boxes": (line(7, regions=0), ": 0 boxes; expected 1 to 100"),
    "101 boxes": (line(7, regions=101), ": 101 boxes; expected 1 to 100"),
    "a million boxes": (line(7, count="1" + "0" * 12), ": 1000000000000 boxes"),
    "fewer boxes": (line(7, count="2"), "12 features for each of 2 boxes; the model reads 8"),
    "other features": (line(7, size=9), "9 features for each of 3 boxes; the model reads 8"),
    "no base64": (line(7, boxes="?!"), "cannot be read"),
    "text in base64": (line(7, features=base64.b64encode(b"abc").decode()), "the model reads 8"),
    "no width": (line(7, width="wide"), "cannot be read"),
    "an endless width": (line(7, width="inf"), "size is inf x 100"),
    "shares": (line(7, boxes=packed(np.array([[0.1, 0.3, 0.6, 0.8]] * 3))), "all boxes lie within one pixel"),
    "half a line": (line(7)[:-20], "is it "),
}


@pytest.mark.parametrize("case", BAD)
def test_a_malformed_line_names_its_file_and_image(tmp_path: Path, case: str) -> None:
    content, message = BAD[case]
    said = refusal(tmp_path / "a.tsv", content)
    assert said.startswith(", image '7'")
    assert message in said


def test_a_line_that_was_cut_is_named_and_one_cut_in_its_number_stands_for_no_image(tmp_path: Path) -> None:
    said = refusal(tmp_path / "a.tsv", line(7) + b"\t".join(line(8).split(b"\t")[:5]))
    assert said == ", image '8': the line has 5 columns; expected 6, or LXMERT's 10; is it truncated?"
    assert list(read(tmp_path / "a.tsv", line(7) + b"45")) == ["7"]


@pytest.mark.parametrize(
    "content",
    [b"", b"image_id\tw\n", b"a\tb\tc\td\te\tf\n", b"\0" * 1000, b"\n" + line(7), "ä\t".encode("utf-16")],
    ids=["empty", "two columns", "words", "zeros", "an empty line", "utf-16"],
)
def test_a_file_that_is_no_such_table_is_refused(tmp_path: Path, content: bytes) -> None:
    assert refusal(tmp_path / "a.tsv", content).startswith(": begins with ")


def test_a_line_without_end_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(butd_tsv, "MOST_BYTES", 1000)
    assert "byte 206: a line of more than 1,000 bytes" in refusal(tmp_path / "a.tsv", line(7) + b"8\t" + b"x" * 2000)
