"""A front as people read it: table, CSV, picture, interactive page."""

from __future__ import annotations

from pathlib import Path

from bstsearch.report.csv_file import write_csv, write_fronts_csv
from bstsearch.report.page import write_page
from bstsearch.report.picture_file import remove_other, write_fronts_picture, write_picture
from bstsearch.searching.comparison import Comparison
from bstsearch.searching.front_file import NAME, FrontFile, write_front
from bstsearch.searching.front_folder import CSV, PAGE, PICTURE
from bstsearch.writing import write_json, writing_together

TOGETHER = ("fronts.json", "fronts.csv", "fronts.html", "fronts.png")  # of several fronts


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


def write_together(comparison: Comparison, folder: Path) -> None:
    """Writes fronts.json, fronts.csv and fronts.html of several fronts into `folder`; an older picture goes."""
    json_name, csv_name, page_name, picture_name = TOGETHER
    with writing_together(folder, last=json_name) as new:
        write_fronts_csv(comparison.files, new / csv_name)
        write_page(comparison.by_path, new / page_name)
        write_json(new / json_name, comparison.to_json())
        (folder / picture_name).unlink(missing_ok=True)


def draw_together(comparison: Comparison, folder: Path) -> str | None:
    """Draws fronts.png in `folder`; returns why that could not be done, or None."""
    return write_fronts_picture(comparison, folder / TOGETHER[-1])
