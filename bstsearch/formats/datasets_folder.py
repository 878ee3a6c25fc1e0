"""Directories of Hugging Face's `datasets`, as `save_to_disk` writes them: Arrow tables (no torch).

They hold numbers and text only; the loading scripts that such data sets may come with are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, overload

import msgspec

from bstsearch.errors import InputError
from bstsearch.formats.labelled import LABEL, TEXT, Labelled, get_column, labelled, listed, part_of
from bstsearch.reading import FileName, check_file, needing, parsing, read_json

OF_PARTS, OF_TABLE = "dataset_dict.json", "state.json"


class _Parts(msgspec.Struct):
    """What is in a dataset_dict.json."""

    splits: list[FileName]


class _File(msgspec.Struct):
    """A file of a table."""

    filename: Annotated[FileName, msgspec.Meta(pattern=r"^[^/\\\\]+$")]


class _Table(msgspec.Struct):
    """What is read of a state.json."""

    data_files: Annotated[list[_File], msgspec.Meta(min_length=1)] = msgspec.field(name="_data_files")


def matches(path: Path) -> bool:
    """Whether `path` is such a directory, of one table or of several."""
    return (path / OF_PARTS).exists() or (path / OF_TABLE).exists()


def read_parts(folder: Path, wanted: Sequence[str]) -> dict[str, Labelled]:
    """The parts there are, with examples from the first of the `wanted` columns; one table by itself is "train".

    InputError where one cannot be read, or lacks a column, or two are the same part.
    """
    if not (folder / OF_PARTS).exists():
        return {"train": read_table(_opened(folder), wanted, folder)}
    names = read_json(folder / OF_PARTS, _Parts).splits
    parts = {name: part for name in names if (part := part_of(name))}
    if not parts:
        raise InputError(f"{folder} holds {listed(names) or 'nothing'}; name one of these splits 'train'")
    if len(set(parts.values())) < len(parts):
        raise InputError(f"{folder} holds {listed(parts)}, some of which are the same part; remove one of them")
    return {part: read_table(_opened(folder / name), wanted, folder / name) for name, part in parts.items()}


def read_table(table: Any, wanted: Sequence[str], where: Path) -> Labelled:
    """The examples of a `datasets.Dataset`; pictures stay where they lie until they are asked for."""
    from datasets import ClassLabel, Image

    column = get_column(table.column_names, wanted, where)
    of_labels = next((name for name in LABEL if name in table.column_names), None)
    kind = table.features.get(of_labels)
    names = tuple(map(str, kind.names)) if isinstance(kind, ClassLabel) else ()
    if isinstance(table.features[column], Image):
        table = table.cast_column(column, Image(decode=False))
    columns: dict[str, Any] = {column: list(table[column]) if column in TEXT else _Pictures(table, column, where)}
    if of_labels is not None:
        columns[of_labels] = table[of_labels]
    return labelled(columns, wanted, where, names=names)


class _Pictures(Sequence[Any]):
    """The pictures of a table, each as its file or its bytes."""

    def __init__(self, table: Any, column: str, where: Path) -> None:
        self._table, self._column, self._where = table.select_columns([column]), column, where

    def __len__(self) -> int:
        return len(self._table)

    @overload
    def __getitem__(self, row: int) -> Path | bytes: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Path | bytes]: ...
    def __getitem__(self, row: int | slice) -> Any:
        if isinstance(row, slice):
            return [self[one] for one in range(*row.indices(len(self)))]
        found = self._table[row][self._column]
        if isinstance(found, str):
            return Path(found)
        if not isinstance(found, dict) or not (found.get("bytes") or found.get("path")):
            raise InputError(f"{self._where}, row {row + 1}: no picture in {self._column!r}; remove the row")
        return found.get("bytes") or Path(found["path"])

    def __iter__(self) -> Iterator[Path | bytes]:
        return (self[row] for row in range(len(self)))


def _opened(folder: Path) -> Any:
    """The table in `folder`; InputError where it is damaged, or of a version that is not known here."""
    with needing("a data set of Hugging Face's datasets", "datasets"):
        import datasets
    files = [folder / one.filename for one in read_json(folder / OF_TABLE, _Table).data_files]
    parts = []
    for file in files:
        check_file(file)
        with parsing(file):
            parts.append(checked_table(datasets.Dataset.from_file(str(file))))
    with parsing(folder / OF_TABLE):
        return datasets.concatenate_datasets(parts)


def checked_table(table: Any) -> Any:
    """The same table; an error of Arrow's where places in it lie outside of the file, for which nobody else looks."""
    table.data.validate(full=True)
    return table
