from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from synthetic import annotation, question_file, write_json, write_vqa_v2

from bstsearch.errors import InputError
from bstsearch.inputs.reader import Reader
from bstsearch.tasks.region_split import RegionSplit
from bstsearch.tasks.vqa_v2 import VqaV2

LIKE = {"question": torch.zeros(1, 14), "regions": torch.zeros(1, 5, 8), "boxes": torch.zeros(1, 5, 4)}
FIRST = 200_000  # the id of the first question to validate on

Rows = list[dict[str, Any]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_vqa_v2(tmp_path / "vqa", questions=40)


def edit(folder: Path, change: Callable[[Rows], object], part: str = "devval") -> None:
    path = folder / "raw" / f"{part}_annotations.json"
    data = json.loads(path.read_text())
    change(data["annotations"])
    path.write_text(json.dumps(data))


def load(folder: Path, split: str = "validation") -> RegionSplit:
    vocabulary = VqaV2.build_vocabulary(folder)
    found = VqaV2(vocabulary, folder).split(split, Reader(like=LIKE))
    assert isinstance(found, RegionSplit)
    return found


def withhold(rows: Rows) -> None:
    for row in rows:
        row["answers"] = []


def test_withheld_answers_make_a_split_without_answers(folder: Path) -> None:
    edit(folder, withhold)
    split = load(folder)
    assert not split.has_targets
    assert len(split.results(torch.zeros(40, dtype=torch.int64))) == 40
    with pytest.raises(InputError, match=r"devval_annotations\.json: without answers, so without a score; .*--results"):
        split.check_scorable()


@pytest.mark.parametrize("given", [slice(0, 39), slice(2, 40), slice(5, 6)])
def test_answers_to_some_questions_only_are_refused_with_the_first_without(folder: Path, given: slice) -> None:
    lacking = next(row for row in range(40) if row not in range(40)[given])
    edit(folder, lambda rows: withhold([row for place, row in enumerate(rows) if place not in range(40)[given]]))
    with pytest.raises(InputError, match=rf"devval_annotations\.json: question {FIRST + lacking} has no answer, but"):
        load(folder)


def test_a_question_without_an_annotation_is_not_left_out_of_a_score(folder: Path) -> None:
    edit(folder, lambda rows: rows.pop(7))
    with pytest.raises(InputError, match=rf"devval_annotations\.json lacks question {FIRST + 7} of devval_questions"):
        load(folder)


def test_training_goes_by_the_annotations_as_in_the_public_codes(folder: Path) -> None:
    edit(folder, lambda rows: rows.pop(7), "train_trainval")
    assert len(load(folder, "train")) == 39


def test_an_annotation_of_another_image_is_refused(folder: Path) -> None:
    edit(folder, lambda rows: rows[3].update(image_id=77))
    with pytest.raises(
        InputError, match=rf"question {FIRST + 3} is about image 77, in devval_questions\.json about 203"
    ):
        load(folder)


def test_a_question_in_two_files_of_a_part_is_refused(folder: Path) -> None:
    one = json.loads((folder / "raw" / "train_trainval_questions.json").read_text())["questions"][4]
    write_json(folder / "raw" / "vg_questions.json", question_file([{**one, "question": "what else?"}]))
    write_json(folder / "raw" / "vg_annotations.json", {"annotations": [annotation(one, "yes")]})
    with pytest.raises(
        InputError, match=r"train_trainval_questions\.json and .*vg_q.*: question 100004 is there 2 times"
    ):
        load(folder, "train")


def test_answers_of_ok_vqa_are_the_most_frequent_ones(folder: Path) -> None:
    """Its annotations do not say which these are."""
    for part in ("train_trainval", "devval"):
        edit(folder, lambda rows: [row.pop("multiple_choice_answer") for row in rows], part)
    assert VqaV2.build_vocabulary(folder).answers == ("yes", "no", "red", "2")


def test_a_folder_without_a_frequent_answer_says_so(folder: Path) -> None:
    for part in ("train_trainval", "devval"):
        edit(
            folder,
            lambda rows: [row.update(multiple_choice_answer=f"x{place}") for place, row in enumerate(rows)],
            part,
        )
    with pytest.raises(InputError, match=r"no answer is that of more than eight questions; add answer_dict\.json"):
        VqaV2.build_vocabulary(folder)
