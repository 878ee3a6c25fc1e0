from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading

import pytest

from bstsearch.searching import members
from bstsearch.searching.members import BEAT_S, GRACE_S, UNKNOWN_GRACE_S, Member, Watch, beating, read_beat

HERE = Member.here()
ELSEWHERE = dataclasses.replace(HERE, machine="another one")


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(clock: Clock) -> Watch:
    return Watch(clock)


def looks(watch: Watch, clock: Clock, data: object, seconds: float) -> bool:
    """Whether it is gone after so many seconds of looks, one a second."""
    for _ in range(int(seconds)):
        clock.now += 1
        gone = watch.is_gone("trial 1", data)
    return gone


def test_a_member_is_read_back_and_nothing_else_is_one() -> None:
    assert read_beat(HERE.to_json(7)) == (HERE, 7)
    for data in (None, {}, [], "worker", {**HERE.to_json(1), "beat": -1}, {**HERE.to_json(1), "process": "x"}):
        assert read_beat(data) is None
    assert Member.here().key != HERE.key


def test_a_process_of_this_machine_is_gone_when_it_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        other = dataclasses.replace(HERE, process=process.pid)
        assert not other.is_gone
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert other.is_gone, "ended, though nobody has asked how"
    assert other.is_gone
    assert not HERE.is_gone
    assert not dataclasses.replace(other, machine="another one").is_gone, "its number says nothing here"


def test_who_is_silent_for_long_is_gone(watch: Watch, clock: Clock) -> None:
    assert not looks(watch, clock, ELSEWHERE.to_json(0), GRACE_S)
    assert not looks(watch, clock, ELSEWHERE.to_json(1), GRACE_S)
    assert looks(watch, clock, ELSEWHERE.to_json(1), 2)


def test_who_has_not_told_who_it_is_is_given_little_time(watch: Watch, clock: Clock) -> None:
    assert not looks(watch, clock, None, UNKNOWN_GRACE_S)
    assert looks(watch, clock, None, 2)


@pytest.mark.parametrize("jump", [1e6, -1e6])
def test_a_clock_that_jumps_buries_nobody(watch: Watch, clock: Clock, jump: float) -> None:
    assert not looks(watch, clock, ELSEWHERE.to_json(0), 5)
    clock.now += jump
    assert not looks(watch, clock, ELSEWHERE.to_json(0), GRACE_S - BEAT_S - 6)
    assert watch.stood_s("trial 1", ELSEWHERE.to_json(0)) <= GRACE_S


def test_beats_are_counted_until_the_block_ends_whatever_they_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    heard, enough = list[int](), threading.Event()

    def beat(number: int) -> None:
        heard.append(number)
        if number == 3:
            enough.set()
        raise OSError

    with beating(beat, every_s=0.001):
        assert enough.wait(60)
    count = len(heard)
    assert heard == list(range(1, count + 1))


def test_where_a_system_says_nothing_of_itself_machines_are_told_apart_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: object) -> str:
        raise OSError

    monkeypatch.setattr(members.os, "readlink", none)
    assert members._machine().startswith(members.platform.node())
