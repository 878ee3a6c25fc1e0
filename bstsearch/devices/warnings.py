"""What may be wrong with a measurement, each with its likely cause and what to do about it (no torch)."""

from __future__ import annotations

from collections.abc import Mapping

from bstsearch.devices import statistics
from bstsearch.devices.quiet import is_crowded
from bstsearch.devices.rounds import GOOD, Timing, least_certain

MANY_OUTLIERS = 0.05  # of a submodel's runs; a few happen on every machine

REMEDY = "close other programs and measure again with --measure"


def find_warnings(timings: Mapping[str, Timing]) -> tuple[str, ...]:
    """The warnings that the times alone give rise to."""
    return tuple(warning for warning in (_unsure(timings), _outliers(timings)) if warning)


def find_load_warnings(*, threads: int, cores: int, others: float) -> tuple[str, ...]:
    """The warnings about the computer; `others` is how many cores other programs kept busy meanwhile."""
    found = [_oversubscribed(threads, cores), _busy(threads, cores, others)]
    return tuple(warning for warning in found if warning)


def _unsure(timings: Mapping[str, Timing]) -> str | None:
    name, timing = least_certain(timings)
    if timing.uncertainty <= GOOD:
        return None
    return (
        f"the latency of {name} is known to +-{timing.uncertainty:.0%} only, after {len(timing.rounds_ms)} rounds: "
        f"the machine was not at rest; {REMEDY}"
    )


def _outliers(timings: Mapping[str, Timing]) -> str | None:
    counts = {name: statistics.count_outliers(timing.times_ms) for name, timing in timings.items()}
    name = max(counts, key=lambda name: counts[name] / len(timings[name].times_ms))
    times_ms = timings[name].times_ms
    if counts[name] < MANY_OUTLIERS * len(times_ms):
        return None
    return (
        f"{counts[name]} of {len(times_ms)} runs of {name} are outliers, up to {max(times_ms):.3g} ms: "
        f"something interrupts them; {REMEDY}"
    )


def _oversubscribed(threads: int, cores: int) -> str | None:
    if threads <= cores:
        return None
    return f"{threads} threads share {cores} cores and wait for each other; give --threads {cores} or fewer"


def _busy(threads: int, cores: int, others: float) -> str | None:
    if not is_crowded(others, threads=threads, cores=cores):
        return None
    return f"other programs kept {others:.1f} of {cores} cores busy, so latencies may be too high; {REMEDY}"
