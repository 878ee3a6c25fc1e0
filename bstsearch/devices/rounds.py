"""Interleaved timing: rounds that visit every graph, until the medians of the rounds agree (no torch).

Drift (heat, other programs, a change of clock) then hits all graphs alike, and shows as disagreement between
rounds. The device takes the times; no clock is read here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bstsearch.devices import statistics
from bstsearch.devices.driver import Visit
from bstsearch.errors import NoisyMeasurementError

Time = Callable[[Sequence[Visit]], Sequence[tuple[float, ...]]]
Rounds = Mapping[str, Sequence[tuple[float, ...]]]  # graph -> its times, a tuple for every round

# A batch of 20 rounds is the fewest whose ranks give a 95 % interval inside the extremes with room to
# spare (5th to 16th), and a second or two for ten small submodels. The interval narrows with the root of their
# number, so a restless machine only takes longer, unless what disturbs it goes on for most of the time.
ROUNDS = 20
MOST_ROUNDS = 200
TURN = 5  # rounds of one group before the next one's turn
# Runs at a visit: as many untimed first, since the caches and threads are still another graph's.
RUNS = 5
VISIT_MS = 20.0
# Half-width of a median's 95 % interval over the median. Neighbouring submodels differ by some 10 to 40 %:
# at 5 % their order is sure, beyond 10 % it is a guess, and a budget means little.
GOOD = 0.05
LIMIT = 0.10


@dataclass(frozen=True, kw_only=True)
class Timing:
    """The times of one graph, a tuple for every round, in the order in which they were taken."""

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

    @property
    def noise(self) -> float:
        """How far the median of every other round lies from that of the rest: the same thing, measured twice."""
        odd, even = (statistics.median([t for times in self.rounds_ms[n::2] for t in times]) for n in (0, 1))
        return abs(odd / even - 1)


def time_in_rounds(
    groups: Sequence[Sequence[str]],
    time: Time,
    *,
    open_group: Callable[[Sequence[str]], None] = lambda _names: None,
    known: Rounds | None = None,
    seed: int = 0,
    on_round: Callable[[Rounds, float], None] | None = None,
) -> dict[str, Timing]:
    """The timing of every graph by name, from 20 rounds, or up to 200 of those whose rounds disagree.

    A group is what a device can hold open at once. Where there are several, each is come back to after five rounds:
    what disturbs one of its turns then shows. `known` are rounds of an earlier, interrupted call, which goes on from
    there. `on_round(rounds, share done)` is called after each round with all that is there. Whether the result is
    good enough is for `refuse_noise` to say.
    """
    names = [name for group in groups for name in group]
    rounds = {name: list((known or {}).get(name, ())) for name in names}
    counts = {name: len(times[0]) for name, times in rounds.items() if times}
    shuffle, opened = random.Random(seed).shuffle, None
    for planned in range(TURN, MOST_ROUNDS + 1, TURN):
        for group in groups:
            unsure = [name for name in group if not _is_done(rounds[name])]
            while order := [name for name in unsure if len(rounds[name]) < planned]:
                if group is not opened:
                    open_group(group)
                    opened = group
                shuffle(order)
                counts.update({name: _runs_per_visit(name, time) for name in order if name not in counts})
                found = time([Visit(name=name, count=counts[name]) for name in order])
                for name, times_ms in zip(order, found, strict=True):
                    rounds[name].append(times_ms)
                if on_round:
                    on_round(rounds, min(1.0, sum(map(len, rounds.values())) / (ROUNDS * len(names))))
    return {name: _timing(times) for name, times in rounds.items()}


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


def _is_done(rounds: Sequence[tuple[float, ...]]) -> bool:
    """Whether a batch of rounds is complete and agrees."""
    is_whole = len(rounds) >= ROUNDS and len(rounds) % ROUNDS == 0
    return is_whole and _timing(rounds).uncertainty <= GOOD


def _timing(rounds: Sequence[tuple[float, ...]]) -> Timing:
    return Timing(rounds_ms=tuple(rounds))


def _runs_per_visit(name: str, time: Time) -> int:
    visits = [Visit(name=name, count=1)] * 3  # a first run also allocates, any may be disturbed
    time_ms = min(times_ms[0] for times_ms in time(visits))
    return RUNS if RUNS * time_ms <= VISIT_MS else max(1, int(VISIT_MS / time_ms))
