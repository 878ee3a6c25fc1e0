"""Every verb in surroundings that do all they can: the same exit code and the same standard output as in quiet ones."""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

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
