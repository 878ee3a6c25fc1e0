"""Whatever is wrong with a file, its reader reads it or refuses it in one line that begins with the file.

Over 1,000 files with one damage each, the same every time, a third of them in the fast suite;
`python tests/mutations/try_mutations.py 20` tries others, sixty times as many.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from try_mutations import ROOMS, outcomes
from ways_in import WAYS_IN

HERE = Path(__file__).parent
# Of the mutations of a file, every how many-th is tried: all take minutes.
STEPS = [9, pytest.param(3, marks=pytest.mark.slow)]
# Files at step 3, 1,250 together.
LEAST = {"stores": 250, "questions": 350, "records": 110, "searching": 380, "published": 160, "stock": 60}
PACKAGE = HERE.parents[1] / "bstsearch"

# What reads no files of a user's.
EXEMPT = {
    "exporting/bundle.py": "only asks which of its own files are in a folder that it replaces",
    "exporting/page.py": "reads a file of a bundle whose digests were checked, and asks which files are its own",
    "exporting/preprocessing.py": "copies scripts of the package",
    "model/cost_table.py": "reads a table of the package",
    "report/page.py": "reads parts of the page in the package",
    "report/picture_file.py": "only looks whether matplotlib's settings are a file",
    "serving/server.py": "only says that a folder is not there",
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("room", ROOMS)
def test_a_damaged_file_is_read_or_refused_in_one_line(room: str, step: int) -> None:
    found = outcomes(room, step=step)
    faults = [f"{one.name}\n    {one.fault}" for one in found if one.fault is not None]
    assert len(found) > LEAST[room] * 3 // step
    assert not faults, f"{len(faults)} of {len(found)} files:\n" + "\n".join(faults)


def test_every_way_in_is_tried(tmp_path: Path) -> None:
    """No file of the package reads others without a reader here that goes through it."""
    command = [sys.executable, str(HERE / "ways_in.py"), str(tmp_path)]
    tried = set(json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout))
    assert set(_reading()) - tried == EXEMPT.keys()


def _reading() -> Iterator[str]:
    """The files of the package that read others by way of bstsearch.reading."""
    for path in PACKAGE.rglob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        imports = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module == "bstsearch.reading"]
        if WAYS_IN & {alias.name for node in imports for alias in node.names}:
            yield str(path.relative_to(PACKAGE))
