"""front.csv: one line per row of the front, every number of front.json in it; fronts.csv, for several fronts."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bstsearch.searching.front_file import FrontFile
from bstsearch.writing import writing

Row = dict[str, Any]


def write_csv(file: FrontFile, path: Path) -> None:
    """Replaces the CSV file at `path`; the columns are `Candidate.row`'s, and two that the front has of it.

    `is_apart` tells whether the row's score is significantly apart from the one of the row before.
    """
    _write(_rows(file), path)


def write_fronts_csv(files: Mapping[str, FrontFile], path: Path) -> None:
    """The same for several fronts one after the other, with the front's name, supernet and device as first columns."""
    heads = {
        name: {"front": name, "supernet": file.origin.supernet["path"], "device": file.origin.device["name"]}
        for name, file in files.items()
    }
    _write([{**heads[name], **row} for name, file in files.items() for row in _rows(file)], path)


def _rows(file: FrontFile) -> list[Row]:
    return [
        {"row": number, **one.row(), "is_recommended": one == file.recommended, "is_apart": is_apart}
        for number, (one, is_apart) in enumerate(zip(file.front, file.apart, strict=True), start=1)
    ]


def _write(rows: Sequence[Row], path: Path) -> None:
    with writing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)
