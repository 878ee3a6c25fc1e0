"""A front as people read it: table, CSV, picture, interactive page."""

from __future__ import annotations

from pathlib import Path

from bstsearch.front_file import NAME, FrontFile, write_front
from bstsearch.report.csv_file import write_csv
from bstsearch.report.page import write_page

CSV, PICTURE, PAGE = "front.csv", "front.png", "front.html"


def write_reports(file: FrontFile, folder: Path, *, has_new_scores: bool) -> None:
    """Writes front.csv, front.html, front.png and, last, front.json into `folder`.

    The picture shows every score whatever the budget, so it is drawn again only where there are new ones.
    """
    if has_new_scores or not (folder / PICTURE).exists():
        from bstsearch.report.picture import draw_picture  # here, since matplotlib takes long to import

        draw_picture(file, folder / PICTURE)
    write_csv(file, folder / CSV)
    write_page(file, folder / PAGE)
    write_front(file, folder / NAME)
