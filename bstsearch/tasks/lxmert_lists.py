"""LXMERT's question lists with JPEG files, as CLIP-ViL reads them (public code airsplay/lxmert, clip-vil/CLIP-ViL).

    vqa-v2:  vqa/train.json  nominival.json  minival.json  test.json    mscoco/train2014  val2014  test2015
    gqa:     gqa/train.json  valid.json  testdev.json                   gqa/images
    beside the lists: trainval_label2ans.json (the answers in the order of the classes)

Lists and images may also lie in the folder itself, images in a folder images. VQA-v2 trains on train and nominival and
validates on minival; GQA trains on train, validates on valid and tests on testdev (that code also trains on valid, and
chooses by testdev). Accuracy is the worth of the predicted answer (`bstsearch.tasks.soft_labels`), as reported there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from bstsearch.errors import InputError
from bstsearch.formats.lxmert_images import are_lying, get_images
from bstsearch.inputs.reader import Reader
from bstsearch.tasks.picture_split import PictureSplit
from bstsearch.tasks.region_split import SparseRows
from bstsearch.tasks.soft_labels import GQA_RESULT, VQA_RESULT, SoftJudge

FOLDERS = {"vqa-v2": "vqa", "gqa": "gqa"}
LISTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "vqa-v2": {"train": ("train", "nominival"), "validation": ("minival",), "test": ("test",)},
    "gqa": {"train": ("train",), "validation": ("valid",), "test": ("testdev",)},
}
ANSWERS = "trainval_label2ans.json"
NUMBERS = "trainval_ans2label.json"

Encode = Callable[[Sequence[str]], NDArray[np.int64]]  # questions to token ids


class Asked(msgspec.Struct, frozen=True):
    """A question of a list; `label` is what each answer is worth, None in a test list."""

    question_id: int | str
    img_id: str
    sent: str
    label: dict[str, float] | None = None


Worths = Mapping[int, float]  # class id -> what it is worth
Row = tuple[Asked, Worths]


def matches(folder: Path, data: str) -> bool:
    """Whether `folder` holds that data set laid out like this."""
    return (_lists(folder, data) / ANSWERS).exists()


def read_answers(folder: Path, data: str) -> tuple[str, ...]:
    """The answers by class id; InputError where two files number them differently."""
    path = _lists(folder, data) / ANSWERS
    answers = tuple(_decoded(path, list[str]))
    numbers_path = path.parent / NUMBERS
    if numbers_path.exists() and _decoded(numbers_path, dict[str, int]) != {a: i for i, a in enumerate(answers)}:
        raise InputError(f"{numbers_path} and {path.name} number the answers differently; copy both again")
    return answers


def load(folder: Path, data: str, split: str, answers: tuple[str, ...], encode: Encode, reader: Reader) -> PictureSplit:
    """The "train", "validation" or "test" part, its images as `reader` says.

    InputError where a file is missing or malformed, an image is missing, or an answer is not in the list of answers.
    Only GQA's held-out questions may have one that is not; no prediction is then right, as in that code.
    """
    picture = reader.needed_picture(f"{folder} has image files")
    classes = {answer: index for index, answer in enumerate(answers)}
    is_strict = data != "gqa" or split == "train"
    lists = [_lists(folder, data) / f"{name}.json" for name in LISTS[data][split]]
    rows = [row for path in lists for row in _read_list(path, classes, is_strict=is_strict, has_labels=split != "test")]
    paths = get_images(folder, dict.fromkeys(asked.img_id for asked, _ in rows))
    lying = are_lying(folder, paths) if picture.has_two_ways else dict.fromkeys(paths, False)
    rows.sort(key=lambda row: not lying[row[0].img_id])
    judge = SoftJudge(
        questions=[asked.question_id for asked, _ in rows],
        worths=SparseRows.of(worths for _, worths in rows),
        names=answers,
        has_answers=all(asked.label is not None for asked, _ in rows),
        result=GQA_RESULT if data == "gqa" else VQA_RESULT,
    )
    return PictureSplit(
        tokens=encode([asked.sent for asked, _ in rows]).astype(np.int32),
        paths=[paths[asked.img_id] for asked, _ in rows],
        lying=sum(lying[asked.img_id] for asked, _ in rows),
        judge=judge,
        picture=picture,
    )


def _read_list(path: Path, classes: Mapping[str, int], *, is_strict: bool, has_labels: bool) -> list[Row]:
    asked = _decoded(path, list[Asked])
    unlabelled = next((question.question_id for question in asked if question.label is None), None)
    if unlabelled is not None and (has_labels or any(question.label is not None for question in asked)):
        raise InputError(f"{path}: question {unlabelled!r} has no 'label', which training and scoring need")
    if not asked:
        raise InputError(f"{path} has no questions; copy it again")
    return [(question, _worths(question, classes, path, is_strict=is_strict)) for question in asked]


def _worths(asked: Asked, classes: Mapping[str, int], path: Path, *, is_strict: bool) -> Worths:
    given = asked.label or {}
    if is_strict and (unknown := next((answer for answer in given if answer not in classes), None)) is not None:
        raise InputError(f"{path}: question {asked.question_id!r} has answer {unknown!r}, which is none of the model's")
    return {classes[answer]: worth for answer, worth in given.items() if answer in classes}


def _lists(folder: Path, data: str) -> Path:
    inner = folder / FOLDERS[data]
    return inner if (inner / ANSWERS).exists() else folder


def _decoded(path: Path, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        raise InputError(f"question list {path} does not exist") from None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}; is it truncated?") from error
