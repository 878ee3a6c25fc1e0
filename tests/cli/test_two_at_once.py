"""Two real commands on one output at the same time: one does its work, the other is refused in one line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from processes import running

from bstsearch.profiles.profile import DeviceProfile
from bstsearch.profiles.profile_file import save_profile

MakeProfile = Callable[..., DeviceProfile]

# A command on few questions, which waits once it holds its output until it may go on.
COMMAND = """
import sys, time
from pathlib import Path
from bstsearch import holding
from bstsearch.cli import app
from bstsearch.tasks.easy_vqa import EasyVqa

whole, tidy = EasyVqa.split, holding.tidy
EasyVqa.split = lambda self, name, reader: whole(self, name, reader).head(24)

def wait(folder):
    while not Path("go").exists():
        Path("held").touch()
        time.sleep(0.02)
    tidy(folder)

if sys.argv[1] == "first":
    holding.tidy = wait
sys.argv[1:] = sys.argv[2:]
app.main()
"""


def two_at_once(folder: Path, *words: str) -> tuple[tuple[int, str], tuple[int, str]]:
    """Exit code and stderr of the command, and of the same while the first one is at work."""

    def start(which: str) -> AbstractContextManager[subprocess.Popen[str]]:
        environment = {name: value for name, value in os.environ.items() if name != "BSTSEARCH_PROFILES"}
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        return running([sys.executable, "-c", COMMAND, which, *words], cwd=folder, env=environment, **pipes)

    with start("first") as first:
        while not (folder / "held").exists():
            assert first.poll() is None, first.communicate()
        with start("second") as second:
            _, said = second.communicate()
        (folder / "go").touch()
        _, told = first.communicate()
    return (first.returncode, told), (second.returncode, said)


def is_refused(code: int, said: str, out: str) -> bool:
    line = f"error: {out} is being written by another process; wait until it ends, or give another --out"
    return code == 2 and said.splitlines()[-1] == line


def test_two_searches(tiny_easy_folder: Path, make_profile: MakeProfile, tmp_path: Path) -> None:
    save_profile(make_profile(tiny_easy_folder), tmp_path / "profiles")
    words = ("pareto", "--supernet", str(tiny_easy_folder), "--device", "local", "--out", "f", "--budget-ms", "0.4")
    first, second = two_at_once(tmp_path, *words)
    assert first[0] == 0, first[1]
    assert is_refused(*second, "f")
    assert sorted(path.name for path in (tmp_path / "f").iterdir()) == [
        *("front.csv", "front.html", "front.json", "front.png", "study.db"),
    ]
    assert not [path for path in tmp_path.glob(".*") if path.name != ".bstsearch.json"]


@pytest.mark.slow
@pytest.mark.parametrize("is_forced", [False, True])
def test_two_trainings(tiny_easy_folder: Path, tmp_path: Path, is_forced: bool) -> None:
    if is_forced:
        shutil.copytree(tiny_easy_folder, tmp_path / "net")
        (tmp_path / "net/training").mkdir()
    config = json.loads((tiny_easy_folder / "config.json").read_text())["config"]
    sizes = [f"--set={name}={json.dumps(config[name])}" for name in SIZES]
    options = ["--teacher-epochs", "1", "--epochs", "1", "--batch-size", "8", "--threads", "1", "--device", "cpu"]
    force = ["--force"] if is_forced else []
    first, second = two_at_once(tmp_path, "train", "--out", "net", *options, *sizes, *force)
    assert first[0] == 0, first[1]
    assert is_refused(*second, "net")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["go", "held", "net"]


SIZES = (
    *("hidden", "head_dim", "word_dim", "lstm_hidden", "flat_mlp", "flat_out", "stem_channels"),
    *("encoder_heads", "encoder_ffn", "decoder_heads", "decoder_ffn"),
)
