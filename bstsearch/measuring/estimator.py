"""What a model needs on a device by itself, from runs that other programs, heat or a phone's governor disturbed.

Three steps, each against one kind of disturbance (docs/log.md compares them with others, on a busy machine):

1. A run counts with the time that its thread had a core, if it had to give the core up. A visit counts with its
   quickest run: whatever disturbs a run makes it longer.
2. Median polish of the logarithms (Tukey 1977), rounds by graphs. A whole round may be slower, by heat or by other
   programs' use of caches and memory. All graphs share this, so it is taken out.
3. The lower quartile of each graph's visits, since a visit that is off is mostly too long; and the level of the
   quietest tenth of the rounds.

An interval adds up what the visits of a graph leave open, what the level leaves open, and two allowances, for what
no round of one measurement can show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bstsearch.measuring.driver import Run
from bstsearch.profiles import robust
from bstsearch.profiles.latency import half_width, typical

Rounds = Mapping[str, Sequence[tuple[Run, ...]]]  # graph -> its visits, a tuple of runs for every round
Matrix = NDArray[np.float64]

QUARTILE, QUIETEST = 0.25, 0.1
# Below so many graphs a round's share cannot be told from chance, and none is taken out.
FEWEST_GRAPHS = 5
POLISHES = 10  # they settle within four
# The same machine at rest, measured again some minutes later, is about so much faster or slower; and a run that was
# interrupted finds its caches used by others, which costs up to so much more.
BETWEEN_TIMES, INTERRUPTED = 0.02, 0.03

# Half-width of an interval over the value. Neighbouring submodels differ by some 10 to 40 %: at 5 % their order is
# sure, beyond 15 % it is a guess. A typical row beyond a factor of two says nothing.
GOOD, FAIR, NOTHING = 0.05, 0.15, 1.0


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One graph: its quiet latency with a 95 % interval, and its visits in the order in which they were made.

    The quiet latency is what the model needs when nothing disturbs it. `noise` is how far it lies from itself when
    computed from every other round and from the rest, as a share.
    """

    latency_ms: float
    low_ms: float
    high_ms: float
    noise: float
    visits: tuple[tuple[Run, ...], ...]

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """All runs, visit after visit."""
        return tuple(run for visit in self.visits for run in visit)

    @property
    def times_ms(self) -> tuple[float, ...]:
        """How long each run took by the clock on the wall."""
        return tuple(run.wall_ms for run in self.runs)

    @property
    def seen_ms(self) -> float:
        """The latency as seen: the median time by the clock on the wall, whatever else the device did."""
        return robust.median(self.times_ms)

    @property
    def uncertainty(self) -> float:
        """Half-width of the interval, as a share of the latency: of its sides the wider one."""
        return half_width(self.latency_ms, self.low_ms, self.high_ms)


def estimate(rounds: Rounds) -> dict[str, Timing]:
    """The timing of every graph, from their visits of the same rounds; an interrupted round counts for none."""
    logs = _logs(rounds)
    shared = _shared(logs)
    levels, (lows, highs) = _levels(logs, shared), _intervals(logs, shared, _allowances(rounds))
    parts = [logs[start::2] for start in (0, 1)]
    halves = [_levels(part, _shared(part)) for part in parts] if len(logs) > 1 else [levels, levels]
    noise = np.abs(np.expm1(halves[0] - halves[1]))
    return {
        name: Timing(
            latency_ms=float(np.exp(levels[n])),
            low_ms=float(np.exp(lows[n])),
            high_ms=float(np.exp(highs[n])),
            noise=float(noise[n]),
            visits=tuple(visits),
        )
        for n, (name, visits) in enumerate(rounds.items())
    }


def typical_uncertainty(timings: Mapping[str, Timing]) -> float:
    """The uncertainty that nine of ten of them do not exceed."""
    return typical(timing.uncertainty for timing in timings.values())


def grade(timings: Mapping[str, Timing]) -> Literal["good", "fair", "poor"]:
    """How well latencies are known, in a word: nine of ten within 5 %, within 15 %, or not."""
    uncertainty = typical_uncertainty(timings)
    return "good" if uncertainty <= GOOD else "fair" if uncertainty <= FAIR else "poor"


def preempted_share(timings: Mapping[str, Timing]) -> float | None:
    """The share of runs whose thread had to give up its core; None where the system does not tell."""
    switches = [run.switches for timing in timings.values() for run in timing.runs]
    known = [count > 0 for count in switches if count is not None]
    return sum(known) / len(known) if known else None


def quiet_ms(run: Run) -> float:
    """What the run took; if its thread gave up the core, only the time that it had the core.

    >>> quiet_ms(Run(wall_ms=1.0, cpu_ms=1.1, switches=0)), quiet_ms(Run(wall_ms=5.0, cpu_ms=1.1, switches=1))
    (1.0, 1.1)
    """
    if run.cpu_ms is None or run.switches == 0:  # nobody knows it better than the clock on the wall
        return run.wall_ms
    return min(run.wall_ms, run.cpu_ms) or run.wall_ms


def _logs(rounds: Rounds) -> Matrix:
    """Rounds by graphs: the logarithm of the quickest run of each visit."""
    count = min(map(len, rounds.values()))
    return np.log([[min(map(quiet_ms, visit)) for visit in visits[:count]] for visits in rounds.values()]).T


def _levels(logs: Matrix, shared: Matrix) -> Matrix:
    """The logarithm of every graph's latency, with what the rounds have in `shared`."""
    level: Matrix = np.quantile(logs - shared[:, None], QUARTILE, axis=0) + np.quantile(shared, QUIETEST)
    return level


def _shared(logs: Matrix) -> Matrix:
    """What each round (row) adds to all graphs (columns), by median polish; nothing where the graphs are few."""
    rounds = np.zeros(len(logs))
    if logs.shape[1] < FEWEST_GRAPHS:
        return rounds
    for _ in range(POLISHES):
        graphs = np.median(logs - rounds[:, None], axis=0)
        rounds = np.median(logs - graphs, axis=1)
    return rounds


def _allowances(rounds: Rounds) -> Matrix:
    """By how much every graph's interval is widened on either side, as a logarithm."""
    quickest = [[min(visit, key=quiet_ms) for visit in visits] for visits in rounds.values()]
    interrupted = [np.mean([bool(run.switches) for run in runs]) for runs in quickest]
    return np.log1p(BETWEEN_TIMES + INTERRUPTED * np.array(interrupted))


def _intervals(logs: Matrix, shared: Matrix, allowances: Matrix) -> tuple[Matrix, Matrix]:
    """The ends of every graph's interval, as logarithms."""
    alone = np.array([robust.quantile_interval(column, QUARTILE) for column in (logs - shared[:, None]).T])
    quietest = robust.quantile_interval(shared.tolist(), QUIETEST)
    return alone[:, 0] + quietest[0] - allowances, alone[:, 1] + quietest[1] + allowances
