"""Labelled examples, texts or pictures, in whatever way people keep them on disk (no torch).

A folder may be a `datasets` directory as `save_to_disk` writes it, or hold tables (CSV, JSON Lines, Parquet), or
pictures in a folder for each class. Nothing that lies there is run.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bstsearch.errors import InputError
from bstsearch.reading import SHOWN, cut, plain, shown

TEXT, PICTURE, LABEL = ("text", "sentence"), ("image", "img"), ("label", "labels")  # the names that columns have
# What files, folders and splits are called, by the part that they are; the same words as `datasets` knows.
PARTS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
UNKNOWN = -1  # where `datasets` has a number for each class, a label that is kept back

Label = int | str | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Labelled:
    """The examples of one part: texts, or pictures as files or as the bytes of one.

    Labels are numbers or names of classes, None where they are not known; `names` are those of the numbers, where the
    data say them. `where` is what errors begin with, `rows` what they call each example by.
    """

    where: Path
    examples: Sequence[Any]
    labels: Sequence[Label]
    rows: Sequence[str]
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)


def part_of(name: str) -> str | None:
    """The part that a file, folder or split of that name is; None for any other.

    >>> part_of("val"), part_of("train-00000-of-00002"), part_of("trainer")
    ('validation', 'train', None)
    """
    word = re.sub(r"-\d+-of-\d+$", "", name.lower())
    return next((part for part, words in PARTS.items() if word in words), None)


def by_part(places: Iterable[Path]) -> dict[str, list[Path]]:
    """Those of the files or folders that are named after a part, under its name."""
    found: dict[str, list[Path]] = {}
    for place in sorted(places):
        if part := part_of(place.name.partition(".")[0]):
            found.setdefault(part, []).append(place)
    return found


def listed(names: Iterable[str]) -> str:
    """Names from data as an error shows them: on one line, of a length that somebody would read."""
    return cut(plain(", ".join(map(str, names))), 2 * SHOWN)


def get_column(columns: Iterable[str], wanted: Sequence[str], where: Path) -> str:
    """The first of the wanted columns that there is; InputError lists those that there are."""
    columns = list(columns)
    found = next((name for name in wanted if name in columns), None)
    if found is None:
        raise InputError(
            f"{where} has the columns {listed(columns) or 'none'}; name one of them {' or '.join(map(repr, wanted))}"
        )
    return found


def labelled(
    columns: Mapping[str, Sequence[Any]],
    wanted: Sequence[str],
    where: Path,
    *,
    first_row: int = 1,
    names: tuple[str, ...] = (),
) -> Labelled:
    """The examples and labels of a table; InputError names the row where one is not right.

    A table without a column of labels has none. Numbers that are written as text are numbers where all labels are such.
    """
    column = get_column(columns, wanted, where)
    rows = [f"row {row}" for row in range(first_row, first_row + len(columns[column]))]
    of_labels = next((name for name in LABEL if name in columns), None)
    raw = [None] * len(rows) if of_labels is None else list(columns[of_labels])
    labels = [_label(value, f"{where}, {row}") for value, row in zip(raw, rows, strict=True)]
    labels = _numbers(labels) or [label if label is None else str(label) for label in labels]
    return Labelled(where=where, examples=columns[column], labels=labels, rows=rows, names=names)


def _numbers(labels: Sequence[Label]) -> list[Label] | None:
    """The labels as numbers, those that are kept back as None; None where one is a name."""
    if any(isinstance(label, str) and not re.fullmatch(r"-?\d{1,18}", label) for label in labels):
        return None
    numbers = (None if label is None else int(label) for label in labels)
    return [None if number == UNKNOWN else number for number in numbers]


def check_texts(found: Labelled) -> None:
    """Passes where every example is a text, and none is empty; else InputError names the first."""
    for text, row in zip(found.examples, found.rows, strict=True):
        if not isinstance(text, str):
            raise InputError(f"{found.where}, {row}: expected a text, got {shown(text)}")
        if not text.strip():
            raise InputError(f"{found.where}, {row}: the text is empty; remove the row")


def _label(value: object, where: str) -> Label:
    """A label as data hold it: a whole number, or a name; None for nothing at all."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise InputError(f"{where}: the label {shown(value)} is no class; expected a whole number or a name")
