"""A front as people read it: table, CSV, picture, interactive page."""

from __future__ import annotations

from pathlib import Path

from bstsearch.front_file import NAME, FrontFile, write_front
from bstsearch.report.csv_file import write_csv
from bstsearch.report.page import write_page
from bstsearch.report.picture_file import remove_other, write_picture

CSV, PICTURE, PAGE = "front.csv", "front.png", "front.html"


def write_reports(file: FrontFile, folder: Path) -> None:
    """Writes front.csv, front.html and, last, front.json into `folder`; a picture of another front is removed."""
    remove_other(file, folder / PICTURE)
    write_csv(file, folder / CSV)
    write_page(file, folder / PAGE)
    write_front(file, folder / NAME)


def draw_report(file: FrontFile, folder: Path) -> str | None:
    """Draws front.png in `folder` where there is none; returns why that could not be done, or None.

    It is a step of its own, since importing the plotting library takes longer than all else: a command shows its
    answer first.
    """
    return write_picture(file, folder / PICTURE)
