"""Whatever is wrong with a file, its reader reads it or refuses it in one line that begins with the file.

Over 1,000 files with one damage each, the same every time; `python tests/mutations/try_readers.py 20` tries others,
sixty times as many.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from try_readers import ROOMS, outcomes
from ways_in import WAYS_IN

HERE = Path(__file__).parent
STEP = 3  # of the mutations of a file, each third: all take minutes
LEAST = {"stores": 270, "questions": 380, "records": 130, "searching": 420, "published": 180}  # files, 1,380 together
PACKAGE = HERE.parents[1] / "bstsearch"

# What reads no file of a user's: those that come with the package, and those of the system.
EXEMPT = {
    "exporting/preprocessing.py": "copies scripts of the package",
    "model/cost_table.py": "reads a table of the package",
    "report/page.py": "reads parts of the page in the package",
    "searching/pricing.py": "takes the digest of a profile that was read before",
    "exporting/manifest.py": "takes the digest of a front that was read before",
}


@pytest.mark.parametrize("room", ROOMS)
def test_a_damaged_file_is_read_or_refused_in_one_line(room: str) -> None:
    found = outcomes(room, step=STEP)
    faults = [f"{one.name}\n    {one.fault}" for one in found if one.fault is not None]
    assert len(found) > LEAST[room]
    assert not faults, f"{len(faults)} of {len(found)} files:\n" + "\n".join(faults)


def test_every_way_in_is_tried(tmp_path: Path) -> None:
    """No file of the package reads others without a reader here that goes through it."""
    command = [sys.executable, str(HERE / "ways_in.py"), str(tmp_path)]
    tried = set(json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout))
    reading = set(_reading())
    assert reading - tried == EXEMPT.keys()


def _reading() -> Iterator[str]:
    """The files of the package that call bstsearch.reading."""
    for path in PACKAGE.rglob("*.py"):
        names = {
            node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call)
        }
        imported = "bstsearch.reading import" in path.read_text(encoding="utf-8")
        if imported and names & WAYS_IN:
            yield str(path.relative_to(PACKAGE))
