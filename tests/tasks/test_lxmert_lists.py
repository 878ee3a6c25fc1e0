from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from synthetic_lxmert import ANSWERS, LYING, STANDING, question, write_jpeg, write_lists, write_sizes

from bstsearch.errors import InputError
from bstsearch.formats.lxmert_lists import matches, read_answers
from bstsearch.inputs.pictures import LETTERBOX, ORIENTATION, PictureReader
from bstsearch.inputs.reader import Reader
from bstsearch.tasks import lxmert_lists
from bstsearch.tasks.picture_split import PictureSplit, framed

MEAN, STD = (0.5, 0.25, 0.75), (0.25, 0.5, 0.125)
QUESTION = {"question": torch.zeros(1, 4, dtype=torch.int64)}
CLIP = Reader(like=QUESTION, picture=PictureReader(height=32, width=64, fit=LETTERBOX, mean=MEAN, std=STD))
STEM = Reader(like={**QUESTION, "image": torch.zeros(1, 16, 16, 3, dtype=torch.uint8)})
TRAIN, VAL, TEST = (f"COCO_{part}_00000000000" for part in ("train2014", "val2014", "test2015"))
LISTS = {
    "train": [question(10, f"{TRAIN}1", {"net": 1}), question(11, f"{TRAIN}2", {"yes": 0.3, "net": 0.6})],
    "nominival": [question(12, f"{VAL}1", {})],
    "minival": [
        question(20, f"{VAL}2", {"net": 1}),
        question(21, f"{VAL}3", {"pitcher": 0.3, "": 0.9}),
        question(22, f"{VAL}4", {"yes": 0.6}),
        question(23, f"{VAL}5", {}),
    ],
    "test": [question(30, f"{TEST}1", None)],
}
SIZES = {
    f"{TRAIN}1": LYING,
    f"{TRAIN}2": STANDING,
    f"{VAL}1": LYING,
    f"{VAL}2": STANDING,
    f"{VAL}3": LYING,
    f"{VAL}4": STANDING,
    f"{VAL}5": LYING,
    f"{TEST}1": LYING,
}


def encode(texts: Sequence[str]) -> NDArray[np.int64]:
    return np.array([[len(text), 2, 0, 0] for text in texts], dtype=np.int64)


@pytest.fixture
def vqa(tmp_path: Path) -> Path:
    write_lists(tmp_path / "vqa", LISTS)
    for name, size in SIZES.items():
        write_jpeg(tmp_path / "mscoco" / name.split("_")[1], name, size)
    write_sizes(tmp_path / "mscoco" / "width_heigths.json", SIZES)
    return tmp_path


def loaded(folder: Path, split: str = "validation", data: str = "vqa-v2", reader: Reader = CLIP) -> PictureSplit:
    return lxmert_lists.load(folder, data, split, read_answers(folder, data), encode, reader)


def ids(split: PictureSplit) -> list[int | str]:
    return list(split.judge.questions)


def test_each_part_is_read_from_its_lists(vqa: Path) -> None:
    assert matches(vqa, "vqa-v2")
    assert not matches(vqa / "mscoco", "vqa-v2")
    assert sorted(ids(loaded(vqa, "train"))) == [10, 11, 12]
    assert sorted(ids(loaded(vqa))) == [20, 21, 22, 23]
    assert ids(loaded(vqa, "test")) == [30]


def test_classes_are_in_the_order_of_the_file(vqa: Path) -> None:
    assert read_answers(vqa, "vqa-v2") == ANSWERS
    split = loaded(vqa)
    targets = torch.cat([batch.targets for batch in split.batches(2)])
    assert targets[ids(split).index(21)].tolist() == pytest.approx([0, 0.3, 0.9, 0])
    assert targets[ids(split).index(23)].tolist() == [0, 0, 0, 0]


def test_as_stored_a_batch_has_one_orientation_and_each_image_as_it_is_read_alone(vqa: Path) -> None:
    split = loaded(vqa)
    assert ids(split) == [21, 23, 20, 22]
    batches = list(split.batches(3))
    assert [batch.inputs["image"].shape for batch in batches] == [(2, 3, 32, 64), (2, 3, 64, 32)]
    images = [image for batch in batches for image in batch.inputs["image"]]
    for number, image in zip((3, 5, 2, 4), images, strict=True):
        path = vqa / "mscoco" / "val2014" / f"{VAL}{number}.jpg"
        assert CLIP.picture is not None
        assert torch.equal(image, torch.from_numpy(CLIP.picture.read(path)))
    assert torch.equal(batches[0].inputs["question"][0], torch.tensor([len("What is this?"), 2, 0, 0]))
    assert [batch.inputs["question"].shape for batch in split.batches(1)] == [(1, 4)] * 4


def test_the_list_of_sizes_gives_what_the_files_give(vqa: Path) -> None:
    with_list = loaded(vqa)
    (vqa / "mscoco" / "width_heigths.json").unlink()
    assert ids(loaded(vqa)) == ids(with_list)
    assert loaded(vqa).lying == with_list.lying == 2


