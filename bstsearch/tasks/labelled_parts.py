"""Labelled examples from whatever lies in a folder, with all three parts (no torch)."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bstsearch.errors import InputError, UsageError
from bstsearch.formats import datasets_folder, labelled_tables, picture_folders
from bstsearch.formats.labelled import PARTS, PICTURE, TEXT, Labelled, check_texts
from bstsearch.reading import no_folder

SHARE = 10  # one in so many of the training examples becomes a part that there is not
MOST = 5000  # of them
FEWEST = 2 * SHARE  # examples to take any away from


def read_texts(path: Path | None) -> dict[str, Labelled]:
    """The texts of "train", "validation" and "test" in `path`, all three if there is one to train on."""
    parts = _read(path, TEXT, "text-classification")
    for part in parts.values():
        check_texts(part)
    return complete(parts)


def read_pictures(path: Path | None) -> dict[str, Labelled]:
    """The pictures of "train", "validation" and "test" in `path`, which stay unread; else as `read_texts`."""
    return complete(_read(path, PICTURE, "image-classification"))


def _read(path: Path | None, wanted: Sequence[str], task: str) -> dict[str, Labelled]:
    if path is None:
        raise UsageError(f"{task} is read from your disk; say where with --data-dir DIR")
    if not path.exists():
        raise InputError(f"{no_folder(path)}; give the folder of labelled examples")
    if datasets_folder.matches(path):
        return datasets_folder.read_parts(path, wanted)
    if labelled_tables.matches(path):
        return labelled_tables.read_parts(path, wanted)
    if wanted == PICTURE and picture_folders.matches(path):
        return picture_folders.read_parts(path)
    if script := next(path.glob("*.py"), None):
        raise InputError(f"{script} is code, which is never run; save its data by save_to_disk, and give that folder")
    kinds = "train.csv, train.jsonl, train.parquet or dataset_dict.json"
    more = ", nor a folder for each class" if wanted == PICTURE else ""
    raise InputError(f"{path} holds no {kinds}{more}; see docs/data.md")


def complete(parts: dict[str, Labelled]) -> dict[str, Labelled]:
    """The parts with those that are missing: each is a tenth of the training examples, at most 5,000.

    Their digests choose them, so they are the same ones at every call. Without a training part there are those that
    there are. InputError where there are too few to take any away.
    """
    missing = [part for part in PARTS if part not in parts]
    train = parts.get("train")
    if train is None or not missing:
        return parts
    if len(train) < FEWEST:
        raise InputError(f"{train.where}: {len(train)} examples are too few; give {FEWEST} or more, or all three parts")
    drawn = sorted(range(len(train)), key=lambda row: _digest(train, row))
    count = min(MOST, len(train) // SHARE)
    taken = {part: drawn[place * count : (place + 1) * count] for place, part in enumerate(missing)}
    taken["train"] = drawn[len(missing) * count :]
    return {**parts, **{part: _taken(train, sorted(rows)) for part, rows in taken.items()}}


def _digest(part: Labelled, row: int) -> bytes:
    """Of a text; of a picture, of what it is called."""
    example = part.examples[row] if isinstance(part.examples, list) else None
    return hashlib.sha256((example if isinstance(example, str) else part.rows[row]).encode()).digest()


def _taken(part: Labelled, rows: Sequence[int]) -> Labelled:
    """Those rows of the part."""
    return dataclasses.replace(
        part,
        examples=Chosen(part.examples, rows),
        labels=[part.labels[row] for row in rows],
        rows=[part.rows[row] for row in rows],
    )


class Chosen(Sequence[Any]):
    """Some of a sequence, which are looked up when they are asked for."""

    def __init__(self, whole: Sequence[Any], rows: Sequence[int]) -> None:
        self._whole, self._rows = whole, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self._whole[row] for row in self._rows[place]]
        return self._whole[self._rows[place]]
