from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from bstsearch.report.csv_file import write_csv, write_fronts_csv
from bstsearch.score import Accuracy
from bstsearch.searching.budget import Budget
from bstsearch.searching.front_file import FrontFile


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
    assert [row["is_apart"] for row in rows] == [str(is_apart) for is_apart in file.apart]


def test_test_scores_are_columns_where_some_row_has_one(make_front: Callable[..., FrontFile], tmp_path: Path) -> None:
    file = make_front()
    last = file.front[-1]
    write_csv(file.tested({last.id: Accuracy(correct=9, total=10)}), tmp_path / "front.csv")
    with (tmp_path / "front.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["test_accuracy"] for row in rows] == [*[""] * (len(rows) - 1), "0.9"]
    assert not any(name in rows[0] for name in ("rights", "partial_accuracy", "beaten_by"))


def test_several_fronts_are_told_apart_by_their_first_columns(
    make_front: Callable[..., FrontFile], tmp_path: Path
) -> None:
    files = [make_front(device="laptop"), make_front(Budget(latency_ms=6.0), scale=10, device="phone")]
    write_fronts_csv({"one": files[0], "two": files[1]}, tmp_path / "fronts.csv")
    with (tmp_path / "fronts.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0])[:3] == ["front", "supernet", "device"]
    for name, file in zip(("one", "two"), files, strict=True):
        write_csv(file, tmp_path / "front.csv")
        with (tmp_path / "front.csv").open(newline="", encoding="utf-8") as stream:
            alone = list(csv.DictReader(stream))
        heads = {"front": name, "supernet": "runs/<net>", "device": file.origin.device["name"]}
        assert [row for row in rows if row["front"] == name] == [{**heads, **row} for row in alone]
