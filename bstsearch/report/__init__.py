"""A front as people read it: table, CSV, picture, interactive page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bstsearch.files import write_json
from bstsearch.front_file import NAME, FrontFile, write_front
from bstsearch.report.csv_file import write_csv, write_devices_csv
from bstsearch.report.devices_table import on_all_fronts
from bstsearch.report.page import write_page

CSV, PICTURE, PAGE = "front.csv", "front.png", "front.html"
TOGETHER = ("fronts.json", "fronts.csv", PAGE)


def write_reports(file: FrontFile, folder: Path, *, has_new_scores: bool) -> None:
    """Writes front.csv, front.html, front.png and, last, front.json into `folder`.

    The picture shows every score whatever the budget, so it is drawn again only where there are new ones.
    """
    if has_new_scores or not (folder / PICTURE).exists():
        from bstsearch.report.picture import draw_picture  # here, since matplotlib takes long to import

        draw_picture(file, folder / PICTURE)
    write_csv(file, folder / CSV)
    write_page({folder / NAME: file}, folder / PAGE)
    write_front(file, folder / NAME)


def write_together(files: Mapping[Path, FrontFile], folder: Path) -> None:
    """Writes fronts.json, fronts.csv and front.html of several devices' front files (by path) into `folder`."""
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
