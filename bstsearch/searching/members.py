"""Who takes part in a search, on this machine or another, and who is gone: judged without anybody's clock (no torch).

A member counts its beats in the study. Who looks on holds the counter against an earlier look, and its own elapsed time
between: clocks that are wrong, or jump, change nothing. A process of the same machine that has ended is gone at once.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil

from bstsearch.errors import InputError
from bstsearch.reading import Line, Whole, checked

BEAT_S = 10.0
GRACE_S = 60.0  # a member whose counter stands still for so long is taken for gone
UNKNOWN_GRACE_S = 5.0  # nobody told who it is: it ended, or is about to tell


@dataclasses.dataclass(frozen=True, kw_only=True)
class Member:
    """A process that takes part: `machine` tells the running system apart, `key` the process."""

    host: str
    machine: str
    process: int
    key: str

    @classmethod
    def here(cls) -> Member:
        """This process; each call makes another member of it."""
        return cls(host=platform.node() or "unknown", machine=_machine(), process=os.getpid(), key=uuid.uuid4().hex)

    @property
    def words(self) -> str:
        """Where it is, for people."""
        return f"{self.host}, process {self.process}"

    @property
    def is_gone(self) -> bool:
        """Whether it is known to have ended; of another machine's processes nothing is known."""
        if self.machine != _machine():
            return False
        try:
            return bool(psutil.Process(self.process).status() == psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return True
        except psutil.Error:
            return False

    def to_json(self, beat: int) -> dict[str, Any]:
        """Plain data with its counter; `read_beat` reads it back."""
        return {**dataclasses.asdict(self), "beat": beat}


class _Written(msgspec.Struct, frozen=True):
    """A member and its counter, as plain data."""

    host: Line
    machine: Line
    process: Whole
    key: Line
    beat: Whole


def read_beat(data: object) -> tuple[Member, int] | None:
    """The member and the counter written by `Member.to_json`; None where it is nothing of the kind."""
    try:
        found = checked(data, _Written, "member")
    except InputError:
        return None
    return Member(host=found.host, machine=found.machine, process=found.process, key=found.key), found.beat


class Watch:
    """Tells who is gone by counters that stand still, of those that it is asked about again and again.

    Of the time between two looks, `BEAT_S` count at most: where nobody could look, nobody could be seen beating.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[object, tuple[object, float, float]] = {}  # the counter, the last look, how long it stood

    def is_gone(self, place: object, data: object) -> bool:
        """Whether the member that has written `data` at `place` is gone."""
        found = read_beat(data)
        if found is not None and found[0].is_gone:
            return True
        return self.stood_s(place, data) >= (UNKNOWN_GRACE_S if found is None else GRACE_S)

    def stood_s(self, place: object, data: object) -> float:
        """For how many seconds `data` has been the same at `place`, as far as this process could see."""
        now = self._clock()
        before, looked, stood = self._seen.get(place, (None, now, 0.0))
        stood = stood + min(max(0.0, now - looked), BEAT_S) if before == data else 0.0
        self._seen[place] = (data, now, stood)
        return stood


@contextmanager
def beating(beat: Callable[[int], None], every_s: float = BEAT_S) -> Iterator[None]:
    """Calls `beat` with 1, 2, 3, ... from a thread of its own while the block runs; what it raises is not told."""
    stop = threading.Event()

    def run() -> None:
        number = 0
        while not stop.wait(every_s):
            number += 1
            try:
                beat(number)
            except Exception:  # the storage may be away, which the member's own work will tell
                continue

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _machine() -> str:
    """What tells this running system, and in it a container's processes, from all others."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except (OSError, ValueError):
        return f"{platform.node()} {uuid.getnode():012x}"
