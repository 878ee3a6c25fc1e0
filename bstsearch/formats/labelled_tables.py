"""Tables of labelled examples: CSV, JSON Lines and Parquet, a file for each part or several (no torch)."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bstsearch.errors import InputError
from bstsearch.formats import datasets_folder
from bstsearch.formats.labelled import PICTURE, Labelled, by_part, labelled
from bstsearch.reading import DATA, check_file, decoded, needing, parsing, read_text

CSV, LINES, PARQUET = ".csv", ".jsonl", ".parquet"
ENDINGS = (CSV, LINES, PARQUET)
PLACES = ("", "data")  # below a data set's folder, as on Hugging Face's hub


def matches(path: Path) -> bool:
    """Whether `path` is such a table, or a folder with some that are named after parts."""
    return path.suffix.lower() in ENDINGS or bool(_files(path))


def read_parts(path: Path, wanted: Sequence[str]) -> dict[str, Labelled]:
    """The parts there are, with examples from the first of the `wanted` columns; one file by itself is "train".

    InputError where a table cannot be read, or lacks a column.
    """
    parts = _files(path) or {"train": [path]}
    return {part: _read(files, wanted) for part, files in parts.items()}


def _files(folder: Path) -> dict[str, list[Path]]:
    """Part -> its files, all of one kind: Parquet where there are several."""
    for ending in reversed(ENDINGS):
        for place in PLACES:
            if found := by_part(file for file in (folder / place).glob(f"*{ending}") if file.is_file()):
                return found
    return {}


def _read(files: Sequence[Path], wanted: Sequence[str]) -> Labelled:
    if files[0].suffix.lower() == PARQUET:
        return _parquet(files, wanted)
    if len(files) > 1:
        raise InputError(f"{files[1]}: the part that {files[0].name} is already; remove one of them")
    read = _csv if files[0].suffix.lower() == CSV else _lines
    columns = read(files[0])
    for name in set(wanted) & set(PICTURE) & columns.keys():
        columns = {**columns, name: [files[0].parent / str(value) for value in columns[name]]}
    return labelled(columns, wanted, files[0], first_row=2 if read is _csv else 1)


def _csv(file: Path) -> Mapping[str, Sequence[Any]]:
    import pandas as pd  # here, since it takes a third of a second

    text = read_text(file, DATA)
    with parsing(file):
        table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False, index_col=False)
    return {str(name).strip(): table[name].tolist() for name in table.columns}


def _lines(file: Path) -> Mapping[str, Sequence[Any]]:
    """Every key of every line; what a line lacks is None."""
    lines = enumerate(read_text(file, DATA).split("\n"), start=1)
    rows = [decoded(line, dict[str, Any], f"{file}, line {number}") for number, line in lines if line.strip()]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _parquet(files: Sequence[Path], wanted: Sequence[str]) -> Labelled:
    with needing("a Parquet file", "datasets"):
        import datasets
        import pyarrow.parquet
    tables = []
    for file in files:
        check_file(file)
        with parsing(file):
            tables.append(datasets_folder.checked_table(datasets.Dataset(pyarrow.parquet.read_table(file))))
    with parsing(files[0]):
        return datasets_folder.read_table(datasets.concatenate_datasets(tables), wanted, files[0])
