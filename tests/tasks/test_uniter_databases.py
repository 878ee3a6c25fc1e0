from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from synthetic_uniter import (
    ANSWERS,
    CLS,
    FEATURES,
    SEP,
    Asked,
    image_record,
    lz4,
    msgpack,
    write_images,
    write_lmdb,
    write_text,
)

from bstsearch.errors import InputError
from bstsearch.formats.uniter_images import open_image_folder
from bstsearch.formats.uniter_texts import matches, read_answers
from bstsearch.tasks import uniter_databases
from bstsearch.tasks.region_split import RegionSplit
from bstsearch.tasks.soft_labels import SoftJudge
from bstsearch.tasks.vocabulary import Vocabulary

BOXES = 12
LIKE = {
    "question": torch.zeros(1, 6, dtype=torch.int64),
    "regions": torch.zeros(1, BOXES, FEATURES),
    "boxes": torch.zeros(1, BOXES, 7),
}
A, B, VG = "coco_val2014_000000000001.npz", "coco_val2014_000000000002.npz", "vg_000000000003.npz"
TRAIN = "coco_train2014_000000000004.npz"
DEVVAL = (
    Asked(id="10", pieces=(5, 6), image=A, target={0: 1.0}),
    Asked(id="11", pieces=(7, 8, 9, 10, 11), image=B, target={1: 0.3, 3: 0.9}),
    Asked(id="12", pieces=(5,), image=A, target={}),
)
LONG = tuple(range(1, 62))
PIECES = ("[PAD]", "[UNK]", *(f"piece{index}" for index in range(2, CLS)), "[CLS]", "[SEP]", "[MASK]")


def words(answers: tuple[str, ...] = ANSWERS) -> Vocabulary:
    return Vocabulary(data="vqa-v2", words=PIECES, answers=answers, question_length=6, tokenizer="wordpiece-cased")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    texts, images = tmp_path / "txt_db", tmp_path / "img_db"
    write_text(texts / "vqa_devval.db", DEVVAL)
    write_text(
        texts / "vqa_train.db",
        [
            Asked(id="1", pieces=LONG, image=TRAIN, target={0: 1.0}),
            Asked(id="2", pieces=LONG[:60], image=TRAIN, target={2: 0.6}),
        ],
    )
    write_text(texts / "vqa_vg.db", [Asked(id="3", pieces=(4,), image=VG, target={1: 1.0})])
    write_text(texts / "vqa_test.db", [Asked(id="4", pieces=(4,), image=A, target=None)])
    write_images(images / "coco_val2014", "feat_th0.2_max100_min10_compressed", {A: 11, B: 14})
    write_images(images / "coco_train2014", "feat_th0.2_max100_min10", {TRAIN: 10})
    write_images(images / "vg", "", {VG: 16})
    (tmp_path / "ans2label.json").write_text(json.dumps({answer: i for i, answer in enumerate(ANSWERS)}))
    return tmp_path


def loaded(folder: Path, split: str = "validation") -> RegionSplit:
    return uniter_databases.load(folder, split, words(), LIKE)


def ids(split: RegionSplit) -> list[object]:
    assert isinstance(split.judge, SoftJudge)
    return list(split.judge.questions)


def test_each_part_is_read_from_its_databases(folder: Path) -> None:
    assert matches(folder)
    assert not matches(folder / "txt_db")
    assert ids(loaded(folder)) == ["10", "11", "12"]
    assert ids(loaded(folder, "test")) == ["4"]


def test_training_leaves_out_questions_of_more_than_sixty_pieces(folder: Path) -> None:
    assert ids(loaded(folder, "train")) == ["2", "3"]
    write_text(folder / "txt_db" / "vqa_test.db", [Asked(id="9", pieces=LONG, image=A, target=None)])
    assert ids(loaded(folder, "test")) == ["9"]


def test_questions_get_their_first_and_last_piece_and_fit_the_model(folder: Path) -> None:
    (batch,) = loaded(folder).batches(3)
    assert batch.inputs["question"].tolist() == [
        [CLS, 5, 6, SEP, 0, 0],
        [CLS, 7, 8, 9, 10, SEP],
        [CLS, 5, SEP, 0, 0, 0],
    ]