def test_a_mixed_batch_is_framed_in_black(vqa: Path) -> None:
    split = loaded(vqa)
    (batch,) = split.batches(2, torch.tensor([0, 2]))
    assert batch.inputs["image"].shape == (2, 3, 64, 64)
    wide = next(split.batches(1)).inputs["image"][0]
    assert torch.equal(batch.inputs["image"][0, :, 16:48], wide)
    black = -torch.tensor(MEAN)[:, None, None] / torch.tensor(STD)[:, None, None]
    assert torch.equal(batch.inputs["image"][0, :, :16], black.expand(3, 16, 64))
    pixels = torch.arange(18, dtype=torch.uint8).reshape(2, 3, 3)
    assert torch.equal(framed([pixels, pixels])[1], pixels)


def test_a_picture_that_is_stored_on_its_side_stands(vqa: Path) -> None:
    (vqa / "mscoco" / "width_heigths.json").unlink()
    path, exif = vqa / "mscoco" / "val2014" / f"{VAL}3.jpg", Image.Exif()
    exif[ORIENTATION] = 6
    Image.open(path).save(path, exif=exif)
    split = loaded(vqa)
    assert ids(split) == [23, 20, 21, 22]
    assert [batch.inputs["image"].shape[2:] for batch in split.batches(1)] == [(32, 64), *[(64, 32)] * 3]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_a_grouped_order_mixes_at_most_one_batch(vqa: Path, size: int) -> None:
    split = dataclasses.replace(loaded(vqa), lying=14)
    order = torch.randperm(23, generator=torch.Generator().manual_seed(size))
    grouped = split.grouped(order, size)
    assert sorted(grouped.tolist()) == list(range(23))
    mixed = [part for part in torch.split(grouped, size) if len({bool(row < 14) for row in part}) == 2]
    assert len(mixed) <= 1


def test_rows_of_one_orientation_are_alike(vqa: Path) -> None:
    split = dataclasses.replace(loaded(vqa), lying=14)
    groups = split.alike(torch.arange(0, 23, 2))
    assert [group.tolist() for group in groups] == [[0, 2, 4, 6, 8, 10, 12], [14, 16, 18, 20, 22]]
    assert [group.tolist() for group in split.alike(torch.tensor([3, 5]))] == [[3, 5]]


def test_small_square_images_need_no_orientation(vqa: Path) -> None:
    split = loaded(vqa, reader=STEM)
    assert ids(split) == [20, 21, 22, 23]
    batch = next(split.batches(4))
    assert batch.inputs["image"].shape == (4, 16, 16, 3)
    assert batch.inputs["image"].dtype == torch.uint8
    expected = np.asarray(Image.open(vqa / "mscoco" / "val2014" / f"{VAL}2.jpg").resize((16, 16)))
    np.testing.assert_allclose(batch.inputs["image"][0].numpy(), expected, atol=1)


def test_accuracy_is_what_the_predicted_answers_are_worth(vqa: Path) -> None:
    split = loaded(vqa)
    predicted = {21: 2, 23: 0, 20: 0, 22: 0}
    accuracy = split.score(torch.tensor([predicted[int(number)] for number in ids(split)]))
    assert accuracy.correct == pytest.approx(1.9)
    assert split.values(torch.tensor([predicted[int(number)] for number in ids(split)])).sum() == pytest.approx(1.9)
    assert accuracy.total == 4
    assert split.details(torch.zeros(4)) == {}


def test_test_questions_give_results_but_no_accuracy(vqa: Path) -> None:
    split = loaded(vqa, "test")
    assert not split.has_targets
    assert split.results(torch.tensor([3])) == [{"question_id": 30, "answer": "yes"}]
    with pytest.raises(InputError, match="without answers"):
        split.score(torch.tensor([3]))


@pytest.fixture
def gqa(tmp_path: Path) -> Path:
    lists = {
        "train": [question("07333408", "2375429", {"yes": 1.0})],
        "valid": [question("1", "2375429", {"net": 1.0})],
        "testdev": [question("2", "n1", {"net": 1.0}), question("3", "n1", {"never seen": 1.0})],
    }
    write_lists(tmp_path, lists)
    for name in ("2375429", "n1"):
        write_jpeg(tmp_path / "images", name, LYING)
    return tmp_path


def test_gqa_is_read_from_a_folder_of_its_own(gqa: Path) -> None:
    assert ids(loaded(gqa, "train", "gqa")) == ["07333408"]
    split = loaded(gqa, "test", "gqa")
    assert split.results(torch.tensor([0, 1]))[0] == {"questionId": "2", "prediction": "net"}
    assert split.score(torch.tensor([0, 0])).correct == 1


