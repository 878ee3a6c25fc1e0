from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from bstsearch.cli.output import Output
from bstsearch.cli.remembered import FILE, Memory, Remembered, recall
from bstsearch.errors import InputError


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def memory() -> Memory:
    return Memory(Output())


def test_in_a_new_folder_nothing_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    found = memory()
    assert (found.device(), found.folder("profiles"), found.folder("supernet"), found.front) == (None,) * 4
    assert capsys.readouterr().err == ""
    assert not FILE.exists()


def test_what_one_command_keeps_the_next_one_takes_and_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert memory().keep_profiled("pixel7", Path("shared"), Path("runs/x"))
    assert memory().keep_front(Path("front/front.json"))
    found = memory()
    assert (found.device(), found.folder("profiles"), found.folder("supernet"), found.front) == (
        "pixel7",
        Path("shared"),
        Path("runs/x"),
        Path("front/front.json"),
    )
    assert capsys.readouterr().err.splitlines() == [
        "device: pixel7, profiled last; --device changes it",
        "profiles: shared, profiled last; --profiles changes it",
        "supernet: runs/x, profiled last; --supernet changes it",
    ]


def test_profiling_again_forgets_the_options_of_the_time_before() -> None:
    memory().keep_profiled("pixel7", Path("shared"), Path("runs/x"))
    memory().keep_front(Path("f.json"))
    memory().keep_profiled("local", None, None)
    assert recall() == Remembered(device="local", front="f.json")


def test_paths_in_the_folder_move_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir("here")
    memory().keep_profiled("local", tmp_path / "here" / "p", Path("../net"))
    memory().keep_front(tmp_path / "elsewhere" / "front.json")
    assert recall() == Remembered(
        device="local", profiles="p", supernet="../net", front=str(tmp_path / "elsewhere" / "front.json")
    )


def test_two_terminals_change_only_what_is_theirs() -> None:
    one, other = memory(), memory()
    one.keep_profiled("pixel7", None, None)
    other.keep_front(Path("front/front.json"))
    assert recall() == Remembered(device="pixel7", front="front/front.json")


def test_the_same_again_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    memory().keep_profiled("pixel7", None, None)
    monkeypatch.setattr(os, "replace", pytest.fail)
    assert memory().keep_profiled("pixel7", None, None)


def newer() -> None:
    FILE.write_text(json.dumps({"format": 2, "device": "pixel7"}))


def linked() -> None:
    Path("elsewhere").write_text('{"format": 1, "device": "pixel7"}')
    FILE.symlink_to("elsewhere")


WRONG: dict[str, Any] = {
    "a folder": FILE.mkdir,
    "a link elsewhere": linked,
    "a link to nothing": lambda: FILE.symlink_to("nowhere"),
    "a pipe": lambda: os.mkfifo(FILE),
    "empty": FILE.touch,
    "truncated": lambda: FILE.write_text('{"format": 1, "dev'),
    "no object": lambda: FILE.write_text("[]"),
    "deep": lambda: FILE.write_text("[" * 9000),
    "no text": lambda: FILE.write_bytes(b"\xff\xfe"),
    "large": lambda: FILE.write_text(" " * 20_000 + "{}"),
    "a newer version's": newer,
    "of unknown keys": lambda: FILE.write_text('{"format": 1, "run": "rm"}'),
    "of numbers": lambda: FILE.write_text('{"format": 1, "device": 7}'),
    "of other characters": lambda: FILE.write_text('{"format": 1, "front": "a\\u001b[2J"}'),
    "of a path as device": lambda: FILE.write_text('{"format": 1, "device": "../x"}'),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_file_that_is_none_of_ours_is_said_once_and_left_alone(
    kind: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    WRONG[kind]()
    before = os.lstat(FILE)
    found = memory()
    assert (found.device(), found.front) == (None, None)
    assert not found.keep_profiled("local", None, None)
    assert not found.keep_front(Path("front.json"))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: nothing is remembered in this folder: ")
    assert line.endswith("; remove .bstsearch.json to change that")
    assert line.isprintable()
    after = os.lstat(FILE)
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert {path.name for path in tmp_path.iterdir()} <= {".bstsearch.json", "elsewhere"}


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_folder_that_cannot_be_written_to_is_said_and_no_failure(
    code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "touch", refuse)
    assert not memory().keep_profiled("pixel7", None, None)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("nothing is remembered in this folder: cannot write .bstsearch.json: ")
    assert os.strerror(code) in line
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_would_not_be_read_back_is_not_kept(capsys: pytest.CaptureFixture[str]) -> None:
    memory().keep_profiled("local", None, None)
    assert not memory().keep_front(Path("a\nb"))
    assert (
        "nothing is remembered in this folder: .bstsearch.json, front: 'a\\nb'; expected a name"
        in capsys.readouterr().err
    )
    assert recall() == Remembered(device="local")


@pytest.mark.parametrize("value", ["", 3, True, [], {}, "a\x1bb", "x\n" * 300_000])
def test_what_no_command_writes_is_an_input_error(value: Any) -> None:
    FILE.write_text(json.dumps({"format": 1, "supernet": value}))
    with pytest.raises(InputError, match=r"^\.bstsearch\.json[,:] .*expected") as found:
        recall()
    assert len(str(found.value)) < 200