def test_regions_and_boxes_are_as_stored_with_the_area_and_padding(folder: Path) -> None:
    (batch,) = loaded(folder).batches(2, torch.tensor([1, 0]))
    assert batch.inputs["regions"].dtype == batch.inputs["boxes"].dtype == torch.float32
    for row, (name, count) in enumerate([(B, 12), (A, 11)]):
        record = image_record(name, {A: 11, B: 14}[name])
        stored = record["norm_bb"].astype(np.float32)
        boxes = np.concatenate([stored, stored[:, 4:5] * stored[:, 5:]], 1)
        np.testing.assert_array_equal(batch.inputs["regions"][row, :count], record["features"][:count].astype("f4"))
        np.testing.assert_array_equal(batch.inputs["boxes"][row, :count], boxes[:count])
        assert not batch.inputs["regions"][row, count:].any()
        assert not batch.inputs["boxes"][row, count:].any()


@pytest.mark.parametrize(
    ("database", "expected"),
    [
        # Sixteen boxes of which twelve are confident. Of four, none but the first ten would be too few.
        ("", 12),
        ("all", 12),
        ("all_compressed", 12),
        ("feat_numbb36", 16),
        ("feat_numbb36_compressed", 16),
        ("feat_th0.2_max100_min10", 16),  # its list of counts, which the writer sets to all
    ],
)
def test_every_kind_of_image_database_is_read(tmp_path: Path, database: str, expected: int) -> None:
    write_images(tmp_path, database, {A: 16})
    found = open_image_folder(tmp_path).regions(A)
    assert len(found.features) == len(found.boxes) == expected
    np.testing.assert_array_equal(found.features, image_record(A, 16)["features"][:expected])


def test_a_model_without_boxes_needs_none(tmp_path: Path) -> None:
    archive_without("norm_bb")(tmp_path)
    assert open_image_folder(tmp_path, has_boxes=False).regions(A).boxes.shape == (
        10,
        0,
    )  # of twelve, nine are confident


def test_a_model_without_boxes_or_with_corners_only_gets_what_it_reads(folder: Path) -> None:
    plain = {name: LIKE[name] for name in ("question", "regions")}
    assert set(next(uniter_databases.load(folder, "validation", words(), plain).batches(1)).inputs) == set(plain)
    corners = {**LIKE, "boxes": torch.zeros(1, BOXES, 4)}
    batch = next(uniter_databases.load(folder, "validation", words(), corners).batches(1))
    assert torch.equal(batch.inputs["boxes"], next(loaded(folder).batches(1)).inputs["boxes"][:, :, :4])


def test_targets_and_accuracy_are_what_answers_are_worth(folder: Path) -> None:
    split = loaded(folder)
    (batch,) = split.batches(3)
    expected = torch.tensor([[1, 0, 0, 0], [0, 0.3, 0, 0.9], [0, 0, 0, 0]])
    assert torch.allclose(batch.targets, expected)
    accuracy = split.score(torch.tensor([0, 3, 0]))
    assert accuracy.correct == pytest.approx(1.9)
    assert accuracy.total == 3
    assert split.details(torch.zeros(3)) == {}


def test_test_questions_give_results_but_no_accuracy(folder: Path) -> None:
    split = loaded(folder, "test")
    assert not split.has_targets
    assert split.results(torch.tensor([1])) == [{"question_id": 4, "answer": "pitcher"}]
    assert not next(split.batches(1)).targets.any()
    with pytest.raises(InputError, match="without answers"):
        split.score(torch.tensor([1]))


def test_ids_that_are_text_are_written_as_text(folder: Path) -> None:
    asked = [Asked(id=name, pieces=(4,), image=A, target=None) for name in ("shop-1", "4")]
    write_text(folder / "txt_db" / "vqa_test.db", asked)
    found = loaded(folder, "test").results(torch.tensor([1, 0]))
    assert [entry["question_id"] for entry in found] == ["shop-1", 4]


