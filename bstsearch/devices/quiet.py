"""Whether a device is at rest: not kept busy by others before it is measured, not slowed down meanwhile (no torch)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from bstsearch.devices.machine import OthersLoad
from bstsearch.devices.statistics import median
from bstsearch.errors import NoisyMeasurementError

BUSY = 0.25  # cores beyond those left free: a resting desktop keeps a tenth or two busy, a program at work one
LOOK_S = 1.0
PATIENCE_S = 30.0

# A clock that falls takes 20 % and more; neighbouring submodels differ by 10 % and more.
SLOWDOWN = 0.10
FEWEST_ROUNDS = 8  # below two rounds a quarter, one disturbed round would pass for a slowdown


class Load(Protocol):
    """Looks at other programs from when it is made."""

    def cores(self) -> float:
        """How many cores they have kept busy since."""


def wait_until_quiet(
    *,
    threads: int,
    cores: int,
    note: Callable[[str], None],
    load: Callable[[], Load] = OthersLoad,
    seconds: float = LOOK_S,
    patience: float = PATIENCE_S,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Returns once other programs leave `threads` of the computer's `cores` free, looking for `seconds` at a time.

    `note` is told why it waits. NoisyMeasurementError where they do not within `patience` seconds.
    """
    looks = max(1, round(patience / seconds))
    for look in range(looks):
        busy = _look(load, seconds, sleep)
        if not is_crowded(busy, threads=threads, cores=cores):
            return
        if look == 0:
            note(
                f"other programs keep {busy:.1f} of {cores} cores busy, and {threads} more are needed; "
                f"waiting up to {patience:.0f} s"
            )
    raise NoisyMeasurementError(
        f"other programs still keep {busy:.1f} of {cores} cores busy after {patience:.0f} s, and {threads} more are "
        f"needed: latencies would read too high; nothing was measured. {_remedy(threads)}"
    )


def is_crowded(others: float, *, threads: int, cores: int) -> bool:
    """Whether `others`, the cores that other programs keep busy, leave fewer than `threads` of `cores` free."""
    return others > max(0, cores - threads) + BUSY


def find_throttling(rounds_ms: Sequence[Sequence[Sequence[float]]]) -> None:
    """Passes where the device ended as fast as it began; else NoisyMeasurementError with the numbers.

    `rounds_ms` holds the rounds of every graph, in order, each with its times. The medians of the last quarter are
    held against those of the first; the median over all graphs decides, since single ones vary.
    """
    quarters = [(_quarter(rounds, 0), _quarter(rounds, -1)) for rounds in rounds_ms if len(rounds) >= FEWEST_ROUNDS]
    if quarters and (slowdown := median([last / first - 1 for first, last in quarters])) > SLOWDOWN:
        first, last = map(median, zip(*quarters, strict=True))
        raise NoisyMeasurementError(
            f"the device became {slowdown:.0%} slower while it was measured (median submodel: {first:.3g} ms in the "
            f"first quarter of the rounds, {last:.3g} ms in the last; at most {SLOWDOWN:.0%} is trusted): most "
            "likely its clock fell, from heat or for want of power; nothing was written. Let it cool, plug it in, "
            "and run the same command again"
        )


def _look(load: Callable[[], Load], seconds: float, sleep: Callable[[float], None]) -> float:
    others = load()
    sleep(seconds)
    return others.cores()


def _remedy(threads: int) -> str:
    fewer = f", or leave them a core with --threads {threads - 1}" if threads > 1 else ""
    return f"Close other programs, and run the same command again{fewer}"


def _quarter(rounds: Sequence[Sequence[float]], end: int) -> float:
    """The median of all times in the first (0) or last (-1) quarter of the rounds."""
    size = len(rounds) // 4
    chosen = rounds[:size] if end == 0 else rounds[-size:]
    return median([time_ms for times_ms in chosen for time_ms in times_ms])
