from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bstsearch.errors import InputError
from bstsearch.formats.region_files import read_npz

GOOD: dict[str, Any] = {
    "x": np.arange(24, dtype=np.float32).reshape(8, 3),
    "bbox": np.array([[20, 30, 120, 80]] * 3, np.float32),
    "image_w": 200,
    "image_h": 100,
}


def written(folder: Path, **changes: Any) -> Path:
    arrays = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    np.savez(folder / "image.npz", **arrays)
    return folder / "image.npz"


def refusal(path: Path, *, has_boxes: bool = True) -> str:
    """What is said of a file, behind its path."""
    with pytest.raises(InputError) as error:
        read_npz(path, 8, has_boxes=has_boxes)
    assert str(error.value).startswith(str(path))
    assert len(str(error.value)) < 300
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(str(path))


def test_features_are_read_in_either_orientation(tmp_path: Path) -> None:
    for x in (GOOD["x"], GOOD["x"].T, np.asfortranarray(GOOD["x"]), GOOD["x"].astype(">f2")):
        found = read_npz(written(tmp_path, x=x), 8)
        np.testing.assert_array_equal(found.features, GOOD["x"].T)
        np.testing.assert_allclose(found.boxes, [[0.1, 0.3, 0.6, 0.8]] * 3, rtol=1e-6)


def test_the_size_may_have_either_name_and_be_an_array(tmp_path: Path) -> None:
    found = read_npz(written(tmp_path, image_w=None, image_h=None, width=np.array([200]), height=100.0), 8)
    np.testing.assert_allclose(found.boxes[0], [0.1, 0.3, 0.6, 0.8], rtol=1e-6)


@pytest.mark.parametrize("upright", [False, True])
def test_a_model_without_boxes_reads_features_only(tmp_path: Path, upright: bool) -> None:
    x = GOOD["x"].T if upright else GOOD["x"]
    alone = {"bbox": None, "image_w": None, "image_h": None}
    strange = {"bbox": GOOD["bbox"] / 1000, "image_w": "wide", "info": np.array([{}], dtype=object)}
    for changes in (alone, strange):
        found = read_npz(written(tmp_path, x=x, **changes), 8, has_boxes=False)
        np.testing.assert_array_equal(found.features, GOOD["x"].T)
        assert found.boxes.shape == (3, 0)
    for bbox, message in ((GOOD["bbox"].astype("U12"), "bbox holds '<U12'"), (GOOD["bbox"][:2], "for 2 boxes")):
        assert message in refusal(written(tmp_path, **{**alone, "bbox": bbox}), has_boxes=False)
    assert ": no array 'bbox'" in refusal(written(tmp_path, **{**alone, "image_w": 200, "image_h": 100}))


BAD = {
    "NaN": ({"x": np.full((8, 3), np.nan, np.float32)}, "x holds NaN or infinite"),
    "more than float32 holds": ({"x": np.full((8, 3), 1e300)}, "x holds NaN or infinite"),
    "NaN among boxes": ({"bbox": np.full((3, 4), np.nan)}, "bbox holds NaN"),
    "no boxes": ({"x": np.ones((8, 0)), "bbox": np.ones((0, 4))}, "0 boxes; expected 1 to 100"),
    "101 boxes": ({"x": np.ones((8, 101)), "bbox": np.ones((101, 4))}, "101 boxes; expected 1 to 100"),
    "no bbox": ({"bbox": None}, "no array 'bbox'; expected x, bbox, image_w and image_h"),
    "no x": ({"x": None}, "no array 'x'"),
    "other features": ({"x": np.ones((9, 3))}, "x is (9, 3) for 3 boxes; the model reads 8 features"),
    "no size": ({"image_w": 0}, "size is 0 x 100"),
    "a size that is no number": ({"image_w": np.nan}, "size is nan x 100"),
    "two sizes": ({"image_w": np.array([1, 2])}, "image_w is (2,); expected one number"),
    "boxes of two numbers": ({"bbox": np.ones((3, 2))}, "expected (n, 8) and (n, 4)"),
    "a pickle inside": ({"x": np.array([{}], dtype=object)}, "x holds 'object'; expected plain numbers"),
    "boxes as text": ({"bbox": GOOD["bbox"].astype("U12")}, "bbox holds '<U12'; expected plain numbers"),
    "dates": ({"x": GOOD["x"].astype("M8[s]")}, "x holds 'datetime64[s]'"),
    "spans of time": ({"x": GOOD["x"].astype("m8[s]")}, "x holds 'timedelta64[s]'"),
    "complex numbers": ({"x": GOOD["x"].astype("c8")}, "x holds 'complex64'"),
    "truths": ({"x": GOOD["x"] > 1}, "x holds 'bool'"),
    "bytes": ({"x": np.zeros((8, 3), "V4")}, "x holds '|V4'"),
    "fields": ({"x": np.zeros((8, 3), "f4,f4")}, "x holds \"[('f0', '<f4'), ('f1', '<f4')]\""),
}


