from __future__ import annotations

import json
import os
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bstsearch.errors import BstsearchError, DeviceError, InputError
from bstsearch.listener import Listener
from bstsearch.searching import crew as crew_file
from bstsearch.searching.crew import Crew, crew

Script = Callable[[str], None]


class Heard(Listener):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Has workers do what a shell script does, in place of Python."""

    def write(text: str) -> None:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IEXEC)
        monkeypatch.setattr(crew_file.sys, "executable", str(path))

    return write


def stepped(team: Crew, *, until: Callable[[], bool]) -> None:
    """Looks after the workers until that is so."""
    for _ in range(6000):
        assert not team.step()
        if until():
            return
        time.sleep(0.01)
    raise AssertionError("it never was")


def test_workers_are_told_what_to_do_and_use_one_thread(script: Script, tmp_path: Path) -> None:
    script(f'echo "$@" "$OMP_NUM_THREADS" > {tmp_path}/words; exec sleep 100')
    with crew(1, ["--study", "a"], Heard()) as team:
        stepped(team, until=lambda: (tmp_path / "words").exists() and bool((tmp_path / "words").read_text()))
        (worker,) = team._workers
    words = (tmp_path / "words").read_text().split()
    assert words == ["-m", "bstsearch", "worker", "--attached", "--json", "--study", "a", "1"]
    assert worker.returncode == -signal.SIGTERM


def test_what_one_cannot_go_on_for_is_raised_here_in_one_line(script: Script) -> None:
    error = {"error": {"kind": "input", "message": "net: no weights; train it", "exit_code": 4, "remedy": None}}
    script(f"echo '{json.dumps(error)}'; exit 4")
    with pytest.raises(InputError, match="net: no weights; train it"), crew(2, [], Heard()) as team:
        stepped(team, until=lambda: False)
    script("echo 'Segmentation'; exit 7")
    with pytest.raises(BstsearchError, match="exit code 7: Segmentation"), crew(1, [], Heard()) as team:
        stepped(team, until=lambda: False)


def test_what_a_worker_leaves_running_is_not_waited_for(script: Script, tmp_path: Path) -> None:
    error = {"error": {"kind": "input", "message": "net: no weights", "exit_code": 4, "remedy": None}}
    script(f"sleep 100 & echo $! > {tmp_path}/left; echo '{json.dumps(error)}'; exit 4")
    try:
        with pytest.raises(InputError, match="net: no weights"), crew(1, [], Heard()) as team:
            stepped(team, until=lambda: False)
    finally:
        os.kill(int((tmp_path / "left").read_text()), signal.SIGKILL)  # it still ran


def test_those_that_are_killed_are_told_of_and_the_others_go_on_while_there_are_any(script: Script) -> None:
    script("exec sleep 100")
    heard = Heard()
    with crew(2, [], heard) as team:
        first, second = team._workers
        first.send_signal(signal.SIGKILL)
        stepped(team, until=lambda: bool(heard.lines))
        assert heard.lines == ["a worker was ended (SIGKILL); 1 go on with what it had"]
        second.send_signal(signal.SIGKILL)
        with pytest.raises(DeviceError, match=r"all workers were ended from outside.*give fewer --workers"):
            stepped(team, until=lambda: False)


def test_one_that_does_not_end_is_killed(script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(crew_file, "ENDED_WITHIN_S", 0.2)
    script(f"trap '' TERM; touch {tmp_path}/ready; while :; do sleep 0.05; done")
    with crew(1, [], Heard()) as team:
        stepped(team, until=(tmp_path / "ready").exists)
        (worker,) = team._workers
    assert worker.returncode == -signal.SIGKILL


def test_a_worker_ends_with_who_started_it() -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(writer)
        os.dup2(reader, 0)
        signal.signal(signal.SIGTERM, lambda *_: os._exit(3))
        crew_file.end_with_parent()
        time.sleep(100)
        os._exit(0)
    os.close(reader)
    os.close(writer)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