def test_withheld_answers_make_a_split_without_answers(folder: Path) -> None:
    path = folder / "txt_db" / "vqa_devval.db"
    write_text(path, [dataclasses.replace(asked, target={}) for asked in DEVVAL])
    assert not loaded(folder).has_targets
    write_text(path, [dataclasses.replace(DEVVAL[0], target=None), *DEVVAL[1:]])
    with pytest.raises(InputError, match=r"vqa_devval\.db: question '10' has no answer, but others have"):
        loaded(folder)


def test_a_question_in_two_databases_of_a_part_is_refused(folder: Path) -> None:
    write_text(folder / "txt_db" / "vqa_vg.db", [Asked(id="2", pieces=(4,), image=VG, target={1: 1.0})])
    with pytest.raises(InputError, match=r"vqa_vg\.db, key '2' is in vqa_train\.db, too"):
        loaded(folder, "train")


def test_a_model_of_words_cannot_read_pieces(folder: Path) -> None:
    plain = Vocabulary(data="vqa-v2", words=("is",), answers=ANSWERS, question_length=6, tokenizer="openvqa")
    with pytest.raises(InputError, match="holds word pieces, but the model was trained on words"):
        uniter_databases.load(folder, "validation", plain, LIKE)


def packed(record: object) -> bytes:
    return bytes(lz4.compress(msgpack.dumps(record)))


WHOLE = {"input_ids": [5], "img_fname": A, "target": {"labels": [0], "scores": [1.0]}}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (packed(WHOLE)[:-9], "cannot be read: .*; is it damaged"),
        (lz4.compress(msgpack.dumps(WHOLE)[:-3]), "truncated"),
        (b"", "cannot be read: "),
        (packed({**WHOLE, "input_ids": "5"}), ", input_ids: expected array, got str"),
        (packed({**WHOLE, "input_ids": [-1]}), ", input_ids.*: expected int >= 0"),
        (packed({**WHOLE, "input_ids": [104]}), "has piece 104, but the model knows 104"),
        (packed({"input_ids": [5]}), "object missing required field img_fname"),
        # Extension types are how other readers are made to build objects; here they are no value at all.
        (packed({**WHOLE, "input_ids": msgpack.ExtType(1, b"x")}), "expected array, got ext"),
        (packed({**WHOLE, "target": {"labels": [0, 1], "scores": [1.0]}}), ", target: 2 labels and 1 scores"),
        (packed({**WHOLE, "target": {"labels": [0, 0], "scores": [1.0, 0.3]}}), "labels name an answer twice"),
        (packed({**WHOLE, "target": {"labels": [0], "scores": [1.5]}}), "expected float <= 1.0"),
        (packed({**WHOLE, "target": {"labels": [0], "scores": [float("nan")]}}), "expected float"),
        (packed({**WHOLE, "target": {"labels": [4], "scores": [1.0]}}), r"has answer 4, but ans2label\.json has 4"),
        (packed({**WHOLE, "img_fname": B}), rf"is about '{B}', in txt2img\.json about '{A}'"),
    ],
)
def test_a_malformed_question_is_one_line_with_database_and_key(folder: Path, value: bytes, message: str) -> None:
    write_lmdb(folder / "txt_db" / "vqa_devval.db", {"10": value})
    with pytest.raises(InputError, match=message) as error:
        loaded(folder)
    assert "vqa_devval.db, key '10'" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_question_that_is_in_a_side_file_only_is_named(folder: Path) -> None:
    path = folder / "txt_db" / "vqa_devval.db"
    for name, value in (("id2len.json", 1), ("txt2img.json", A)):
        side = json.loads((path / name).read_text())
        (path / name).write_text(json.dumps({**side, "77": value}))
        if name == "id2len.json":
            with pytest.raises(InputError, match=r"txt2img\.json has no image for question '77'"):
                loaded(folder)
    with pytest.raises(InputError, match=r"vqa_devval\.db, key '77': not there"):
        loaded(folder)


