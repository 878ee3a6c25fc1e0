"""The search for the front in generations: each is proposed by the scores before it, and scored by anybody.

It sees what submodels cost and a study that workers score in, never a supernet. Costs are known before any score, so
nothing outside the budget is ever scored. A generation depends on the scores before it, not on who made them, nor in
which order: with one worker or many, undisturbed or resumed, a search scores the same submodels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from bstsearch.errors import UsageError
from bstsearch.profiles.robust import rank_correlation
from bstsearch.reading import parsing
from bstsearch.searching.budget import Budget
from bstsearch.searching.members import Watch
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.proposing import AUTO, EXACT, choose_sampler, is_small, make_proposer
from bstsearch.searching.scoring import Outcome
from bstsearch.searching.study import Study
from bstsearch.searching.trials import OPEN, Draw, budget_of, foretold_of, generation_of, make_trial
from bstsearch.searching.working import Pauses
from bstsearch.space import Space, Submodel

TRIALS = 100
SIZE = 8  # submodels of a generation
GENERATION_SIZE = "generation_size"  # the attribute that tells it
REMEMBERED, FEWEST = 50, 8  # of the last foretold scores, so many make up the quality
WALKED = 4096  # of spaces up to this size it can be said that all within the budget are scored

Progress = Callable[[str, int, int, str], None]  # what is done, how much, of how much, and the best so far
SHOWN_ID = 24  # characters; those of layer-wise submodels are longer than any line


@dataclass(frozen=True, kw_only=True)
class Searched:
    """What a search leaves: the candidates it knows, and whether all within the budget were scored."""

    candidates: tuple[Candidate, ...]
    sampler: str
    is_exact: bool
    trials: int


def search_study(
    study: Study,
    space: Space,
    *,
    cost: Callable[[Submodel], Candidate],
    step: Callable[[], bool],
    budget: Budget,
    known: Callable[[Submodel], Outcome | None] = lambda _: None,
    earlier: Iterable[Submodel] = (),
    sampler: str = AUTO,
    trials: int = TRIALS,
    seed: int = 0,
    size: int = SIZE,
    progress: Progress = lambda *_: None,
    pauses: Pauses | None = None,
) -> Searched:
    """Has workers score what `study` lacks, each submodel at most once.

    `step` does a piece of the scoring and is called until all are scored; it returns False where there is nothing for
    it to do at the moment, since others are at work. What is `known` needs no scoring, and a new study begins with it:
    with those of the `earlier` submodels that the budget admits. The sampler aims at the study's
    objectives. One that is dropped counts as scored: another is better, and costs no more. A sampled search ends when
    `trials` submodels have been scored under this budget or a looser one, now or earlier, or when nothing new is found.
    InfeasibleBudgetError comes before any scoring.
    """
    search = _Search(study, space, cost, budget, sampler, seed)
    listed = [search.price(submodel) for submodel in looked_at_first(space)]
    budget.check_feasible(listed)
    search.take_over(earlier, known)
    generation, is_exhausted, pauses = search.begin(), False, pauses or Pauses()
    before, is_listing = search.counted(), search.sampler == EXACT
    wanted = sum(map(search.is_open, listed)) if is_listing else max(0, trials - before)
    while not is_exhausted:
        room = size if is_listing else trials - search.counted(generation)
        if room <= 0:
            break
        proposed = search.propose(generation, size)
        search.enqueue(proposed[:room], generation, known)
        while search.look_after():
            progress("scoring", search.counted() - before, wanted, search.words)
            if step():
                pauses.reset()
            else:
                pauses.take()
        is_exhausted, generation = len(proposed) < size, generation + 1
    candidates = {one.id: one for one in [*listed, *study.candidates]}
    return Searched(
        candidates=tuple(candidates.values()),
        sampler=search.sampler,
        is_exact=search.is_exact(listed, is_exhausted=is_exhausted),
        trials=search.counted(),
    )


def settle_size(study: Study, asked: int | None) -> int:
    """How many submodels a generation of the study has, which is settled once: what it finds depends on it."""
    held = study.attributes.get(GENERATION_SIZE)
    if isinstance(held, int) and held > 0:
        if asked not in (None, held):
            raise UsageError(f"{study.where}: the study goes in generations of {held}; give --generation {held}")
        return held
    study.set_attributes({GENERATION_SIZE: asked or SIZE})
    return asked or SIZE


def looked_at_first(space: Space) -> list[Submodel]:
    """The submodels whose costs tell whether a budget can be met: all of a small space, else its corners.

    In a large space, the smallest submodel is taken to be the cheapest.
    """
    return list(space) if is_small(space) else [space.smallest, space.middle, space.largest]


class _Search:
    """The search in progress: what is known, and what to do next."""

    def __init__(
        self,
        study: Study,
        space: Space,
        cost: Callable[[Submodel], Candidate],
        budget: Budget,
        sampler: str,
        seed: int,
    ) -> None:
        self._study, self._space, self._cost, self._budget = study, space, cost, budget
        self._proposer = make_proposer(
            sampler,
            space,
            objectives=study.objectives,
            cost=self.price,
            is_admitted=lambda submodel: budget.admits(self.price(submodel)),
            seed=seed,
        )
        self.sampler = choose_sampler(sampler, space)
        self._draw = Draw(budget=budget, sampler=self.sampler, seed=seed, objectives=str(study.objectives))
        self._priced: dict[Submodel, Candidate] = {}
        self._counts: dict[int, bool] = {}
        self._watch = Watch()

    def take_over(self, earlier: Iterable[Submodel], known: Callable[[Submodel], Outcome | None]) -> None:
        """Begins a study that holds nothing yet with what is known, as its generation 0."""
        if not self._study.trials():
            inside = [one for one in earlier if one in self._space and self._budget.admits(self.price(one))]
            self.enqueue(inside, 0, known)

    def begin(self) -> int:
        """The generation to go on with, once nothing of another draw waits any more."""
        for trial in self._study.trials((TrialState.WAITING,)):
            self._withdraw_other(trial)
        trials = self._study.trials()
        last = max(map(generation_of, trials), default=0)
        is_ours = all(self._draw.has_drawn(trial) for trial in trials if generation_of(trial) == last)
        return last if is_ours and last else last + 1

    def propose(self, generation: int, count: int) -> list[Submodel]:
        """That generation, whole: by the scores of those before it."""
        before = [trial for trial in self._finished() if generation_of(trial) < generation]
        return self._proposer.propose([self._study.candidate(trial) for trial in before], count)

    def enqueue(
        self, submodels: Iterable[Submodel], generation: int, known: Callable[[Submodel], Outcome | None]
    ) -> None:
        """Has those of a generation scored that have no trial yet."""
        candidates = [self._known(submodel, known(submodel)) for submodel in submodels]
        objectives, foretold = self._study.objectives, self._proposer.foretold
        self._study.add(
            make_trial(one, self._space, objectives, self._draw, generation, foretold.get(one.submodel))
            for one in candidates
        )

    def _known(self, submodel: Submodel, outcome: Outcome | None) -> Candidate:
        candidate = self.price(submodel)
        return candidate if outcome is None else outcome.of(candidate)

    def look_after(self) -> bool:
        """Whether something is still to be scored; what workers that are gone have left can be claimed again."""
        self._study.look()
        for trial in self._study.release_gone(self._watch):
            self._withdraw_other(trial)
        return bool(self._study.trials(OPEN))

    def counted(self, generation: int | None = None) -> int:
        """How many trials, of generations before that one, were drawn from a region that holds the budget's."""
        return sum(
            self._is_counted(trial)
            for trial in self._finished()
            if generation is None or generation_of(trial) < generation
        )

    @property
    def words(self) -> str:
        """The best candidate so far, and how well the sampler ranked submodels that it had not seen, where it did."""
        quality = self.quality
        foretold = "" if quality is None else f"rank correlation of what was foretold {quality:.2f}"
        return ", ".join(filter(None, [self.best, foretold]))

    @property
    def quality(self) -> float | None:
        """The rank correlation of what was foretold of the last submodels with their scores; None where few were."""
        loss, foretold, gains = self._study.objectives.metric.loss, list[float](), list[float]()
        for trial in self._finished():
            value, found = foretold_of(trial), self._study.candidate(trial).found
            if value is not None and found is not None:
                foretold.append(value)
                gains.append(-loss(found.value))
        is_known = len(gains) >= FEWEST
        return rank_correlation(foretold[-REMEMBERED:], gains[-REMEMBERED:]) if is_known else None

    @property
    def best(self) -> str:
        """The best candidate within the budget so far, in words; empty where there is none."""
        whole = [candidate for candidate in self._study.candidates if candidate.accuracy is not None]
        scored = [candidate for candidate in whole if self._budget.admits(candidate)]
        if not scored:
            return ""
        metric, cost = self._study.objectives.metric, self._study.objectives.first
        best = min(scored, key=lambda one: (metric.loss(one.score), cost.of(one).value))
        name = best.id if len(best.id) <= SHOWN_ID else f"{best.id[: SHOWN_ID - 3]}..."
        return f"best {metric.words(best.score)} at {f'{cost.of(best).value:.3g} {cost.unit}'.rstrip()} ({name})"

    def price(self, submodel: Submodel) -> Candidate:
        """What `submodel` costs; computed once."""
        if submodel not in self._priced:
            self._priced[submodel] = self._cost(submodel)
        return self._priced[submodel]

    def is_open(self, candidate: Candidate) -> bool:
        """Whether the candidate may be scored and has not been."""
        return self._budget.admits(candidate) and candidate.submodel not in self._scored()

    def is_exact(self, listed: Sequence[Candidate], *, is_exhausted: bool) -> bool:
        """Whether all that the budget admits is scored; of very large spaces that is not known."""
        if is_small(self._space):
            return not any(map(self.is_open, listed))
        is_walked = is_exhausted and self._space.size <= WALKED
        scored = self._scored()
        return is_walked and all(one in scored or not self._budget.admits(self.price(one)) for one in self._space)

    def _finished(self) -> list[FrozenTrial]:
        return self._study.finished

    def _scored(self) -> set[Submodel]:
        return {one.submodel for one in self._study.candidates}

    def _is_counted(self, trial: FrozenTrial) -> bool:
        if trial.number not in self._counts:
            with parsing(self._study.where):
                self._counts[trial.number] = budget_of(trial).covers(self._budget)
        return self._counts[trial.number]

    def _withdraw_other(self, trial: FrozenTrial) -> None:
        """Has nobody score a trial of another draw: the budget may not admit it."""
        if not self._draw.has_drawn(trial):
            self._study.withdraw(trial)
