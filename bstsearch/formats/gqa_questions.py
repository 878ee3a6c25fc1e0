"""GQA's own question files: {question id: {question, answer, imageId, isBalanced, types, groups, semantic, ...}}.

{train,val,testdev}_balanced_questions.json    in the folder itself, or in its subfolder raw or questions1.2
dicts.json                                     openvqa's classes and words, used where it is there
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from bstsearch.errors import InputError
from bstsearch.formats.openvqa import names_of

FILES = {
    "train": "train_balanced_questions.json",
    "validation": "val_balanced_questions.json",
    "test": "testdev_balanced_questions.json",
}
SUBFOLDERS = ("", "raw", "questions1.2")
DICTS = "dicts.json"


class Asked(msgspec.Struct, frozen=True, gc=False):
    """What is needed of every question."""

    question: str
    imageId: str  # noqa: N815 (the file's own name)
    answer: str | None = None


def matches(folder: Path) -> bool:
    """Whether `folder` holds GQA's own question files."""
    return any(_found(folder, name) for name in FILES.values())


def question_file(folder: Path, split: str) -> Path:
    """The file of the "train", "validation" or "test" part (testdev); InputError where it is missing."""
    path = _found(folder, FILES[split])
    if path is None:
        raise InputError(f"{folder} has no {FILES[split]}, which GQA's {split} part is read from")
    return path


def read_questions(path: Path) -> dict[str, Asked]:
    """The questions of a file by id; InputError where it is malformed."""
    found: dict[str, Asked] = _decode(path, dict[str, Asked])
    if not found:
        raise InputError(f"{path} has no questions; copy it again")
    return found


def read_records(path: Path) -> dict[str, dict[str, Any]]:
    """The whole records of a file by id, for the evaluation."""
    found: dict[str, dict[str, Any]] = _decode(path, dict[str, dict[str, Any]])
    return found


def read_dicts(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...], int] | None:
    """Answers by class id, words by token id and question length of openvqa's dicts.json, where there is one."""
    path = _found(folder, DICTS)
    return None if path is None else parse_dicts(path)


def parse_dicts(path: Path) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    """The same of the file itself, a list of four (answers, their reverse, words, question length); else InputError."""
    found = _decode(path, list[Any])
    if len(found) != 4 or not isinstance(found[0], Mapping) or not isinstance(found[2], Mapping):
        raise InputError(f"{path} must be a list of four: answers, their reverse, words, question length")
    return names_of(found[0], path), names_of(found[2], path), int(found[3])


def _found(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / inner / name for inner in SUBFOLDERS) if path.exists()), None)


def _decode(path: Path, kind: Any) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}; is it truncated, or of another version?") from error
