"""Interleaved timing: rounds that visit every submodel, until the medians of the rounds agree (no torch).

Drift (heat, other programs, a change of clock) then hits all submodels alike, and shows as disagreement
between rounds. No wall clock is read but through `timer`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bstsearch.devices import statistics
from bstsearch.errors import NoisyMeasurementError

Run = Callable[[], object]
Timer = Callable[[], float]

# A batch of 20 rounds is the fewest whose ranks give a 95 % interval inside the extremes with room to
# spare (5th to 16th), and a second or two for ten small submodels. The interval narrows with the root of their
# number, so a restless machine only takes longer, unless what disturbs it goes on for most of the time.
ROUNDS = 20
MOST_ROUNDS = 200
# Runs at a visit: as many untimed first, since the caches and threads are still another submodel's.
RUNS = 5
VISIT_MS = 20.0
# Half-width of a median's 95 % interval over the median. Neighbouring submodels differ by some 10 to 40 %:
# at 5 % their order is sure, beyond 10 % it is a guess, and a budget means little.
GOOD = 0.05
LIMIT = 0.10


@dataclass(frozen=True, kw_only=True)
class Timing:
    """The times of one submodel, a tuple for every round, in the order in which they were taken."""

    rounds_ms: tuple[tuple[float, ...], ...]

    @property
    def times_ms(self) -> tuple[float, ...]:
        """All times, round after round."""
        return tuple(time_ms for times_ms in self.rounds_ms for time_ms in times_ms)

    @property
    def latency_ms(self) -> float:
        """The median of all times."""
        return statistics.median(self.times_ms)

    @property
    def interval_ms(self) -> tuple[float, float]:
        """The 95 % interval of the median, taken over the rounds: runs of one round are not independent."""
        low, high = statistics.median_interval([statistics.median(times_ms) for times_ms in self.rounds_ms])
        # The median of all need not be the median of the rounds' medians; it belongs to its interval.
        return min(low, self.latency_ms), max(high, self.latency_ms)

    @property
    def uncertainty(self) -> float:
        """Half-width of the interval, as a share of the median."""
        low, high = self.interval_ms
        return (high - low) / 2 / self.latency_ms


def time_in_rounds(
    runs: Mapping[str, Run],
    *,
    timer: Timer = time.perf_counter,
    seed: int = 0,
    on_round: Callable[[int, int], None] | None = None,
) -> dict[str, Timing]:
    """The timing of every run by name, from 20 rounds, or up to 200 where the rounds disagree.

    `on_round(done, planned)` is called after each round. Whether the result is good enough is for
    `refuse_noise` to say.
    """
    counts = {name: _runs_per_visit(run, timer) for name, run in runs.items()}
    order, shuffle = list(runs), random.Random(seed).shuffle
    rounds: dict[str, list[tuple[float, ...]]] = {name: [] for name in runs}
    timings: dict[str, Timing] = {}
    for planned in range(ROUNDS, MOST_ROUNDS + 1, ROUNDS):
        for done in range(planned - ROUNDS, planned):
            shuffle(order)
            for name in order:
                rounds[name].append(_visit(runs[name], counts[name], timer))
            if on_round:
                on_round(done + 1, planned)
        timings = {name: Timing(rounds_ms=tuple(times)) for name, times in rounds.items()}
        if max(timing.uncertainty for timing in timings.values()) <= GOOD:
            break
    return timings


def refuse_noise(timings: Mapping[str, Timing], *, remedy: str) -> None:
    """Passes where every median is known to 10 % or better; else NoisyMeasurementError with `remedy`."""
    name, timing = least_certain(timings)
    if timing.uncertainty > LIMIT:
        low, high = timing.interval_ms
        raise NoisyMeasurementError(
            f"too noisy to trust: {name} takes between {low:.3g} and {high:.3g} ms after {len(timing.rounds_ms)} "
            f"rounds (+-{timing.uncertainty:.0%}, at most {LIMIT:.0%} is trusted); nothing was written. {remedy}"
        )


def least_certain(timings: Mapping[str, Timing]) -> tuple[str, Timing]:
    """The name and timing whose median is known worst."""
    return max(timings.items(), key=lambda item: item[1].uncertainty)


def _runs_per_visit(run: Run, timer: Timer) -> int:
    time_ms = min(_milliseconds(run, timer) for _ in range(3))  # a first run also allocates, any may be disturbed
    return RUNS if RUNS * time_ms <= VISIT_MS else max(1, int(VISIT_MS / time_ms))


def _visit(run: Run, count: int, timer: Timer) -> tuple[float, ...]:
    for _ in range(count):
        run()
    return tuple(_milliseconds(run, timer) for _ in range(count))


def _milliseconds(run: Run, timer: Timer) -> float:
    start = timer()
    run()
    return round((timer() - start) * 1000, 6)  # to the nanosecond, which is as fine as clocks are
