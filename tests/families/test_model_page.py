"""docs/model.md, followed word for word: its family is counted, trained a little, and passes the contract."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bstsearch import doors
from bstsearch.errors import InputError
from bstsearch.model.supernet import Supernet

PAGE = (Path(__file__).parents[2] / "docs" / "model.md").read_text(encoding="utf-8")
FILE, CONTRACT = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

Invoke = Callable[..., Any]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's file, as its reader saves it."""
    path = tmp_path / "tiny.py"
    path.write_text(FILE)
    return path


def test_its_family_is_counted(file: Path, invoke: Invoke) -> None:
    done = invoke("space", "--family", "tiny.py:FAMILY", "--preset", "tiny-easy-vqa", "--json")
    assert done.exit_code == 0, done.stderr
    assert len(json.loads(done.stdout)["submodels"]) == 10


def test_what_it_says_of_an_axis_that_is_not_declared_is_said(file: Path) -> None:
    family = doors.get("family", doors.admit("family", f"{file}:FAMILY"))
    (said,) = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    object.__setattr__(family, "axes", ())
    with pytest.raises(InputError) as error:
        Supernet(family, family.presets["tiny-easy-vqa"])
    assert str(error.value) == " ".join(said.split())


@pytest.mark.slow
def test_its_contract_passes(file: Path, tmp_path: Path) -> None:
    (tmp_path / "test_tiny.py").write_text(CONTRACT)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
