from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from bstsearch.front_file import FrontFile
from bstsearch.report.csv_file import write_csv


def test_one_line_per_row_with_every_number(make_front: Callable[..., FrontFile], tmp_path: Path) -> None:
    file = make_front()
    write_csv(file, tmp_path / "front.csv")
    with (tmp_path / "front.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["row"] for row in rows] == [str(number + 1) for number in range(len(file.front))]
    for row, candidate in zip(rows, file.front, strict=True):
        assert {key: row[key] for key in candidate.to_json()} == {
            key: str(value) for key, value in candidate.to_json().items()
        }
    assert [row["id"] for row in rows if row["is_recommended"] == "True"] == [file.recommended.id]