def test_withheld_answers_make_a_split_without_answers(vqa: Path) -> None:
    entries = [{**entry, "label": {}} for entry in LISTS["minival"]]
    rewritten(vqa / "vqa" / "minival.json", entries)
    assert not loaded(vqa).has_targets
    rewritten(vqa / "vqa" / "minival.json", [*LISTS["minival"][:3], question(23, f"{VAL}5", None)])
    with pytest.raises(InputError, match=r"minival\.json: question 23 has no answer, but others have"):
        loaded(vqa)


@pytest.mark.parametrize("number", [10, "10"])
def test_a_question_in_two_lists_of_a_part_is_refused(vqa: Path, number: int | str) -> None:
    rewritten(vqa / "vqa" / "nominival.json", [question(number, f"{VAL}1", {"net": 1})])
    with pytest.raises(InputError, match=rf"nominival\.json: question {number!r} is there twice"):
        loaded(vqa, "train")


def test_an_answer_twice_is_refused(vqa: Path) -> None:
    rewritten(vqa / "vqa" / "trainval_label2ans.json", ["net", "yes", "net"])
    with pytest.raises(InputError, match=r"trainval_label2ans\.json has the answer 'net' twice"):
        read_answers(vqa, "vqa-v2")


def rewritten(path: Path, change: object) -> None:
    path.write_text(change if isinstance(change, str) else json.dumps(change))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("minival.json", '[{"question_id": 1, ', r"minival\.json: malformed .*truncated"),
        (
            "minival.json",
            [{"question_id": 1, "sent": "a"}],
            r"minival\.json, \[0\]: object missing required field img_id",
        ),
        (
            "minival.json",
            [{**LISTS["minival"][0], "label": {"net": "1"}}],
            r"minival\.json, \[0\]\.label\[\.\.\.\]: expected float, got str",
        ),
        ("minival.json", [{**LISTS["minival"][0], "label": {"net": 1.5}}], r"expected float <= 1\.0"),
        ("minival.json", [{**LISTS["minival"][0], "label": {"net": -0.1}}], r"expected float >= 0"),
        ("minival.json", "[" * 100_000, r"minival\.json, \[0\]: expected object, got array"),
        ("minival.json", [], "has no questions"),
        ("minival.json", [question(5, f"{VAL}2", None)], r"minival\.json: without answers, so without a score"),
        ("minival.json", [question(5, f"{VAL}2", {"cat": 1})], "question 5 has the answer 'cat', which is none of the"),
        ("minival.json", [question(5, f"{VAL}9", {})], rf"about image '{VAL}9', but there is no such \.jpg"),
        ("minival.json", [question(5, f"../{VAL}2", {})], r"about image '\.\./"),
        ("minival.json", [question(5, "x" * 300, {})], r"\[0\]\.img_id: expected str of length <= 200"),
        ("trainval_label2ans.json", {"net": 0}, r"trainval_label2ans\.json: expected array, got object"),
        ("trainval_ans2label.json", {"net": 1}, "number the answers differently"),
    ],
)
def test_what_is_wrong_is_one_line_with_file_and_key(vqa: Path, name: str, change: object, message: str) -> None:
    rewritten(vqa / "vqa" / name, change)
    with pytest.raises(InputError, match=message) as error:
        loaded(vqa).check_scorable()
    assert "\n" not in str(error.value)


def test_the_models_answers_in_another_order_are_refused(vqa: Path) -> None:
    own = read_answers(vqa, "vqa-v2")
    (vqa / "vqa" / "trainval_ans2label.json").unlink()
    rewritten(vqa / "vqa" / "trainval_label2ans.json", own[::-1])
    with pytest.raises(InputError, match=r"trainval_label2ans\.json has the model's answers in another order; give"):
        lxmert_lists.load(vqa, "vqa-v2", "validation", own, encode, CLIP)


def test_what_is_missing_or_no_image_is_named(vqa: Path) -> None:
    (vqa / "mscoco" / "val2014" / f"{VAL}2.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(InputError, match=rf"{VAL}2\.jpg cannot be read as an image"):
        list(loaded(vqa).batches(4))
    (vqa / "mscoco" / "width_heigths.json").unlink()
    with pytest.raises(InputError, match=rf"{VAL}2\.jpg cannot be read as an image"):
        loaded(vqa)
    (vqa / "vqa" / "minival.json").unlink()
    with pytest.raises(InputError, match=r"minival\.json does not exist"):
        loaded(vqa)
    with pytest.raises(InputError, match="has image files, but the model reads question, regions"):
        loaded(vqa, reader=Reader(like={**QUESTION, "regions": torch.zeros(1, 2, 8)}))


def test_a_malformed_list_of_sizes_is_named(vqa: Path) -> None:
    rewritten(vqa / "mscoco" / "width_heigths.json", {f"x/{VAL}2.jpg": [1, "2"]})
    with pytest.raises(InputError, match=r"width_heigths\.json, \[\.\.\.\]\[1\]: expected int, got str"):
        loaded(vqa)
