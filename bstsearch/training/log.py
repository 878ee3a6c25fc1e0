"""The log of a stage of training: a line for each step, beside its checkpoint (no torch)."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from bstsearch.errors import InputError
from bstsearch.reading import parsing, read_text, shown

COLUMNS = ("step", "learning_rate", "mean_loss", "smallest", "middle", "largest")


def read_log(path: Path, done: int) -> list[dict[str, Any]]:
    """The rows of the first `done` steps; none where there is no log. InputError where it is damaged.

    A log is nobody's input, so training goes on without one; but not over one that somebody may want to mend.
    """
    if not path.exists():
        return []
    text = read_text(path)
    with parsing(path):
        rows = list(csv.DictReader(text.splitlines(), strict=True))
        for line, row in enumerate(rows, start=2):
            if tuple(row) != COLUMNS or None in row.values() or not str(row["step"]).isdecimal():
                raise InputError(f"line {line} is none of a step ({shown(list(row.values()))}); remove it, or the file")
        found = [row for row in rows if int(row["step"]) <= done]
        if not found or int(found[-1]["step"]) != done:
            raise InputError(f"ends before step {done}, where the checkpoint stands; remove it to go on without")
    return found
