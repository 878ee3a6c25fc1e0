"""front.csv: one line per row of the front, every number of front.json in it; fronts.csv, for several devices."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bstsearch.searching.front_file import FrontFile
from bstsearch.writing import writing

Row = dict[str, Any]


def write_csv(file: FrontFile, path: Path) -> None:
    """Replaces the CSV file at `path`; the columns are `Candidate.row`'s, and is_recommended."""
    _write(_rows(file), path)


def write_devices_csv(files: Sequence[FrontFile], path: Path) -> None:
    """The same for the fronts of several devices one after the other, with the device's name as the first column."""
    _write([{"device": file.origin.device["name"], **row} for file in files for row in _rows(file)], path)


def _rows(file: FrontFile) -> list[Row]:
    return [
        {"row": number, **candidate.row(), "is_recommended": candidate == file.recommended}
        for number, candidate in enumerate(file.front, start=1)
    ]


def _write(rows: Sequence[Row], path: Path) -> None:
    with writing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)
