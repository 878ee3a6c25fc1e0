"""Interleaved timing: rounds that visit every graph, until latencies are known or the time is up (no torch).

Drift (heat, other programs, a change of clock) then hits all graphs alike, and `estimator` takes it out again. The
device takes the times; the clock read here only ends the work.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from bstsearch.measuring.driver import Run, Visit
from bstsearch.measuring.estimator import GOOD, Rounds, Timing, estimate, typical_uncertainty

Time = Callable[[Sequence[Visit]], Sequence[tuple[Run, ...]]]

# A batch of 20 rounds is the fewest whose ranks give a 95 % interval inside the extremes with room to
# spare (5th to 16th), and a second or two for ten small submodels.
ROUNDS = 20
MOST_ROUNDS = 200
TURN = 5  # rounds of one group before the next one's turn
# A machine that others keep busy is measured for longer, up to so many seconds: intervals narrow with the root of
# the rounds, so twice the time would bring little. A device so slow that even a batch does not end stops, too.
PATIENCE_S = 60.0
MOST_S = 1200.0
# Runs at a visit: as many untimed first, since the caches and threads are still another graph's.
RUNS = 5
VISIT_MS = 20.0


def time_in_rounds(
    groups: Sequence[Sequence[str]],
    take: Time,
    *,
    open_group: Callable[[Sequence[str]], None] = lambda _names: None,
    known: Rounds | None = None,
    seed: int = 0,
    on_round: Callable[[Rounds, float], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Timing]:
    """The timing of every graph by name, from 20 rounds, or more while nine of ten are not known to 5 %.

    It ends after 200 further rounds or a minute, whichever comes first. At least 20 rounds are run, if they take less
    than twenty minutes. A group is what a device can hold open at once. If there are several, they take turns of five
    rounds: what disturbs one turn then shows. `known` are rounds of an earlier call, which goes on from there.
    `on_round(rounds, share done)` is called after each round with all that is there.
    """
    work, start, opened = _Work(groups, take, known or {}, seed, on_round), clock(), None
    for planned in range(TURN * (1 + work.fewest // TURN), work.fewest + MOST_ROUNDS + 1, TURN):
        if work.is_done:
            break
        for group in groups:
            while work.count(group) < planned:
                seconds, fewest = clock() - start, work.fewest
                if (seconds > PATIENCE_S and fewest >= ROUNDS) or (seconds > MOST_S and fewest):
                    return work.timings()
                if group is not opened:
                    open_group(group)
                    opened = group
                work.round(group)
    return work.timings()


class _Work:
    """The rounds so far, and the next one."""

    def __init__(
        self,
        groups: Sequence[Sequence[str]],
        take: Time,
        known: Rounds,
        seed: int,
        on_round: Callable[[Rounds, float], None] | None,
    ) -> None:
        self._take, self._on_round = take, on_round
        self._rounds = {name: list(known.get(name, ())) for group in groups for name in group}
        self._runs = {name: len(visits[0]) for name, visits in self._rounds.items() if visits}
        self._shuffle = random.Random(seed).shuffle

    def count(self, group: Sequence[str]) -> int:
        """The rounds that every graph of `group` has."""
        return min(len(self._rounds[name]) for name in group)

    @property
    def fewest(self) -> int:
        """The rounds that every graph has."""
        return self.count(list(self._rounds))

    @property
    def is_done(self) -> bool:
        """Whether there are rounds enough, and latencies known well enough."""
        return self.fewest >= ROUNDS and typical_uncertainty(self.timings()) <= GOOD

    def timings(self) -> dict[str, Timing]:
        """The timing of every graph."""
        return estimate(self._rounds)

    def round(self, group: Sequence[str]) -> None:
        """Visits every graph of `group` that has the fewest rounds, in a new order."""
        count = self.count(group)
        order = [name for name in group if len(self._rounds[name]) == count]
        self._shuffle(order)
        self._runs.update({name: _runs_per_visit(name, self._take) for name in order if name not in self._runs})
        found = self._take([Visit(name=name, count=self._runs[name]) for name in order])
        for name, runs in zip(order, found, strict=True):
            self._rounds[name].append(runs)
        if self._on_round:
            done = sum(map(len, self._rounds.values())) / (ROUNDS * len(self._rounds))
            self._on_round(self._rounds, min(1.0, done))


def _runs_per_visit(name: str, take: Time) -> int:
    visits = [Visit(name=name, count=1)] * 3  # a first run also allocates, any may be disturbed
    ms = min(runs[0].wall_ms for runs in take(visits))
    return RUNS if RUNS * ms <= VISIT_MS else max(1, int(VISIT_MS / ms))
