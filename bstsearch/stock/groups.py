"""The search for settings that shrink together: alone, then in pairs, and on from what came further than before."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence

from bstsearch.listener import SILENT, Listener
from bstsearch.stock.deadline import Deadline, OutOfTimeError
from bstsearch.stock.trial import INERT, Bench, Stage, Trial

MOST = 4  # settings of one group
WORDS = {Stage.BUILD: "the class refuses less of it", Stage.RUN: "the class does not run with less of it"}

Names = tuple[str, ...]


@dataclasses.dataclass(kw_only=True)
class GroupSearch:
    """The search on one bench; `trials` holds what came of each attempt, `left` what the time did not reach."""

    bench: Bench
    deadline: Deadline = dataclasses.field(default_factory=Deadline)
    listener: Listener = SILENT
    trials: dict[Names, Trial] = dataclasses.field(default_factory=dict)
    proved: list[Trial] = dataclasses.field(default_factory=list)
    left: tuple[str, ...] = ()
    is_cut_short: bool = False

    def run(self, names: Sequence[str]) -> None:
        """Looks for groups among these settings until all are in one, nothing is left to try, or time is over."""
        for name in names:
            self._attempt((name,))
        for count in range(2, MOST + 1):
            for group in self._next(self._open(names), count):
                if not set(group) & self._taken():
                    self._attempt(group)
        if self.is_cut_short:
            self.left = tuple(name for name in self._open(names) if not self._has_no_weight(name))

    def reasons(self) -> dict[str, str]:
        """Why each setting that is in no group stays as it is, by its trial alone."""
        names = {name for trial in self.trials for name in trial if len(trial) == 1} - self._taken() - set(self.left)
        return {name: self._reason(name) for name in sorted(names)}

    def furthest(self) -> str:
        """Of the settings that have weights, the one that came furthest by itself, and why no further."""
        trials = [trial for trial in self.trials.values() if trial.stage is not Stage.NO_WEIGHT or trial.cut]
        if not trials:
            return "it has no sizes"
        last = max(trials, key=lambda trial: (trial.stage, -len(trial.names)))
        return f"{' + '.join(last.names)}: {last.reason}"

    def _reason(self, name: str) -> str:
        trial = self.trials[(name,)]
        if trial.stage is Stage.ORACLE and math.isfinite(trial.error):
            return f"{trial.reason}: something in the code depends on it"
        if trial.stage in WORDS:
            return f"{WORDS[trial.stage]}: {trial.reason}"
        return trial.reason

    def _attempt(self, names: Names) -> None:
        self.listener.progress("looking for sizes that shrink together", len(self.trials), None, " + ".join(names))
        try:
            self.deadline.check()
            trial = self.trials[names] = self.bench.try_together(names)
        except OutOfTimeError:
            self.is_cut_short = True
            return
        if trial.is_proved:
            self.proved.append(trial)

    def _taken(self) -> set[str]:
        return {name for trial in self.proved for name in trial.names}

    def _open(self, names: Sequence[str]) -> list[str]:
        taken = self._taken()
        return [name for name in names if name not in taken and not self._is_inert(name)]

    def _is_inert(self, name: str) -> bool:
        trial = self.trials.get((name,))
        return trial is not None and trial.reason == INERT

    def _has_no_weight(self, name: str) -> bool:
        trial = self.trials.get((name,))
        return trial is not None and trial.stage is Stage.NO_WEIGHT and not trial.cut

    def _next(self, names: Sequence[str], count: int) -> Iterator[Names]:
        """The groups of that many to try: those of one part of the configuration first."""
        groups = [group for group in itertools.combinations(names, count) if self._is_promising(group)]
        yield from sorted(
            groups, key=lambda group: (len({name.rpartition(".")[0] for name in group}), self._rank(group))
        )

    def _is_promising(self, group: Names) -> bool:
        """Whether some of its members have weights, and those without one came far, or further than each of them."""
        if all(self._has_no_weight(name) for name in group):
            return False
        if len(group) == 2:
            return True
        return any(self._came_further(part) for part in itertools.combinations(group, len(group) - 1))

    def _came_further(self, group: Names) -> bool:
        trial = self.trials.get(group)
        if trial is None or trial.stage is Stage.BUILD or not trial.cut:
            return False
        tried = [self.trials.get(part) for part in itertools.combinations(group, len(group) - 1)]
        parts = [part for part in tried if part is not None]
        if trial.stage is Stage.ORACLE:
            return True
        return all(part.stage < trial.stage or part.reason != trial.reason for part in parts)

    def _rank(self, group: Names) -> int:
        """The further its parts came, the earlier."""
        return -sum(self.trials[(name,)].stage for name in group if (name,) in self.trials)


def wanted(proved: Sequence[Trial]) -> tuple[list[Trial], dict[str, str]]:
    """The groups to shrink, and why the others are not wanted: their axes follow another group already.

    So the size of a head is told apart, which cuts the same axes as the number of heads, inside of each.
    """
    kept: list[Trial] = []
    unwanted: dict[str, str] = {}
    for trial in sorted(proved, key=lambda one: (bool(one.parts), -len(one.cut))):
        other = next((one for one in [*kept, *proved] if one is not trial and trial.cut < one.cut), None)
        other = other or next((one for one in kept if trial.cut == one.cut), None)
        if other is None:
            kept.append(trial)
        else:
            what = "exact, but its axes follow " + " + ".join(other.names) + " already"
            unwanted |= dict.fromkeys(trial.names, what)
    return [trial for trial in proved if trial in kept], unwanted
