"""LXMERT's question lists, as CLIP-ViL reads them, too (public code airsplay/lxmert, clip-vil/CLIP-ViL).

    vqa-v2:  vqa/train.json  nominival.json  minival.json  test.json
    gqa:     gqa/train.json  valid.json  testdev.json
    beside the lists: trainval_label2ans.json (the answers in the order of the classes)

Lists may also lie in the folder itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from bstsearch.errors import InputError
from bstsearch.reading import FileName, Share, decoded, mapped, read_json, shown

FOLDERS = {"vqa-v2": "vqa", "gqa": "gqa"}
LISTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "vqa-v2": {"train": ("train", "nominival"), "validation": ("minival",), "test": ("test",)},
    "gqa": {"train": ("train",), "validation": ("valid",), "test": ("testdev",)},
}
ANSWERS = "trainval_label2ans.json"
NUMBERS = "trainval_ans2label.json"


class Asked(msgspec.Struct, frozen=True):
    """A question of a list; `label` is what each answer is worth, None in a test list."""

    question_id: int | str
    img_id: FileName
    sent: str
    label: dict[str, Share] | None = None


def matches(folder: Path, data: str) -> bool:
    """Whether `folder` holds that data set laid out like this."""
    return answers_file(folder, data).exists()


def answers_file(folder: Path, data: str) -> Path:
    """Where the answers of that data set lie."""
    return _lists(folder, data) / ANSWERS


def read_answers(folder: Path, data: str) -> tuple[str, ...]:
    """The answers by class id; InputError where one is there twice, or two files number them differently."""
    path = answers_file(folder, data)
    answers = read_json(path, tuple[str, ...])
    numbers = {answer: number for number, answer in enumerate(answers)}
    if len(numbers) < len(answers):
        twice = next(answer for number, answer in enumerate(answers) if numbers[answer] != number)
        raise InputError(f"{path} has the answer {shown(twice)} twice; copy it again")
    numbers_path = path.parent / NUMBERS
    if numbers_path.exists() and read_json(numbers_path, dict[str, int]) != numbers:
        raise InputError(f"{numbers_path} and {path.name} number the answers differently; copy both again")
    return tuple(answers)


def read_lists(folder: Path, data: str, split: str) -> dict[Path, list[Asked]]:
    """The questions of each list of a part; InputError where a list is malformed, or a question is there twice."""
    paths = [_lists(folder, data) / f"{name}.json" for name in LISTS[data][split]]
    found = {path: _read_list(path) for path in paths}
    seen: set[str] = set()
    for path, asked in found.items():
        for one in asked:
            if str(one.question_id) in seen:
                raise InputError(f"{path}: question {shown(one.question_id)} is there twice; each must be there once")
            seen.add(str(one.question_id))
    return found


def _read_list(path: Path) -> list[Asked]:
    with mapped(path) as content:
        found: list[Asked] = decoded(content, list[Asked], path)
    if not found:
        raise InputError(f"{path} has no questions; copy it again")
    return found


def _lists(folder: Path, data: str) -> Path:
    inner = folder / FOLDERS[data]
    return inner if (inner / ANSWERS).exists() else folder
