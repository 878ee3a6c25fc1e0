from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from synthetic import ANSWERS, annotation, question_file, write_json, write_vqa_v2

from bstsearch.errors import InputError, UsageError
from bstsearch.inputs.reader import Reader
from bstsearch.tasks.region_split import SparseRows
from bstsearch.tasks.vocabulary import Vocabulary
from bstsearch.tasks.vqa_accuracy import accuracy
from bstsearch.tasks.vqa_v2 import VqaV2

LIKE = {"question": torch.zeros(1, 14), "regions": torch.zeros(1, 5, 8), "boxes": torch.zeros(1, 5, 4)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_vqa_v2(tmp_path / "vqa", questions=40)


@pytest.fixture
def vocabulary(folder: Path) -> Vocabulary:
    return VqaV2.build_vocabulary(folder)


def test_words_come_in_order_of_use_and_answers_from_more_than_eight_questions(vocabulary: Vocabulary) -> None:
    assert vocabulary.tokenizer == "openvqa"
    assert vocabulary.words[:4] == ("what", "is", "it", "this")
    assert vocabulary.answers == ANSWERS  # each is the answer to 20 questions; "maybe" to none
    assert vocabulary.encode_many(["What is it?"])[0, :5].tolist() == [3, 4, 5, 0, 0]


def test_a_given_answer_file_decides_the_classes(folder: Path) -> None:
    ids = {"red": 1, "blue": 0}
    write_json(folder / "raw" / "answer_dict.json", [ids, {str(index): name for name, index in ids.items()}])
    assert VqaV2.build_vocabulary(folder).answers == ("blue", "red")


@pytest.mark.parametrize("upright", [False, True])
def test_a_batch_holds_padded_regions_boxes_and_soft_targets(tmp_path: Path, upright: bool) -> None:
    folder = write_vqa_v2(tmp_path / "vqa", questions=40, upright=upright)
    vocabulary = VqaV2.build_vocabulary(folder)
    split = VqaV2(vocabulary, folder).split("train", Reader(like=LIKE))
    (batch,) = split.batches(3, torch.tensor([7, 0, 3]))
    assert {name: tuple(tensor.shape) for name, tensor in batch.inputs.items()} == {
        "question": (3, 14),
        "regions": (3, 5, 8),
        "boxes": (3, 5, 4),
    }
    with np.load(folder / "feats" / "train2014" / "COCO_train2014_000000000100.jpg.npz") as file:
        x = file["x"] if upright else file["x"].T
        boxes = file["bbox"] / (200, 100, 200, 100)
    torch.testing.assert_close(batch.inputs["regions"][1, :3], torch.from_numpy(x))
    assert not batch.inputs["regions"][1, 3:].any()
    torch.testing.assert_close(batch.inputs["boxes"][1, :3], torch.from_numpy(boxes).float())
    assert batch.targets.tolist() == [[0.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]


def test_regions_may_lie_in_a_table(folder: Path, vocabulary: Vocabulary) -> None:
    """Bottom-up attention's own files, one line for each image, give the same batch."""
    expected = next(VqaV2(vocabulary, folder).split("validation", Reader(like=LIKE)).batches(6)).inputs
    lines = []
    for path in sorted((folder / "feats").rglob("*.npz")):
        with np.load(path) as file:
            texts = [base64.b64encode(np.ascontiguousarray(array)).decode() for array in (file["bbox"], file["x"].T)]
            head = [str(int(path.name.split("_")[2][:12])), "200", "100", str(len(file["bbox"]))]
            lines.append("\t".join([*head, *texts]))
        path.unlink()
    (folder / "feats" / "trainval_36.tsv").write_text("\n".join(lines) + "\n")
    found = next(VqaV2(vocabulary, folder).split("validation", Reader(like=LIKE)).batches(6)).inputs
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor)


def test_a_model_may_ask_for_seven_numbers_a_box(folder: Path, vocabulary: Vocabulary) -> None:
    like = {**LIKE, "boxes": torch.zeros(1, 5, 7)}
    batch = next(VqaV2(vocabulary, folder).split("validation", Reader(like=like)).batches(4))
    x1, y1, x2, y2, width, height, area = batch.inputs["boxes"][0, 0].tolist()
    assert (width, height, area) == pytest.approx((x2 - x1, y2 - y1, width * height))


def test_batches_follow_the_order_and_cover_every_question(folder: Path, vocabulary: Vocabulary) -> None:
    split = VqaV2(vocabulary, folder).split("train", Reader(like=LIKE))
    order = torch.randperm(40)
    found = torch.cat([batch.inputs["question"] for batch in split.batches(7, order)])
    stored = torch.cat([batch.inputs["question"] for batch in split.batches(40)])
    assert torch.equal(found, stored[order])


def test_scores_are_the_accuracies_of_the_predicted_words(folder: Path, vocabulary: Vocabulary) -> None:
    split = VqaV2(vocabulary, folder).split("validation", Reader(like=LIKE))
    predicted = torch.arange(40) % 3
    people = [[ANSWERS[row % 4]] * 7 + ["maybe"] * 3 for row in range(40)]
    expected = [accuracy(vocabulary.answers[row % 3], people[row]) for row in range(40)]
    found = split.score(predicted)
    assert (found.correct, found.total) == (pytest.approx(sum(expected)), 40)
    values = split.values(predicted)
    assert values is not None
    assert values.tolist() == expected
    details = split.details(predicted)
    assert set(details) == {"openvqa", "number", "other"}
    assert details["number"] == 0.0
    assert split.results(predicted)[1] == {"question_id": 200_001, "answer": "no"}


def test_the_test_part_is_answered_but_not_scored(folder: Path, vocabulary: Vocabulary) -> None:
    split = VqaV2(vocabulary, folder).split("test", Reader(like=LIKE))
    assert not split.has_targets
    assert len(split.results(torch.zeros(40, dtype=torch.int64))) == 40
    assert not next(split.batches(2)).targets.any()
    with pytest.raises(
        InputError, match=r"test_questions.json: without answers, so without a score; write .* --results"
    ):
        split.score(torch.zeros(40, dtype=torch.int64))


def _cut(folder: Path, name: str) -> None:
    path = folder / "raw" / name
    path.write_bytes(path.read_bytes()[:-30])


def _edit(folder: Path, name: str, key: str, change: Callable[[list[dict]], object]) -> None:
    path = folder / "raw" / name
    data = json.loads(path.read_text())
    change(data[key])
    path.write_text(json.dumps(data))


def _answer_otherwise(rows: list[Any]) -> None:
    for row in rows:
        row["answers"] = [{"answer": "zebra"}] * 10


DAMAGES = {
    "a truncated question file": (lambda f: _cut(f, "devval_questions.json"), "truncated"),
    "a truncated annotation file": (lambda f: _cut(f, "devval_annotations.json"), "truncated"),
    "an empty file": (lambda f: (f / "raw" / "devval_questions.json").write_text(""), "questions.json: empty"),
    "another version": (
        lambda f: write_json(f / "raw" / "devval_questions.json", {"qs": []}),
        "missing required field questions",
    ),
    "no annotations": (
        lambda f: (f / "raw" / "devval_annotations.json").unlink(),
        "does not exist, but its questions do",
    ),
    "an annotation without its question": (
        lambda f: _edit(
            f,
            "devval_annotations.json",
            "annotations",
            lambda rows: rows.append(annotation({"question_id": 5, "image_id": 200}, "yes")),
        ),
        "question 5 is annotated, but devval_questions.json has no such question",
    ),
    "a question twice": (
        lambda f: _edit(f, "devval_questions.json", "questions", lambda rows: rows.append(rows[0])),
        "question 200000 is there 2 times",
    ),
    "an annotation twice": (
        lambda f: _edit(f, "devval_annotations.json", "annotations", lambda rows: rows.append(rows[0])),
        "annotation of question 200000 is there 2 times",
    ),
    "a record without its id": (
        lambda f: _edit(f, "devval_annotations.json", "annotations", lambda rows: rows[3].pop("question_id")),
        r"annotations\[3\]: object missing required field question_id",
    ),
    "answers of another data set": (
        lambda f: _edit(f, "devval_annotations.json", "annotations", _answer_otherwise),
        r"devval_annotations\.json: no answer is among the vocabulary's 4; is it another data set's\?",
    ),
    "no questions": (lambda f: write_json(f / "raw" / "devval_questions.json", question_file([])), "has no questions"),
    "no feature file": (
        lambda f: (f / "feats" / "val2014" / "COCO_val2014_000000000201.jpg.npz").unlink(),
        r"feats: no \.npz file and no line of a \.tsv file for image 201, but questions are about it",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_are_named_before_any_work(folder: Path, vocabulary: Vocabulary, damage: str) -> None:
    change, message = DAMAGES[damage]
    change(folder)
    with pytest.raises(InputError, match=message):
        VqaV2(vocabulary, folder).split("validation", Reader(like=LIKE))


def test_a_folder_must_be_given_and_be_of_a_known_layout(tmp_path: Path, vocabulary: Vocabulary) -> None:
    with pytest.raises(UsageError, match="say where with --data-dir DIR"):
        VqaV2(vocabulary).split("train", Reader(like=LIKE))
    with pytest.raises(InputError, match=r"^/.*nowhere does not exist; give the folder"):
        VqaV2(vocabulary, tmp_path / "nowhere").split("train", Reader(like=LIKE))
    with pytest.raises(InputError, match="in no known layout of VQA-v2"):
        VqaV2(vocabulary, tmp_path).split("train", Reader(like=LIKE))


def test_a_model_that_reads_images_is_refused(folder: Path, vocabulary: Vocabulary) -> None:
    with pytest.raises(InputError, match="has region features, but the model reads question, image"):
        VqaV2(vocabulary, folder).split("train", Reader(like={"question": LIKE["question"], "image": torch.zeros(1)}))


def test_sparse_rows_are_dense_ones_without_their_zeros() -> None:
    table = SparseRows.of([{2: 0.5}, {}, {0: 1.0, 1: 0.25}])
    assert table.dense(np.array([2, 0]), 3).tolist() == [[1.0, 0.25, 0.0], [0.0, 0.0, 0.5]]
    assert table.at(np.array([2, 0, 1])).tolist() == [0.5, 0.0, 0.25]


def test_tenths_stay_tenths_in_scores_and_are_float32_in_targets() -> None:
    table = SparseRows.of([{0: 0.3}, {1: 0.6}, {0: 0.9}])
    assert table.at(np.array([0, 1, 0])).tolist() == [0.3, 0.6, 0.9]
    assert torch.equal(table.dense(np.arange(3), 2), torch.tensor([[0.3, 0], [0, 0.6], [0.9, 0]]))
