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
from bstsearch.searching.front_folder import CSV, PAGE, PICTURE
from bstsearch.writing import write_json, writing_together

TOGETHER = ("fronts.json", "fronts.csv", "fronts.html")  # beside one device's own front


def write_reports(file: FrontFile, new: Path, out: Path) -> None:
    """Writes front.json, front.csv and front.html into `new`, to become those of `out`; another front's picture goes.

    What of them fails leaves them all, the picture included, as they are.
    """
    write_csv(file, new / CSV)
    write_page({out / NAME: file}, new / PAGE)
    write_front(file, new / NAME)
    remove_other(file, out / PICTURE)


def draw_report(file: FrontFile, folder: Path) -> str | None:
    """Draws front.png in `folder` where there is none; returns why that could not be done, or None.

    It is a step of its own, since importing the plotting library takes longer than all else: a command shows its
    answer first.
    """
    return write_picture(file, folder / PICTURE)


def write_together(files: Mapping[Path, FrontFile], folder: Path) -> None:
    """Writes fronts.json, fronts.csv and fronts.html of several devices' front files (by path) into `folder`."""
    json_name, csv_name, page_name = TOGETHER
    with writing_together(folder, last=json_name) as new:
        write_devices_csv(list(files.values()), new / csv_name)
        write_page(files, new / page_name)
        write_json(new / json_name, together(list(files.values())))


def together(files: Sequence[FrontFile]) -> dict[str, Any]:
    """The fronts of several devices as plain data: each by its device's name, and the ids that are on all of them."""
    return {
        "devices": {file.origin.device["name"]: file.to_json() for file in files},
        "on_all_fronts": list(on_all_fronts(files)),
    }
