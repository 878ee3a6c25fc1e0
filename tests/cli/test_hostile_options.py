"""Every option and argument of every verb with values that nobody means: refused in one line, or sound; never a bug."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import typer.main
from checkpoints import weights
from PIL import Image

from bstsearch.cli.app import DEVICES, VERBS, app
from bstsearch.errors import UsageError
from bstsearch.measuring.run import home_folder
from bstsearch.profiles.profile_file import save_profile

# Light forms of each verb with their exit codes: what is heavy in them stands still in these tests.
LINES = {
    "space": 0,
    "space --preset mcan-vqa-v2 --device pixel7 --budget-ms 60": 0,
    "import --family mcan --checkpoint epoch15.pkl --heads 4 --out imported --force": 0,
    "inspect stock": 4,
    "train --out trained --force --threads 1 --device cpu": 0,
    "profile --supernet net": 0,
    "profile --supernet net --device board --via ssh --host pi@board": 0,
    "profile --supernet net --device phone --via browser": 0,
    "profile --supernet net --device phone --via adb": 0,
    "pareto --supernet net --device local": 0,
    "worker --supernet net --storage front/study.db": 0,
    "export --pick 1 --front front/front.json": 2,
    "eval --model easy": 0,
    "ask QUESTION --image picture.png --model exported": 0,
    "ask QUESTION --image picture.png --model easy": 0,
    "serve nowhere": 4,
    "devices": 0,
    "devices show pixel7": 0,
    "devices validate profiles/local.json": 0,
}
WORDS = {"QUESTION": "is there a circle?"}
VALUES = (
    *(
        "",
        " ",
        "x" * 100_000,
        "-1",
        "0",
        "1",
        "nan",
        "inf",
        "-inf",
        "1e400",
        "9" * 400,
        "0x10",
        "1_000",
        "½",
        "%",
        "50%%",
    ),
    *(
        "😀",
        "\u202egnp.exe",
        "a\u0301",
        "\udcff",
        "a\x1b[2Jb",
        "a\r\nb",
        "%s{}{0}%n",
        "$HOME`id`;",
        "--",
        "-",
        "-x",
        "--out",
    ),
    *("../../x", ".", "..", "/dev/null", "/dev/full", "/dev/null/x", "pipe", "folder", "missing/a/b", "a?b#c%20d.json"),
    *("=", "a=", "=b", "a=b=c", ",", "a,,b", "pipe.py:X", "missing.py:X", "folder.py:X", ".py:", "picture.png"),
)
CODES = {0, 2, 3, 4, 5}
LONGEST_S, LONGEST_LINE = 20, 1_100
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def place(
    finished_run: Path,
    exported_folder: Path,
    yes_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A folder, below two others, with all that the lines name, and a pipe that nobody writes to."""
    folder = tmp_path / "a" / "b" / "c"
    shutil.copytree(finished_run.parent, folder)
    shutil.copytree(exported_folder, folder / "exported")
    shutil.copytree(yes_folder, folder / "easy")
    Image.new("RGB", (64, 64), "red").save(folder / "picture.png")
    torch.save({"state_dict": weights("mcan")}, folder / "epoch15.pkl")
    (folder / "front" / "front.png").write_bytes(b"")
    for name in ("folder", "folder.py"):
        (folder / name).mkdir()
    for name in ("pipe", "pipe.py"):
        os.mkfifo(folder / name)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", str(folder / "folder"))  # no ssh, no adb, no git
    monkeypatch.delenv("BSTSEARCH_PROFILES", raising=False)
    return folder