@pytest.mark.parametrize("image", ["../coco_val2014_1.npz", "coco_val2014_000000000009.npz", 7, "cats_1.npz"])
def test_a_question_without_an_image_is_refused_at_once(folder: Path, image: object) -> None:
    side = folder / "txt_db" / "vqa_devval.db" / "txt2img.json"
    side.write_text(json.dumps({**json.loads(side.read_text()), "10": image}))
    changed = packed({**WHOLE, "img_fname": str(image)})
    write_lmdb(folder / "txt_db" / "vqa_devval.db", {"10": changed})
    with pytest.raises(
        InputError,
        match=r"no image for question '10'|coco_val2014: no image .*009\.npz|cats: an image folder|got int",
    ):
        loaded(folder)


def archive_without(name: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        write_images(folder, "", {A: 12})
        with np.load(folder / A) as arrays:
            kept = {key: arrays[key] for key in arrays if key != name}
        np.savez(folder / A, **kept)

    return write


def archive_with(**changes: NDArray[Any]) -> Callable[[Path], None]:
    return lambda folder: np.savez(folder / A, **{**image_record(A, 12), **changes})


def cut_archive(folder: Path) -> None:
    write_images(folder, "", {A: 12})
    (folder / A).write_bytes((folder / A).read_bytes()[:-40])


def pickled_archive(folder: Path) -> None:
    boxes = image_record(A, 12)["norm_bb"]
    np.savez(folder / A, features=np.array([{"a": 1}], dtype=object), norm_bb=boxes)


def record(value: object) -> Callable[[Path], None]:
    return lambda folder: write_lmdb(folder / "all", {A: msgpack.dumps(value)})


BAD_TYPE = {b"nd": True, b"type": "|O", b"kind": b"", b"shape": [1], b"data": b"12345678"}
SHORT = {b"nd": True, b"type": "<f2", b"kind": b"", b"shape": [12, 8], b"data": b"12"}


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (archive_without("norm_bb"), r"norm_bb is not there; expected \(12, 6\)"),
        (archive_without("features"), "features is not there"),
        (cut_archive, "File is not a zip file"),
        (pickled_archive, "features holds 'object'; expected plain numbers"),
        (archive_with(features=np.ones((3, 4, 8), np.float32)), r"features is of shape \(3, 4, 8\); expected \(n, F\)"),
        (archive_with(conf=np.ones(11)), r"conf is of shape \(11,\); expected \(12,\)"),
        (archive_with(norm_bb=np.ones((12, 4))), r"norm_bb is of shape \(12, 4\); expected \(12, 6\)"),
        (archive_with(norm_bb=np.tile([0.5, 0.2, 0.1, 1, -0.4, 0.8], (12, 1))), "box 0 .* ends before it begins"),
        (archive_with(norm_bb=np.tile([64.0, 96, 320, 480, 256, 384], (12, 1))), "box 0 .* lies outside it"),
        (archive_with(features=np.full((12, 8), np.nan)), "NaN or infinite"),
        (archive_with(features=np.full((12, 8), 1e300)), "NaN or infinite"),
        (record({"features": BAD_TYPE, "norm_bb": BAD_TYPE}), "features holds 'object'; expected plain numbers"),
        (record({"features": SHORT, "norm_bb": SHORT}), "features has less than its 192 bytes"),
        (record({"features": SHORT | {b"shape": [-1, 8]}}), r"features has shape \[-1, 8\]"),
        (record({"features": SHORT | {b"shape": [10**12, 8]}}), "which is 1.6e[+]13 bytes"),
        (record({"features": SHORT | {b"data": 10**12}}), "features lacks type or data"),
        (record({"features": SHORT | {b"type": None}}), "features lacks type or data"),
        (record({"features": SHORT | {b"type": "<f2" * 99}}), "cannot be read|data type"),
        (record({"features": msgpack.ExtType(5, b"")}), "features is no array, but Ext"),
        (record([1]), "expected object, got array"),
        (record({"features": 1}), "features is no array, but int"),
    ],
)
def test_a_malformed_image_is_one_line_with_its_name(
    tmp_path: Path, write: Callable[[Path], None], message: str
) -> None:
    write(tmp_path)
    with pytest.raises(InputError, match=message) as error:
        open_image_folder(tmp_path).regions(A)
    assert str(error.value).startswith(str(tmp_path))
    assert A in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


