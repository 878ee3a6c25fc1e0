"""Every verb in surroundings that do all they can: the same exit code and the same standard output as in quiet ones."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import own_data
import pytest
from PIL import Image

from bstsearch.profiles.profile_file import save_profile

# A light form of each verb, and its exit code: what is stored is shown, answered or refused.
LIGHT = {
    "devices": 0,
    "devices show pixel7": 0,
    "devices validate profiles/local.json --json": 0,
    "space --json": 0,
    "space --set x=1": 2,
    "profile --device pixel7": 0,
    "profile --device nobody": 4,
    "pareto --supernet net --device local": 0,
    "export --pick 99": 4,
    "ask 'is there a circle?' --image picture.png --model exported --json": 0,
    "import --family mcan --checkpoint none.pt --out imported": 4,
    "train --preset nonsense --out trained": 4,
    "eval --model net --all --results answers.json": 2,
    "--version": 0,
    "pareto --help": 0,
    "devices --nonsense": 2,
}

# The whole way with a data set of one's own; True for what is done in quiet surroundings, too, and prints no times.
DATA = "--data pets.py:Pets --data-dir pets"
SIZES = {"hidden": 16, "head_dim": 4, "word_dim": 4, "lstm_hidden": 8, "flat_mlp": 8, "flat_out": 16, "image_side": 16}
SIZES |= {
    f"{stack}_{part}": [size] * 4 for stack in ("encoder", "decoder") for part, size in (("heads", 4), ("ffn", 16))
}
SETTINGS = " ".join(f"--set '{name}={json.dumps(value)}'" for name, value in SIZES.items())
SHORT = "--set 'stem_channels=[4, 4]' --teacher-epochs 1 --epochs 1 --batch-size 8 --threads 1 --device cpu"
WHOLE_WAY = {
    f"train {DATA} --preset mcan-easy-vqa {SETTINGS} {SHORT} --out net": True,
    "profile --supernet net --measure --profiles measured --threads 1": False,
    f"pareto {DATA} --supernet net --device local --profiles profiles": True,
    "export --data pets.py:Pets --pick 1 --out small --precision int8": False,
    f"eval --model small {DATA} --split test --json": False,
    f"eval --model net {DATA} --submodel w1of2-d1 --results answers.json": True,
    "ask 'is it red?' --image pets/images/test-0.png --model net": False,
}

NOWHERE = "/dev/null/nowhere"  # below a file: root cannot make it, either
HOSTILE = {
    "HOME": "/dev/null",
    "XDG_CACHE_HOME": "relative/../..",
    "TMPDIR": NOWHERE,
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONIOENCODING": "ascii",
    "PYTHONWARNINGS": "error",
    "PYTHONHASHSEED": "7",
    "PYTHONSTARTUP": NOWHERE,
    "NO_COLOR": "1",
    "TERM": "dumb",
    "COLUMNS": "wide",
    "LINES": "-1",
    "OMP_NUM_THREADS": "rubbish",
    "MKL_NUM_THREADS": "-1",
    "RANK": "x",  # left by another program: without WORLD_SIZE nobody else is there
    "LOCAL_RANK": "7",
    "TORCH_LOGS": "rubbish",
    "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1",
    "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1",
    "MPLBACKEND": "module://matplotlib_inline.no_such_backend",
    "MPLCONFIGDIR": NOWHERE,
    "MATPLOTLIBRC": NOWHERE,
}
MATPLOTLIBRC = "text.usetex: True\nsavefig.bbox: tight\nfigure.facecolor: black\nfont.size: 40\naxes.grid: True\n"
LIMITS = "umask 077; ulimit -n 64; exec {} <&-"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ended:
    """What a command printed, without what differs from run to run, and how it ended."""

    code: int
    stdout: str
    stderr: str = dataclasses.field(compare=False)


def quiet() -> dict[str, str]:
    """A small environment without surprises."""
    return {"PATH": os.environ["PATH"], "HOME": str(Path.home()), "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1"}


def run(line: str, folder: Path, environment: dict[str, str], shell: str = "exec {}") -> Ended:
    """Runs `bstsearch LINE` in `folder`; `shell` tells how, with {} for the command."""
    command = shlex.join([sys.executable, "-m", "bstsearch", *shlex.split(line)])
    done = subprocess.run(
        ["bash", "-c", shell.format(command)], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    stdout = re.sub(r'"time_ms": [0-9.e-]+|in [0-9.]+ ms', "TIME", done.stdout)
    return Ended(code=done.returncode, stdout=stdout, stderr=done.stderr)


@pytest.fixture(scope="module")
def prepared(finished_run: Path, exported_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a supernet, a profile of it, its front, an exported model and a picture."""
    folder = tmp_path_factory.mktemp("prepared") / "work"
    shutil.copytree(finished_run.parent, folder)
    shutil.copytree(exported_folder, folder / "exported")
    Image.new("RGB", (64, 64), "red").save(folder / "picture.png")
    (folder / "front" / "front.png").unlink(missing_ok=True)
    return folder