@pytest.fixture(autouse=True)
def light(scorer: Any, few_questions: None, make_profile: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training, measuring, scoring and exporting take no time; what is asked before them is asked."""

    def measure(folder: Any, device: str, profiles: Path | None, *_: object, **__: object) -> Path:
        return save_profile(make_profile(folder.path, device), home_folder(profiles))

    def export(*_: object, **__: object) -> None:
        raise UsageError("here the export would begin")

    monkeypatch.setattr("bstsearch.training.run._run", lambda *_: {})
    monkeypatch.setattr("bstsearch.measuring.run.measure_device", measure)
    monkeypatch.setattr("bstsearch.exporting.write.write_export", export)
    monkeypatch.setattr("bstsearch.report.draw_report", lambda *_: None)


@contextlib.contextmanager
def alarm() -> Iterator[None]:
    """Ends what hangs."""

    def ring(*_: object) -> None:
        raise TimeoutError(f"it hung for {LONGEST_S} s")

    before = signal.signal(signal.SIGALRM, ring)
    left_s, _ = signal.setitimer(signal.ITIMER_REAL, LONGEST_S)  # pytest's, for the whole test
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, left_s)


@pytest.fixture(scope="module")
def run() -> Callable[[list[str]], tuple[object, str, str]]:
    """Runs the words as `bstsearch` does; the exit code, standard output and standard error."""
    group = typer.main.get_command(app)

    def run(words: list[str]) -> tuple[object, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), alarm():
            try:
                group.main(words, prog_name="bstsearch")
            except SystemExit as end:
                return end.code, out.getvalue(), err.getvalue()
            except BaseException as error:
                return repr(error)[:300], out.getvalue(), err.getvalue()
        return "no exit", out.getvalue(), err.getvalue()

    return run


def verb_of(line: str) -> list[str]:
    """The words that name the verb: "devices show" of "devices show pixel7"."""
    first, *rest = line.split()
    return [first, rest[0]] if first == "devices" and rest else [first]


def parameters(line: str) -> list[Any]:
    """What the line's verb takes that has a value."""
    command: Any = typer.main.get_command(app)
    for name in verb_of(line):
        command = command.commands[name]
    return [one for one in command.params if not getattr(one, "is_flag", False)]


def spoiled(line: str, share: int) -> Iterator[list[str]]:
    """The line's words with one in `share` values in each place, every value in some place."""
    base, at = words_of(line), len(verb_of(line))
    for number, one in enumerate(parameters(line)):
        for value in VALUES[number % share :: share]:
            is_option = one.param_type_name == "option"
            yield [*base, one.opts[0], value] if is_option else [*base[:at], value, *base[at + 1 :]]


def words_of(line: str) -> list[str]:
    """The line as a shell splits it."""
    return [WORDS.get(word, word) for word in shlex.split(line)]


def fault(code: object, out: str, err: str) -> str | None:
    """What is wrong with how a command ended; None where nothing is."""
    if code not in CODES:
        return f"exit code {code}: {err[-300:]}"
    if "Traceback" in err or "a bug" in err:
        return f"a bug: {err[-300:]}"
    if code and len([line for line in err.splitlines() if line.lower().startswith("error: ")]) != 1:
        return f"not one line: {err[-300:]}"
    if longest := max(map(len, err.splitlines()), default=0) > LONGEST_LINE:
        return f"a line of {longest} characters"
    if found := CONTROL.search(out + err):
        return f"{found[0]!r} reaches the terminal"
    return None


def test_each_verb_has_a_line() -> None:
    assert {" ".join(verb_of(line)) for line in LINES} == {*VERBS, *(f"devices {name}" for name in DEVICES)}


@pytest.mark.parametrize(
    ("line", "share"),
    [*(pytest.param(line, 1, marks=pytest.mark.slow) for line in LINES)],
)
def test_no_value_is_a_bug(line: str, share: int, place: Path, run: Callable[..., Any]) -> None:
    ended = run(words_of(line))
    assert ended[0] == LINES[line], ended
    found = {}
    for words in spoiled(line, share):
        if problem := fault(*run(words)):
            found[" ".join(word[:40] for word in words[1:])] = problem
    assert found == {}
    assert {path.name for path in place.parents[2].iterdir()} == {"a"}