def test_features_of_another_size_and_wrong_counts_are_refused(folder: Path) -> None:
    other = {**LIKE, "regions": torch.zeros(1, BOXES, 9)}
    with pytest.raises(InputError, match=r"has 8 features a region; the model reads 9"):
        next(uniter_databases.load(folder, "validation", words(), other).batches(1))
    counts = folder / "img_db" / "coco_val2014" / "nbb_th0.2_max100_min10.json"
    counts.write_text(json.dumps({A: 99}))
    with pytest.raises(InputError, match=rf"json gives 99 boxes for {A}, which has 11"):
        next(loaded(folder).batches(1))


def test_a_database_that_was_not_copied_to_its_end_is_refused(folder: Path) -> None:
    data = folder / "txt_db" / "vqa_devval.db" / "data.mdb"
    whole = data.read_bytes()
    data.write_bytes(whole[: len(whole) - 4096])
    with pytest.raises(InputError, match=r"data\.mdb is truncated"):
        loaded(folder)
    data.write_bytes(b"not a database" * 1000)
    with pytest.raises(InputError, match=r"vqa_devval\.db: LMDB says MDB_INVALID"):
        loaded(folder)
    data.unlink()
    with pytest.raises(InputError, match=r"data\.mdb does not exist"):
        loaded(folder)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("meta.json", {"CLS": 101}, r"meta\.json: object missing required field SEP"),
        (
            "meta.json",
            {"CLS": SEP, "SEP": CLS},
            r"meta\.json gives \[CLS\] the number 102, the model's pieces 101; give other data",
        ),
        ("meta.json", {"CLS": 9999, "SEP": SEP}, r"meta\.json gives \[CLS\] the number 9999"),
        ("id2len.json", {"10": 2}, r"id2len\.json lacks 2 questions of txt2img\.json, as '11'"),
        ("id2len.json", {"10": "3"}, r"id2len\.json, \[\.\.\.\]: expected int, got str"),
        ("txt2img.json", [], r"txt2img\.json: expected object, got array"),
    ],
)
def test_malformed_side_files_are_named(folder: Path, name: str, data: object, message: str) -> None:
    (folder / "txt_db" / "vqa_devval.db" / name).write_text(json.dumps(data))
    with pytest.raises(InputError, match=message):
        loaded(folder)


def test_the_models_answers_must_be_those_that_the_numbers_mean(folder: Path) -> None:
    other = tuple(reversed(ANSWERS))
    with pytest.raises(InputError, match=r"ans2label\.json has other answers than the model, or in another order"):
        uniter_databases.load(folder, "validation", words(other), LIKE)
    (folder / "ans2label.json").unlink()
    assert len(uniter_databases.load(folder, "validation", words(), LIKE)) == 3


def test_answers_must_be_numbered_without_gaps(folder: Path) -> None:
    assert read_answers(folder) == ANSWERS
    (folder / "ans2label.json").write_text(json.dumps({"a": 0, "b": 2}))
    with pytest.raises(InputError, match="must number its 2 answers from 0 on"):
        read_answers(folder)
    (folder / "ans2label.json").unlink()
    with pytest.raises(InputError, match=r"ans2label\.json does not exist"):
        read_answers(folder)


def test_missing_databases_and_other_models_are_refused(folder: Path) -> None:
    (folder / "txt_db" / "vqa_devval.db").rename(folder / "elsewhere")
    with pytest.raises(InputError, match=r"vqa_devval\.db does not exist; the validation part is read from it"):
        loaded(folder)
    with pytest.raises(InputError, match="has region features, but the model reads question, image"):
        uniter_databases.load(folder, "test", words(), {"question": LIKE["question"], "image": torch.zeros(1)})


def test_two_parts_may_read_the_same_images_at_once(folder: Path) -> None:
    first, second = loaded(folder), loaded(folder, "test")
    assert torch.equal(next(first.batches(1)).inputs["regions"], next(second.batches(1)).inputs["regions"])
