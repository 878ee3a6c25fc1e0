"""front.csv: one line per row of the front, every number of front.json in it."""

from __future__ import annotations

import csv
from pathlib import Path

from bstsearch.files import writing
from bstsearch.front_file import FrontFile


def write_csv(file: FrontFile, path: Path) -> None:
    """Replaces the CSV file at `path`; the columns are `Candidate.to_json`'s, and is_recommended."""
    rows = [
        {"row": number, **candidate.to_json(), "is_recommended": candidate == file.recommended}
        for number, candidate in enumerate(file.front, start=1)
    ]
    with writing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
