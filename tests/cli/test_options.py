from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(("typed", "names"), [("", ["board", "phone-a", "phone-b"]), ("ph", ["phone-a", "phone-b"])])
@pytest.mark.parametrize("option", [True, False])
def test_device_completes_to_the_stored_profiles(typed: str, names: list[str], option: bool, tmp_path: Path) -> None:
    folder = tmp_path / "profiles"
    folder.mkdir()
    for name in ("phone-b", "phone-a", "board"):
        (folder / f"{name}.json").write_text("{}")
    line = f"bstsearch profile {'--profiles ' + str(folder) if option else ''} --device {typed}"
    environment = {
        **os.environ,
        "_BSTSEARCH_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - (1 if typed else 0)),
        "BSTSEARCH_PROFILES": "" if option else str(folder),
    }
    command = [sys.executable, "-m", "bstsearch"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    shipped = {path.stem for path in (Path(__file__).parents[2] / "profiles").glob("*.json")}
    assert [name for name in done.stdout.split() if name not in shipped] == names, done.stderr
