from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image
from synthetic_lxmert import LYING, STANDING, write_jpeg

from bstsearch.errors import InputError
from bstsearch.formats.lxmert_images import are_lying, get_images, is_lying
from bstsearch.inputs.pictures import ORIENTATION

VAL = "COCO_val2014_00000000000"


def refusal(folder: Path, name: str) -> str:
    with pytest.raises(InputError) as error:
        get_images(folder, [name])
    assert str(error.value).startswith(str(folder))
    assert len(str(error.value)) - len(str(folder)) < 200
    return str(error.value).removeprefix(str(folder))


@pytest.mark.parametrize("place", ["", "images", "mscoco", "mscoco/val2014", "gqa/images"])
@pytest.mark.parametrize(
    ("name", "file"), [(f"{VAL}7", f"{VAL}7"), ("2001", "2001"), ("2001", "0002001"), ("0002001", "2001"), ("n1", "n1")]
)
def test_pictures_are_found_by_name_and_by_number(tmp_path: Path, place: str, name: str, file: str) -> None:
    if place.endswith("2014") and name != f"{VAL}7":
        return  # a part of COCO is looked into for its own images only
    path = write_jpeg(tmp_path / place, file, LYING)
    assert get_images(tmp_path, [name]) == {name: path}


def test_two_pictures_of_one_name_must_be_the_same(tmp_path: Path) -> None:
    path = write_jpeg(tmp_path / "mscoco" / "val2014", f"{VAL}7", LYING)
    write_jpeg(tmp_path / "images", f"{VAL}7", LYING)
    assert get_images(tmp_path, [f"{VAL}7"]) == {f"{VAL}7": path}
    write_jpeg(tmp_path / "images", f"{VAL}7", STANDING)
    said = refusal(tmp_path, f"{VAL}7")
    assert said.startswith(f"/mscoco/val2014/{VAL}7.jpg: image '{VAL}7' may be this or images/{VAL}7.jpg, and they")


@pytest.mark.parametrize("name", ["8", "../7", "", "x" * 300, "a\0b", "inner/7"])
def test_a_picture_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    write_jpeg(tmp_path, "7", LYING)
    write_jpeg(tmp_path / "inner", "7", LYING)
    assert refusal(tmp_path, name).startswith(": a question is about image ")


def test_what_is_no_file_is_no_picture(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "7.jpg")
    (tmp_path / "8.jpg").mkdir()
    for name in ("7", "8"):
        assert "there is no such .jpg file" in refusal(tmp_path, name)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_picture_lies_as_people_see_it(tmp_path: Path, orientation: int) -> None:
    path, exif = write_jpeg(tmp_path, "7", LYING), Image.Exif()
    exif[ORIENTATION] = orientation
    Image.open(path).save(path, exif=exif)
    assert is_lying(path) is (orientation < 5)
    assert is_lying(path, (40, 20)) is False  # height and width
    assert is_lying(path, (20, 40)) is True


@pytest.mark.parametrize("sizes", ["[]", '{"a/7.jpg": [1]}', '{"a/7.jpg": [1, -2]}', '{"7.jpg": [1, 2, 3]}', "{", ""])
def test_a_list_of_sizes_that_is_none_is_named(tmp_path: Path, sizes: str) -> None:
    path = write_jpeg(tmp_path, "7", LYING)
    listed = tmp_path / "width_heigths.json"
    listed.write_text(sizes)
    with pytest.raises(InputError) as error:
        are_lying(tmp_path, {"7": path})
    assert str(error.value).startswith(str(listed))


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "7.jpg").write_text("no picture")
    with pytest.raises(InputError) as error:
        are_lying(tmp_path, {"7": tmp_path / "7.jpg"})
    assert str(error.value).startswith(f"{tmp_path / '7.jpg'} cannot be read as an image")


def test_a_suffix_may_be_in_capitals(tmp_path: Path) -> None:
    path = write_jpeg(tmp_path / "mscoco" / "val2014", f"{VAL}7", LYING)
    capital = path.rename(path.with_suffix(".JPG"))
    assert get_images(tmp_path, [f"{VAL}7"]) == {f"{VAL}7": capital}