@pytest.fixture(scope="module")
def places(prepared: Path) -> tuple[Path, Path]:
    """Two copies of it: a quiet one, and one with a file of settings that matplotlib looks for where it is run."""
    other = shutil.copytree(prepared, prepared.with_name("hostile"))
    (other / "matplotlibrc").write_text(MATPLOTLIBRC)
    return prepared, other


@pytest.mark.parametrize("line", LIGHT)
def test_surroundings_change_nothing(line: str, places: tuple[Path, Path]) -> None:
    expected, found = run(line, places[0], quiet()), run(line, places[1], {**quiet(), **HOSTILE}, LIMITS)
    assert expected.code == LIGHT[line], expected.stderr
    assert found == expected, found.stderr
    assert "a bug" not in found.stderr
    if line.startswith("pareto --supernet"):
        pictures = [(place / "front" / "front.png").read_bytes() for place in places]
        assert pictures[0] == pictures[1]


@pytest.mark.slow
def test_surroundings_change_nothing_from_training_to_answers(
    tmp_path: Path, make_profile: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet_place, hostile_place = tmp_path / "quiet", tmp_path / "hostile"
    for place in (quiet_place, hostile_place):
        own_data.write_pets(place / "pets")
        (place / "pets.py").write_text(own_data.code_of("Pets"))
    (hostile_place / "matplotlibrc").write_text(MATPLOTLIBRC)
    for line, is_same in WHOLE_WAY.items():
        found = run(line, hostile_place, {**quiet(), **HOSTILE}, LIMITS)
        assert found.code == 0, f"{line}: {found.stderr}"
        assert not is_same or found == run(line, quiet_place, quiet())
        if line.startswith("train"):
            for place in (quiet_place, hostile_place):
                save_profile(make_profile(place / "net"), place / "profiles")
    weights = [(place / "net" / "model.safetensors").read_bytes() for place in (quiet_place, hostile_place)]
    assert weights[0] == weights[1]


# Standard streams that are closed, full, or have no reader: what the shell appends, and the exit codes that may come.
STREAMS = {
    "{} >&-": {0},
    "{} 2>&-": {0},
    "{} <&-": {0},
    "{} <&- >&- 2>&-": {0},
    "{} >/dev/full": {5},
    "{} 2>/dev/full": {0},
    "{} >/dev/full 2>&1": {5},
    "{} </dev/null 1</dev/null": {5},
    "{} 2</dev/null": {0},
    "{} | true; exit ${{PIPESTATUS[0]}}": {0, 141},
    "{} 2>&1 >/dev/null | true; exit ${{PIPESTATUS[0]}}": {0},
}


@pytest.mark.parametrize("shell", STREAMS)
def test_standard_streams_may_be_closed_full_or_without_a_reader(shell: str, tmp_path: Path) -> None:
    for line in ("devices", "devices --json", "pareto --help"):
        ended = run(line, tmp_path, quiet(), shell)
        assert ended.code in STREAMS[shell], ended.stderr
        expected = ["error: Bad file descriptor" if "1<" in shell else "error: No space left on device"]
        assert [text for text in ended.stderr.splitlines() if "error" in text] in ([], expected)
        assert "Traceback" not in ended.stderr + ended.stdout


def test_a_wrong_command_keeps_its_code_where_nothing_can_be_said(tmp_path: Path) -> None:
    for shell in ("{} 2>&-", "{} 2>/dev/full", "{} <&- >&- 2>&-"):
        assert run("devices show nobody --json", tmp_path, quiet(), shell).code == 4
        assert run("devices --nonsense", tmp_path, quiet(), shell).code == 2


def test_no_file_gets_the_number_of_a_closed_stream(prepared: Path, tmp_path: Path) -> None:
    """A front is answered anew, and files are written, while texts go to streams that are closed."""
    place = shutil.copytree(prepared, tmp_path / "work")
    ended = run("pareto --supernet net --device local --budget-ms 60%", place, quiet(), "{} <&- >&- 2>&-")
    assert ended.code == 0
    assert json.loads((place / "front" / "front.json").read_text())["budget"]
    assert json.loads((place / ".bstsearch.json").read_text())["format"] == 1
    assert (place / "front" / "front.png").read_bytes().startswith(b"\x89PNG")
    assert (place / "front" / "front.csv").read_text().startswith("row,id,")
