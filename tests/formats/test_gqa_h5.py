from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bstsearch.errors import InputError
from bstsearch.formats import gqa_h5
from bstsearch.formats.gqa_h5 import INFO, open_h5

h5py = pytest.importorskip("h5py")

FEATURES = np.arange(2 * 4 * 8, dtype=np.float32).reshape(2, 4, 8)
BOXES = np.tile(np.array([20, 30, 120, 80], np.float32), (2, 4, 1))
PLACE = {"file": 0, "idx": 1, "objectsNum": 3, "width": 200, "height": 100}


@pytest.fixture(autouse=True)
def _no_file_stays_open() -> None:
    gqa_h5._open.cache_clear()


def written(folder: Path, *, place: Any = None, name: str = "2001", **sets: Any) -> Path:
    """One file and its list; a function in place of a data set gets the file and the name."""
    with h5py.File(folder / "gqa_objects_0.h5", "w") as file:
        for key, value in {"features": FEATURES, "bboxes": BOXES, **sets}.items():
            if callable(value):
                value(file, key)
            elif value is not None:
                file[key] = value
    (folder / INFO).write_text(json.dumps({name: PLACE if place is None else place}))
    return folder


def refusal(folder: Path, image: str = "2001") -> str:
    with pytest.raises(InputError) as error:
        open_h5(folder, 8).regions(image)
    assert str(error.value).startswith(str(folder))
    assert len(str(error.value)) < 300
    return str(error.value).removeprefix(f"{folder}/")


@pytest.mark.parametrize("image", ["2001", "0002001"])
@pytest.mark.parametrize("name", ["2001", "02001"])
def test_real_rows_are_read(tmp_path: Path, image: str, name: str) -> None:
    source = open_h5(written(tmp_path, name=name), 8)
    found = source.regions(image)
    np.testing.assert_array_equal(found.features, FEATURES[1, :3])
    np.testing.assert_allclose(found.boxes, [[0.1, 0.3, 0.6, 0.8]] * 3, rtol=1e-6)
    assert source.first_missing([image]) is None
    assert source.first_missing([image, "7"]) == f"{tmp_path / INFO} does not list image 7"


def test_compressed_data_sets_are_read(tmp_path: Path) -> None:
    def write(file: Any, name: str) -> None:
        file.create_dataset(name, data=np.zeros((2, 4, 8), np.float32), compression="gzip", shuffle=True)

    assert not open_h5(written(tmp_path, features=write), 8).regions("2001").features.any()


def test_a_model_without_boxes_needs_none(tmp_path: Path) -> None:
    found = open_h5(written(tmp_path, bboxes=None), 8, has_boxes=False).regions("2001")
    assert found.boxes.shape == (3, 0)
    assert "no data set 'bboxes'" in refusal(tmp_path)


def virtual(file: Any, name: str) -> None:
    layout = h5py.VirtualLayout(shape=(2, 4, 8), dtype="f4")
    layout[:] = h5py.VirtualSource("other.h5", "features", shape=(2, 4, 8))
    file.create_virtual_dataset(name, layout)


def external(file: Any, name: str) -> None:
    file.create_dataset(name, (2, 4, 8), "f4", external=[("/etc/passwd", 0, 256)])


