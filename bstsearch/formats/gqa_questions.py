"""GQA's own question files: {question id: {question, answer, imageId, isBalanced, types, groups, semantic, ...}}.

{train,val,testdev}_balanced_questions.json    in the folder itself, or in its subfolder raw or questions1.2
dicts.json                                     openvqa's classes and words, used where it is there
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from bstsearch.errors import InputError
from bstsearch.formats.openvqa import names_of
from bstsearch.reading import decoded, mapped, read_json

FILES = {
    "train": "train_balanced_questions.json",
    "validation": "val_balanced_questions.json",
    "test": "testdev_balanced_questions.json",
}
SUBFOLDERS = ("", "raw", "questions1.2")
DICTS = "dicts.json"
SPECIAL = ("PAD", "UNK", "CLS")  # with which openvqa's list of words begins

Length = Annotated[int, Meta(ge=1, le=1 << 16)]


class Asked(msgspec.Struct, frozen=True, gc=False):
    """What is needed of every question."""

    question: str
    imageId: str  # noqa: N815 (the file's own name)
    answer: str | None = None


class Answered(msgspec.Struct, frozen=True, gc=False):
    """A question's answer alone."""

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


def existing_files(folder: Path) -> list[Path]:
    """The files of the parts that are there, in the order of `FILES`."""
    return [path for path in (_found(folder, name) for name in FILES.values()) if path is not None]


def read_by_id(path: Path, kind: type[Any]) -> dict[str, Any]:
    """The questions of a file by id, each as a `kind`; InputError where it is malformed or has none."""
    with mapped(path) as content:
        found: dict[str, Any] = decoded(content, dict[str, kind], path)  # type: ignore[valid-type]
    if not found:
        raise InputError(f"{path} has no questions; copy it again")
    return found


def read_questions(path: Path) -> dict[str, Asked]:
    """The questions of a file by id; InputError where it is malformed or has none."""
    return read_by_id(path, Asked)


def read_dicts(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...], int] | None:
    """Answers by class id, words behind the special ones, and question length of dicts.json, where there is one."""
    path = _found(folder, DICTS)
    return None if path is None else parse_dicts(path)


def parse_dicts(path: Path) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    """The same of the file itself, a list of four (answers, their reverse, words, question length); else InputError."""
    answers, _, words, length = read_json(path, tuple[dict[str, int], Any, dict[str, int], Length])
    return names_of(answers, path), own_words(words, path), length


def own_words(ids: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """The words by id, without the special ones; InputError where openvqa's list does not begin with these."""
    words = names_of(ids, path)
    if words[: len(SPECIAL)] != SPECIAL:
        raise InputError(f"{path}: the words must begin with {', '.join(SPECIAL)}, as openvqa's do")
    return words[len(SPECIAL) :]


def _found(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / inner / name for inner in SUBFOLDERS) if path.exists()), None)
