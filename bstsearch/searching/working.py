"""A worker: it claims a submodel that waits, scores it and tells, again and again, and may end at any moment."""

from __future__ import annotations

import time
from collections.abc import Callable

from optuna.trial import FrozenTrial, TrialState

from bstsearch.errors import InputError
from bstsearch.reading import parsing
from bstsearch.searching.members import GRACE_S, Member, Watch, beating
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.racing import find_rivals
from bstsearch.searching.scoring import Outcome, Scorer
from bstsearch.searching.study import LEADER, Study
from bstsearch.searching.trials import OPEN, SCORE, generation_of, score_data

SHORT_S, LONG_S = 0.05, 2.0  # pauses between looks at a study in which nothing waits


class Pauses:
    """Pauses that grow while there is nothing to do."""

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep, self._next_s = sleep, SHORT_S

    def take(self) -> None:
        """Waits, twice as long as the last time."""
        self._sleep(self._next_s)
        self._next_s = min(2 * self._next_s, LONG_S)

    def reset(self) -> None:
        """Begins with short ones again: there was something to do."""
        self._next_s = SHORT_S


class Worker:
    """Scores what waits in a study, one submodel at a time; what it has at the moment goes back where it is stopped.

    A submodel is dropped where one of an earlier generation that costs no more is better beyond doubt. Those of its own
    generation are no rivals, so it does not matter who scores what, and when.
    """

    def __init__(self, study: Study, score: Scorer) -> None:
        self.study, self._score = study, score
        self.member = Member.here()
        self.done = 0

    def step(self) -> bool:
        """Scores one of those that waited at the last look at the study; False where there is none."""
        trial = self.study.claim(self.member)
        if trial is None:
            return False
        try:
            self.done += self._finish(trial)
        except BaseException:
            self.study.give_back(trial, self.member)
            raise
        return True

    def _finish(self, trial: FrozenTrial) -> bool:
        candidate = self.study.candidate(trial)
        with beating(lambda number: self.study.beat(trial, self.member, number)):
            outcome = self._score.score(candidate.submodel, self._rivals(trial, candidate))
        self._check_total(outcome)
        scored = outcome.of(candidate)
        values = self.study.objectives.values(scored) if outcome.is_whole else None
        return self.study.finish(trial, {SCORE: score_data(scored)}, values)

    def _rivals(self, trial: FrozenTrial, candidate: Candidate) -> dict[str, str]:
        generation = generation_of(trial)
        complete = self.study.trials((TrialState.COMPLETE,))
        earlier = [self.study.candidate(one) for one in complete if generation_of(one) < generation]
        with parsing(self.study.where):
            return find_rivals(candidate, earlier, self.study.objectives.metric)

    def _check_total(self, outcome: Outcome) -> None:
        """Refuses to mix scores on one set of questions with those on another."""
        score = outcome.score
        totals = {one.accuracy.total for one in self.study.candidates if one.accuracy is not None}
        if totals and outcome.is_whole and score.total not in totals:
            raise InputError(
                f"{self.study.where}: the study was scored on {max(totals):,} questions, here there are "
                f"{score.total:,}; give the --data-dir that holds the same data"
            )


def work(worker: Worker, told: Callable[[int], None], sleep: Callable[[float], None] = time.sleep) -> None:
    """Has `worker` score until nobody searches in its study any more and nothing waits; `told` hears how many it has.

    Somebody who searches and falls silent is waited for as long as any member.
    """
    watch, pauses, silent = Watch(), Pauses(sleep), 0.0
    while True:
        worker.study.look()
        if worker.step():
            told(worker.done)
            pauses.reset()
            continue
        leader = worker.study.leader()
        if leader is None and not worker.study.trials(OPEN):
            return
        silent = watch.stood_s(LEADER, leader)
        if silent >= GRACE_S:
            return
        pauses.take()
