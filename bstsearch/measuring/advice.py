"""What must be known of a measurement beside its numbers, each with its likely cause and what to do (no torch)."""

from __future__ import annotations

from collections.abc import Mapping

from bstsearch.measuring.estimator import GOOD, Timing, typical_uncertainty
from bstsearch.measuring.quiet import SLOWDOWN, is_crowded, slowdown
from bstsearch.profiles.robust import median

SEEN = 1.25  # times the quiet latency: whoever waits on this machine notices

REMEDY = "close other programs and measure again with --measure"


def find_warnings(timings: Mapping[str, Timing]) -> tuple[str, ...]:
    """The warnings that the times alone give rise to."""
    return tuple(warning for warning in (_unsure(timings), _slower(timings), _seen(timings)) if warning)


def find_load_warnings(*, threads: int, cores: int, others: float) -> tuple[str, ...]:
    """The warnings about the computer; `others` is how many cores other programs kept busy during the measurement."""
    found = [_oversubscribed(threads, cores), _busy(threads, cores, others)]
    return tuple(warning for warning in found if warning)


def _unsure(timings: Mapping[str, Timing]) -> str | None:
    if (uncertainty := typical_uncertainty(timings)) <= GOOD:
        return None
    rounds = min(len(timing.visits) for timing in timings.values())
    return (
        f"one latency in ten is known to +-{uncertainty:.0%} or less well, after {rounds} rounds: the device was not "
        f"at rest; for narrower intervals {REMEDY}"
    )


def _slower(timings: Mapping[str, Timing]) -> str | None:
    if (slower := slowdown(timings)) <= SLOWDOWN:
        return None
    return (
        f"the device became {slower:.0%} slower while it was measured, most likely from heat; latencies are those of "
        "its quicker rounds, and where it works for long it will be as slow as it became"
    )


def _seen(timings: Mapping[str, Timing]) -> str | None:
    ratio = median([timing.seen_ms / timing.latency_ms for timing in timings.values()])
    if ratio <= SEEN:
        return None
    return (
        f"as seen, submodels took {ratio:.2g} times their quiet latency (median): beside what else this device does, a "
        "user waits that long"
    )


def _oversubscribed(threads: int, cores: int) -> str | None:
    if threads <= cores:
        return None
    return f"{threads} threads share {cores} cores and wait for each other; give --threads {cores} or fewer"


def _busy(threads: int, cores: int, others: float) -> str | None:
    if not is_crowded(others, threads=threads, cores=cores):
        return None
    return f"other programs kept {others:.1f} of {cores} cores busy; intervals are wider for it"
