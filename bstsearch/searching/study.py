"""The search for the front: an Optuna study over a space, exact where it is small, sampled where it is large.

It sees what submodels cost and a callable that scores one, never a supernet. Costs are known before any
score, so nothing outside the budget is ever scored.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import optuna
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler

from bstsearch.errors import UsageError
from bstsearch.reading import parsing
from bstsearch.score import Score
from bstsearch.searching.budget import Budget
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.samplers import Choices, EnqueuedOnly, ExhaustedError, FeasibleSampler, from_params, to_params
from bstsearch.searching.study_file import StudyFile, directions
from bstsearch.space import Space, Submodel

ENUMERATED = 64  # spaces up to this size are enumerated
TRIALS = 100
POPULATION = 20  # of NSGA-II: five generations in the default number of trials
EXACT, NSGA2, TPE, AUTO = "exact", "nsga2", "tpe", "auto"
SAMPLERS = (AUTO, NSGA2, TPE)

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
    study: StudyFile,
    space: Space,
    *,
    cost: Callable[[Submodel], Candidate],
    score: Callable[[Submodel], Score],
    budget: Budget,
    sampler: str = AUTO,
    trials: int = TRIALS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Searched:
    """Scores what `study` lacks, each submodel at most once, and stores each score as soon as it is there.

    A sampler aims at the study's objectives. A sampled search ends when `trials` submodels have been scored under this
    budget or a looser one, now or earlier, or when nothing new is found. InfeasibleBudgetError comes before any
    scoring.
    """
    sampler = choose_sampler(sampler, space)
    work = _Work(study, cost, score, budget)
    listed = [work.price(submodel) for submodel in looked_at_first(space)]
    budget.check_feasible(listed)
    corners = [work.price(submodel) for submodel in (space.smallest, space.middle, space.largest)]
    first = [candidate.submodel for candidate in (listed if sampler == EXACT else corners) if work.is_open(candidate)]
    wanted = len(first) if sampler == EXACT else max(0, trials - work.done)
    work.start(space, sampler, seed)
    is_exhausted = False
    try:
        for number in range(wanted):
            if progress:
                progress("scoring", number, wanted, work.best)
            work.score_next(first[number] if number < len(first) else None)
    except ExhaustedError as end:
        is_exhausted = end.is_certain
    candidates = {candidate.id: candidate for candidate in [*listed, *work.scored.values()]}
    return Searched(
        candidates=tuple(candidates.values()),
        sampler=sampler,
        is_exact=is_exhausted or (is_small(space) and not any(map(work.is_open, candidates.values()))),
        trials=work.done,
    )


def is_small(space: Space) -> bool:
    """Whether `space` is small enough to be enumerated."""
    return space.size <= ENUMERATED


def looked_at_first(space: Space) -> list[Submodel]:
    """The submodels whose costs tell whether a budget can be met: all of a small space, else its corners.

    In a large space, the smallest submodel is taken to be the cheapest.
    """
    return list(space) if is_small(space) else [space.smallest, space.middle, space.largest]


def choose_sampler(name: str, space: Space) -> str:
    """`name`, or for "auto" what suits the size of `space`; UsageError where there is no such sampler."""
    if name not in SAMPLERS:
        raise UsageError(f"unknown sampler {name!r}; there are {', '.join(SAMPLERS)}")
    if name == AUTO:
        return EXACT if is_small(space) else NSGA2
    return name


class _Work:
    """The search in progress: what is known, and the study that the sampler works on.

    That study is a copy in memory: Optuna asks its storage for each choice of each trial, which on SQLite
    takes 0.3 s for the eighteen choices of a layer-wise trial, a good part of the time to score it. A
    finished trial goes to the file at once.
    """

    def __init__(
        self,
        study: StudyFile,
        cost: Callable[[Submodel], Candidate],
        score: Callable[[Submodel], Score],
        budget: Budget,
    ) -> None:
        self._study, self._cost, self._score, self._budget = study, cost, score, budget
        self._priced: dict[Submodel, Candidate] = {}
        self.scored = {candidate.submodel: candidate for candidate in study.candidates}

    @property
    def done(self) -> int:
        """How many trials were drawn from a region that holds the budget's."""
        return sum(budget.covers(self._budget) for budget in self._study.budgets)

    @property
    def best(self) -> str:
        """The best candidate within the budget so far, in words; empty where there is none."""
        scored = [candidate for candidate in self.scored.values() if self._budget.admits(candidate)]
        if not scored:
            return ""
        metric, cost = self._study.objectives.metric, self._study.objectives.first
        best = min(scored, key=lambda one: (metric.loss(one.score), cost.of(one).value))
        name = best.id if len(best.id) <= SHOWN_ID else f"{best.id[: SHOWN_ID - 3]}..."
        return f"best {metric.words(best.score)} at {f'{cost.of(best).value:.3g} {cost.unit}'.rstrip()} ({name})"

    def price(self, submodel: Submodel) -> Candidate:
        """What `submodel` costs, and its accuracy where it is known; computed once."""
        if submodel in self.scored:
            return self.scored[submodel]
        if submodel not in self._priced:
            self._priced[submodel] = self._cost(submodel)
        return self._priced[submodel]

    def is_open(self, candidate: Candidate) -> bool:
        """Whether the candidate may be scored and has not been."""
        return candidate.submodel not in self.scored and self._budget.admits(candidate)

    def start(self, space: Space, sampler: str, seed: int) -> None:
        """Makes the study to work on: the finished trials, and a sampler for the next ones."""
        # Each run draws anew: with the same seed a resumed search would begin with duplicates.
        seed += len(self._study.trials)
        self._choices = Choices(space)
        self._trials = optuna.create_study(
            directions=directions(self._study.objectives), sampler=self._sampler(space, sampler, seed)
        )
        with parsing(self._study.path):
            self._trials.add_trials(self._study.trials)

    def score_next(self, submodel: Submodel | None) -> None:
        """Scores `submodel`, or the sampler's choice where it is None; ExhaustedError where that has none."""
        if submodel is not None:
            self._trials.enqueue_trial(to_params(self._choices.row(submodel)))
        trial = self._trials.ask(self._choices.distributions)
        submodel = self._choices.submodel(from_params(trial.params))
        candidate = dataclasses.replace(self.price(submodel), accuracy=self._score(submodel))
        for name, value in {**candidate.to_json(), "budget": self._budget.to_json()}.items():
            trial.set_user_attr(name, value)
        self._study.add(self._trials.tell(trial, self._study.objectives.values(candidate)))
        self.scored[submodel] = candidate

    def _sampler(self, space: Space, name: str, seed: int) -> BaseSampler:
        if name == EXACT:
            return EnqueuedOnly()
        inner = TPESampler(seed=seed) if name == TPE else NSGAIISampler(population_size=POPULATION, seed=seed)
        return FeasibleSampler(
            inner,
            space,
            is_admitted=lambda submodel: self._budget.admits(self.price(submodel)),
            is_new=lambda submodel: submodel not in self.scored,
            seed=seed,
        )