BAD: dict[str, tuple[Any, str]] = {
    "a group": (lambda file, name: file.create_group(name), "features is a group; expected a data set"),
    "no such set": (None, "no data set 'features'"),
    "10^15 rows": (
        lambda file, name: file.create_dataset(name, (10**15, 4, 8), "f4", chunks=(1, 4, 8)),
        "features has shape (1000000000000000, 4, 8), but 0 bytes are there",
    ),
    "another file's": (
        lambda file, name: file.__setitem__(name, h5py.ExternalLink("other.h5", "features")),
        "features is a link to another place",
    ),
    "a link that goes nowhere": (lambda file, name: file.__setitem__(name, h5py.SoftLink("/none")), "features"),
    "a virtual one": (virtual, "features lies in other files"),
    "an external one": (external, "features lies in other files"),
    "text": (FEATURES.astype("S4"), "features holds '|S4'; expected plain numbers"),
    "objects": (
        lambda file, name: file.create_dataset(name, (2, 4, 8), h5py.string_dtype()),
        "features",
    ),
    "references": (lambda file, name: file.create_dataset(name, (2, 4, 8), h5py.ref_dtype), "features"),
    "records": (np.zeros((2, 4, 8), "f4,f4"), "features holds"),
    "two axes": (FEATURES[0], "features has shape (4, 8); expected three axes"),
    "one number": (np.float32(1), "features has shape (); expected three axes"),
    "other features": (np.zeros((2, 4, 9), np.float32), "x is (3, 9) for 3 boxes; the model reads 8"),
    "NaN": (np.full((2, 4, 8), np.nan, np.float32), "x holds NaN"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_data_set_that_is_none_is_one_line(tmp_path: Path, case: str) -> None:
    features, message = BAD[case]
    said = refusal(written(tmp_path, features=features))
    assert said.startswith("gqa_objects_0.h5, image '2001'")
    assert message in said


@pytest.mark.parametrize(
    ("scale", "message"),
    [((200, 100, 200, 100), "all boxes lie within one pixel"), ((1 / 3,) * 4, "box 0 (60, 90, 360, 240)")],
)
def test_boxes_are_held_against_the_image(tmp_path: Path, scale: tuple[float, ...], message: str) -> None:
    assert message in refusal(written(tmp_path, bboxes=BOXES / np.array(scale, np.float32)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"idx": -1}, f"{INFO}, [...].idx: expected int >= 0"),
        ({"idx": 10**400}, f"{INFO}"),
        ({"objectsNum": -1}, f"{INFO}, [...].objectsNum: expected int >= 0"),
        ({"objectsNum": 1.5}, f"{INFO}, [...].objectsNum: expected int, got float"),
        ({"file": "../0"}, f"{INFO}, [...].file: expected int, got str"),
        ({"width": -200}, f"{INFO}, [...].width: expected float >= 0.0"),
        ({"idx": 2}, "features is (2, 4, 8), but gqa_objects_info.json gives idx 2, objectsNum 3"),
        ({"objectsNum": 5}, "features is (2, 4, 8), but gqa_objects_info.json gives idx 1, objectsNum 5"),
        ({"objectsNum": 0}, "0 boxes; expected 1 to 100"),
        ({"width": 0}, "size is 0 x 100"),
        ({"file": 7}, "gqa_objects_7.h5 does not exist"),
    ],
)
def test_a_list_that_lies_is_one_line(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    assert message in refusal(written(tmp_path, place={**PLACE, **change}))


def test_an_image_that_is_not_listed_is_named(tmp_path: Path) -> None:
    assert refusal(written(tmp_path), "7") == f"{INFO} does not list image 7; is it of another part of GQA?"


@pytest.mark.parametrize("damage", [lambda content: content[: len(content) // 2], lambda _: b"", lambda _: b"\0" * 999])
def test_a_damaged_file_names_itself(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = written(tmp_path) / "gqa_objects_0.h5"
    path.write_bytes(damage(path.read_bytes()))
    assert refusal(tmp_path).startswith("gqa_objects_0.h5 cannot be read")


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "gqa_objects_0.h5").unlink()
    os.mkfifo(tmp_path / "gqa_objects_0.h5")
    assert refusal(tmp_path) == "gqa_objects_0.h5: a device, pipe or socket; expected a file"


def test_two_images_of_one_place_are_refused(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / INFO).write_text(json.dumps({"2001": PLACE, "2002": PLACE}))
    assert "gives images '2001' and '2002' one place" in refusal(tmp_path)
    (tmp_path / INFO).write_text(json.dumps({"2001": PLACE, "02001": PLACE}))  # two names of one image
    assert len(open_h5(tmp_path, 8).regions("2001").features) == 3
