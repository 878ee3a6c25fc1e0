from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bstsearch.cli.options import split_devices
from bstsearch.errors import UsageError


@pytest.mark.parametrize(
    ("command", "typed", "names"),
    [
        ("profile", "", ["board", "phone-a", "phone-b"]),
        ("profile", "ph", ["phone-a", "phone-b"]),
        ("pareto", "board,ph", ["board,phone-a", "board,phone-b"]),
        ("pareto", "phone-a,bo", ["phone-a,board"]),
    ],
)
@pytest.mark.parametrize("option", [True, False])
def test_device_completes_to_the_stored_profiles(
    command: str, typed: str, names: list[str], option: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "profiles"
    folder.mkdir()
    for name in ("phone-b", "phone-a", "board"):
        (folder / f"{name}.json").write_text("{}")
    line = f"bstsearch {command} {'--profiles ' + str(folder) if option else ''} --device {typed}"
    environment = {
        **os.environ,
        "_BSTSEARCH_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - (1 if typed else 0)),
        "BSTSEARCH_PROFILES": "" if option else str(folder),
    }
    program = [sys.executable, "-m", "bstsearch"]
    done = subprocess.run(program, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    shipped = {path.stem for path in (Path(__file__).parents[2] / "profiles").glob("*.json")}
    assert [name for name in done.stdout.split() if name not in shipped] == names, done.stderr


def test_device_completes_to_those_of_the_remembered_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "phone-a.json").write_text("{}")
    (tmp_path / ".bstsearch.json").write_text('{"format": 1, "profiles": "mine"}')
    assert completed("bstsearch pareto --device phone", tmp_path) == ["phone-a"]
    (tmp_path / ".bstsearch.json").write_text("{")
    assert completed("bstsearch pareto --device phone", tmp_path) == []


def completed(line: str, folder: Path) -> list[str]:
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    environment = {**os.environ, "_BSTSEARCH_COMPLETE": "complete_bash", "BSTSEARCH_PROFILES": "", **words}
    program = [sys.executable, "-m", "bstsearch"]
    done = subprocess.run(program, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("local", ["local"]),
        ("pixel7,raspberrypi4", ["pixel7", "raspberrypi4"]),
        (" a , b ", ["a", "b"]),
        ("b,a,b", ["b", "a"]),
    ],
)
def test_devices_are_listed_with_commas(text: str, names: list[str]) -> None:
    assert split_devices(text) == names


@pytest.mark.parametrize("text", ["", ",", "a,", ",a", "a,,b", "a, ,b"])
def test_an_empty_name_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match=f"--device '{text}' has an empty name; write it like pixel7,raspberrypi4"):
        split_devices(text)
