"""How far long work has come: a bar on a terminal, elsewhere a plain line now and then."""

from __future__ import annotations

import collections
import contextlib
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

FIRST_S = 5.0  # work that takes less needs no line
GAP_S, LONGEST_GAP_S = 10.0, 60.0
RECENT = 30  # moments, at least a second apart, that the time left is judged by


class Progress:
    """How far a task has come; shown nowhere."""

    def advance(self, n: int = 1) -> None:
        """Counts `n` more as done."""

    def report(self, text: str, done: int = 0, total: int | None = None, news: str = "") -> None:
        """Sets what is being done, how much of it is done, and what is known so far ("best 98.4 %").

        It is the progress callback of library functions, those that tell no news included.
        """


class Bar(Progress):
    """A bar with the time left, at work in rich's display."""

    def __init__(self, bar: RichProgress, task: TaskID) -> None:
        self._bar, self._task = bar, task

    def advance(self, n: int = 1) -> None:
        """As `Progress.advance`."""
        self._bar.advance(self._task, n)

    def report(self, text: str, done: int = 0, total: int | None = None, news: str = "") -> None:
        """As `Progress.report`."""
        self._bar.update(self._task, description=text, completed=done, total=total, info=news)


class Lines(Progress):
    """Lines for `write`: one after five seconds, more after ever longer gaps, and one where another part begins.

    They are written by `beat`, which must be called every five seconds or so, and by `report`; from any thread.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        text: str,
        total: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write, self._clock, self._lock = write, clock, threading.Lock()
        self._written = clock()  # the last line, or the beginning
        self._due, self._gap = self._written + FIRST_S, GAP_S
        self._begin(text, 0, total)

    def advance(self, n: int = 1) -> None:
        """As `Progress.advance`."""
        self.report(self._text, self._done + n, self._total, self._news)

    def report(self, text: str, done: int = 0, total: int | None = None, news: str = "") -> None:
        """As `Progress.report`."""
        with self._lock:
            if text != self._text:
                self._due = min(self._due, self._written + FIRST_S)
            if (text, total) != (self._text, self._total) or done < self._done:
                self._begin(text, done, total)
            elif done > self._done:
                self._count(done)
            self._news = news
            self._write_if_due()

    def beat(self) -> None:
        """Writes a line if it is time for one."""
        with self._lock:
            self._write_if_due()

    def _begin(self, text: str, done: int, total: int | None) -> None:
        self._text, self._done, self._total, self._news = text, done, total, ""
        self._began = self._counted = self._clock()
        self._recent = collections.deque([(self._began, done)], maxlen=RECENT)

    def _count(self, done: int) -> None:
        self._done, self._counted = done, self._clock()
        if self._counted - self._recent[-1][0] >= 1:
            self._recent.append((self._counted, done))

    def _write_if_due(self) -> None:
        now = self._clock()
        if now < self._due:
            return
        self._written, self._due, self._gap = now, now + self._gap, min(2 * self._gap, LONGEST_GAP_S)
        self._write(f"{self._text}: {', '.join(filter(None, (self._share(), self._time(now), self._news)))}")

    def _share(self) -> str:
        if self._total is None:
            return f"{self._done:,} done" if self._done else ""
        return f"{self._done:,} of {self._total:,} ({100 * self._done // max(1, self._total)} %)"

    def _time(self, now: float) -> str:
        left_s, spent_s = self._left_s(now), now - self._began
        if left_s is not None:
            return f"{duration(left_s)} left"
        return f"{duration(spent_s)} so far" if spent_s >= 1 else ""

    def _left_s(self, now: float) -> float | None:
        """By how long the last steps took, the one under way included; None before the first step's end."""
        first_s, first = self._recent[0]
        steps = self._done - first
        if not steps or self._total is None:
            return None
        per_step_s = max((self._counted - first_s) / steps, (now - first_s) / (steps + 1))
        return max(0.0, per_step_s * (self._total - self._done) - (now - self._counted))


class Stop(Protocol):
    """What tells that there is nothing left to tell."""

    def wait(self, timeout: float) -> bool:
        """Whether it is so, after at most `timeout` seconds."""


@contextlib.contextmanager
def beating(lines: Lines) -> Iterator[Lines]:
    """The lines, which appear while the block runs, however long it goes without a report."""
    stop = threading.Event()
    thread = threading.Thread(target=beat_until, args=(stop, lines), daemon=True)
    thread.start()
    try:
        yield lines
    finally:
        stop.set()
        thread.join()


def beat_until(stop: Stop, lines: Lines) -> None:
    """Writes `lines` until `stop`, or until nobody reads them any more."""
    with contextlib.suppress(OSError, ValueError):  # stderr is a closed pipe, or is closed
        while not stop.wait(FIRST_S):
            lines.beat()


def duration(seconds: float) -> str:
    """A duration in its two largest units.

    >>> duration(7.2), duration(100), duration(7200)
    ('8 s', '1 min 40 s', '2 h 0 min')
    """
    whole = math.ceil(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def rich_progress() -> RichProgress:
    """Rich's display, on stderr, gone when it ends."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[info]}", markup=False),
    )
    # Lines written meanwhile to stderr go above the bar; stdout stays stdout, it may be a file.
    return RichProgress(*columns, console=Console(file=sys.stderr), redirect_stdout=False, transient=True)
