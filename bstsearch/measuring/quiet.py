"""Whether a device is at rest: what others keep busy, whether it slowed down, what `--strict` refuses (no torch)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from bstsearch.errors import NoisyMeasurementError
from bstsearch.measuring.driver import Run
from bstsearch.measuring.estimator import NOTHING, Timing, quiet_ms
from bstsearch.measuring.machine import OthersLoad
from bstsearch.profiles.robust import median

BUSY = 0.25  # cores beyond those left free: a resting desktop keeps a tenth or two busy, a program at work one
LOOK_S = 1.0
PATIENCE_S = 30.0

LIMIT = 0.10  # of --strict: neighbouring submodels differ by 10 % and more, beyond it their order is a guess
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
        f"needed; --strict measures a machine at rest only. {_remedy(threads)}"
    )


def is_crowded(others: float, *, threads: int, cores: int) -> bool:
    """Whether `others`, the cores that other programs keep busy, leave fewer than `threads` of `cores` free."""
    return others > max(0, cores - threads) + BUSY


def check_steady(timings: Mapping[str, Timing], *, remedy: str) -> None:
    """Passes where every latency is known to 10 % and the device kept its pace; else NoisyMeasurementError."""
    name, timing = max(timings.items(), key=lambda item: item[1].uncertainty)
    if timing.uncertainty > LIMIT:
        raise NoisyMeasurementError(
            f"too noisy for --strict: {name} takes between {timing.low_ms:.3g} and {timing.high_ms:.3g} ms after "
            f"{len(timing.visits)} rounds (at most +-{LIMIT:.0%} is trusted). {remedy}"
        )
    if (slower := slowdown(timings)) > SLOWDOWN:
        raise NoisyMeasurementError(
            f"the device became {slower:.0%} slower while it was measured (at most {SLOWDOWN:.0%} is trusted by "
            f"--strict): most likely its clock fell, from heat or for want of power. {remedy}"
        )


def check_meaningful(timings: Mapping[str, Timing], *, remedy: str) -> None:
    """Passes where the times say something; NoisyMeasurementError where half are not known to a factor of two."""
    if median([timing.uncertainty for timing in timings.values()]) <= NOTHING:
        return
    name, timing = min(timings.items(), key=lambda item: item[1].uncertainty)
    rounds = max(len(timing.visits) for timing in timings.values())
    raise NoisyMeasurementError(
        f"the times say nothing: after {rounds} rounds half of the latencies are not known to a factor of "
        f"two (best known is {name}, {timing.low_ms:.3g} to {timing.high_ms:.3g} ms). The rounds are kept. {remedy}"
    )


def slowdown(timings: Mapping[str, Timing]) -> float:
    """How much slower than in the first quarter of the rounds the device was in the last, as a share; 0 of few rounds.

    The median over all graphs decides, since single ones vary.
    """
    known = [timing.visits for timing in timings.values() if len(timing.visits) >= FEWEST_ROUNDS]
    return median([_quarter(visits, -1) / _quarter(visits, 0) - 1 for visits in known]) if known else 0.0


def _look(load: Callable[[], Load], seconds: float, sleep: Callable[[float], None]) -> float:
    others = load()
    sleep(seconds)
    return others.cores()


def _remedy(threads: int) -> str:
    fewer = f", or leave them a core with --threads {threads - 1}" if threads > 1 else ""
    return f"Close other programs, and run the same command again{fewer}, or without --strict"


def _quarter(visits: Sequence[Sequence[Run]], end: int) -> float:
    """The median of all runs in the first (0) or last (-1) quarter of the visits."""
    size = len(visits) // 4
    chosen = visits[:size] if end == 0 else visits[-size:]
    return median([quiet_ms(run) for visit in chosen for run in visit])
