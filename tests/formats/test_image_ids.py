from __future__ import annotations

from pathlib import Path

import pytest

from bstsearch.errors import InputError
from bstsearch.formats.image_ids import ImageIndex

FOLDER = Path("/data")


def index(*names: str, content: str = "") -> ImageIndex[str]:
    """Places called like the names; each differs from the others unless they are given one `content`."""
    return ImageIndex(
        FOLDER, [(name, name) for name in names], label=lambda name, _: name, content=lambda one: content or one
    )


@pytest.mark.parametrize(
    ("image", "names", "found"),
    [
        ("2001", ["2001", "0002001"], "2001"),
        ("0002001", ["2001", "0002001"], "0002001"),
        ("0002001", ["2001"], "2001"),
        ("2001", ["0002001"], "0002001"),
        ("02001", ["0002001"], "0002001"),
        ("0", ["000"], "000"),
        ("458752", ["COCO_train2014_000000458752"], "COCO_train2014_000000458752"),
        ("COCO_train2014_000000458752", ["458752"], "458752"),
        ("COCO_train2014_458752", ["COCO_train2014_000000458752"], "COCO_train2014_000000458752"),
        ("n161313", ["n161313", "161313"], "n161313"),
        ("COCO_train2014_000000000007", ["COCO_train2014_000000000007.jpg"], "COCO_train2014_000000000007.jpg"),
        ("a.b", ["a.c", "a.b"], "a.b"),
        ("a.b", ["a"], None),
        ("../7", [".7", "7"], None),
        ("7", ["._7"], None),
        ("COCO_train2014_000000000007", ["vg_7"], None),
        ("n161313", ["161313"], None),
        ("7", ["70", "17"], None),
        ("1" * 5000, ["0" + "1" * 5000], "0" + "1" * 5000),
    ],
)
def test_an_exact_name_comes_first_and_then_the_number(image: str, names: list[str], found: str | None) -> None:
    assert index(*names).find(image) == found
    assert index(*reversed(names)).find(image) == found


@pytest.mark.parametrize(
    ("image", "names"),
    [
        ("02001", ["2001", "0002001"]),
        ("7", ["train_7", "val_7"]),
        ("7", ["a/7", "b/7"]),
    ],
)
def test_an_image_that_two_places_claim_is_refused_if_they_differ(image: str, names: list[str]) -> None:
    places = [(name.rpartition("/")[2], name) for name in names]
    for content in (str, lambda _: "the same"):
        found = ImageIndex(FOLDER, places, label=lambda _, place: place, content=content)
        if content is not str:
            assert found.find(image) == names[0]
            continue
        with pytest.raises(InputError) as error:
            found.find(image)
        expected = f"/data/{names[0]}: image '{image}' may be this or {names[1]}, and they differ; remove one of them"
        assert str(error.value) == expected
    assert index(*names).find("8") is None
