"""A front as people read it: table, CSV, picture, interactive page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bstsearch.report.csv_file import write_csv, write_devices_csv
from bstsearch.report.devices_table import on_all_fronts
from bstsearch.report.page import write_page
from bstsearch.report.picture_file import remove_other, write_picture
from bstsearch.searching.front_file import NAME, FrontFile, write_front
from bstsearch.writing import write_json

CSV, PICTURE, PAGE = "front.csv", "front.png", "front.html"
TOGETHER = ("fronts.json", "fronts.csv", "fronts.html")  # beside one device's own front


def write_reports(file: FrontFile, folder: Path) -> None:
    """Writes front.csv, front.html and, last, front.json into `folder`; a picture of another front is removed."""
    remove_other(file, folder / PICTURE)
    write_csv(file, folder / CSV)
    write_page({folder / NAME: file}, folder / PAGE)
    write_front(file, folder / NAME)


def draw_report(file: FrontFile, folder: Path) -> str | None:
    """Draws front.png in `folder` where there is none; returns why that could not be done, or None.

    It is a step of its own, since importing the plotting library takes longer than all else: a command shows its
    answer first.
    """
    return write_picture(file, folder / PICTURE)


def write_together(files: Mapping[Path, FrontFile], folder: Path) -> None:
    """Writes fronts.json, fronts.csv and fronts.html of several devices' front files (by path) into `folder`."""
    json_name, csv_name, page_name = TOGETHER
    write_json(folder / json_name, together(list(files.values())))
    write_devices_csv(list(files.values()), folder / csv_name)
    write_page(files, folder / page_name)


def together(files: Sequence[FrontFile]) -> dict[str, Any]:
    """The fronts of several devices as plain data: each by its device's name, and the ids that are on all of them."""
    return {
        "devices": {file.origin.device["name"]: file.to_json() for file in files},
        "on_all_fronts": list(on_all_fronts(files)),
    }