@pytest.mark.parametrize("case", BAD)
def test_a_malformed_file_names_itself(tmp_path: Path, case: str) -> None:
    changes, message = BAD[case]
    assert message in refusal(written(tmp_path, **changes))


def with_member(path: Path, content: bytes, **options: Any) -> Path:
    """The same file with other bytes for x."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, old in members.items():
            archive.writestr(name, content if name == "x.npy" else old, **options)
    return path


def header(shape: str, kind: str = "<f4", version: bytes = b"\x01\x00") -> bytes:
    text = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text


LIES = {
    "10^12 rows": (header("(1000000000000, 8)"), "which is 3.2e+13 bytes; expected 134,217,728 at most"),
    "more rows than there are": (header("(300, 8)") + b"\0" * 96, "x has less than its 9,600 bytes"),
    "fewer rows": (header("(2, 8)") + b"\0" * 96, "x has more than its 64 bytes"),
    "a negative side": (header("(-3, 8)") + b"\0" * 96, "x has shape (-3, 8)"),
    "a side that is none": (header("('3', 8)"), "cannot be read"),
    "an overflow": (header("(4294967296, 4294967296)"), "expected 134,217,728 at most"),
    "text for a header": (header("__import__('os').abort()"), "cannot be read"),
    "a nest": (header("(" * 3000), "cannot be read"),
    "a version to come": (header("(3, 8)", version=b"\x03\x00"), "in version (3, 0) of NumPy's format"),
    "nothing": (b"", "cannot be read"),
}


@pytest.mark.parametrize("case", LIES)
def test_what_an_array_says_of_itself_is_not_believed(tmp_path: Path, case: str) -> None:
    content, message = LIES[case]
    assert message in refusal(with_member(written(tmp_path), content))


def changed(path: Path, change: Callable[[bytearray], None]) -> Path:
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)
    return path


def encrypt(content: bytearray) -> None:
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for place in range(len(content)):
            if content.startswith(mark, place):
                content[place + offset] |= 1


def compress_by_99(content: bytearray) -> None:
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        for place in range(len(content)):
            if content.startswith(mark, place):
                content[place + offset] = 99


def flip_a_bit(content: bytearray) -> None:
    content[content.index(np.float32(12).tobytes()) + 1] ^= 1


def break_deflate(content: bytearray) -> None:
    np_begin = content.index(b"PK\x03\x04") + 30 + len("x.npy") + 20
    content[np_begin + 30 : np_begin + 60] = b"\xff" * 30


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (encrypt, "is encrypted"),
        (compress_by_99, "x is compressed by method 99; save it with NumPy"),
        (flip_a_bit, "Bad CRC-32"),
        (lambda content: content.clear(), "cannot be read"),
        (lambda content: content.__delitem__(slice(10, None)), "cannot be read"),
        (lambda content: content.__delitem__(slice(len(content) // 2, None)), "cannot be read"),
        (lambda content: content.__delitem__(slice(-30, None)), "cannot be read"),
    ],
)
def test_a_damaged_archive_names_itself(tmp_path: Path, change: Callable[[bytearray], None], message: str) -> None:
    assert message in refusal(changed(written(tmp_path), change))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_only_what_numpy_writes_is_unpacked(tmp_path: Path, method: int) -> None:
    path = with_member(written(tmp_path), b"", compress_type=method)
    assert f"x is compressed by method {method}" in refusal(path)


def test_a_broken_stream_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "image.npz"
    np.savez_compressed(path, **{**GOOD, "x": np.random.default_rng(0).standard_normal((8, 3))})
    assert refusal(changed(path, break_deflate)).startswith(" cannot be read")


def test_only_what_is_needed_is_unpacked(tmp_path: Path) -> None:
    path = written(tmp_path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("info.npy", b"no array")
    assert len(read_npz(path, 8).features) == 3


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    assert refusal(tmp_path / "pipe.npz") == ": a device, pipe or socket; expected a file"
    assert refusal(tmp_path / "none.npz") == " does not exist"
    assert refusal(tmp_path) == ": a folder; expected a file"
