"""Optuna's samplers as choosers of what to score next; what they draw is made to exist, to fit and to be new."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import (
    BaseGASampler,
    BaseSampler,
    GPSampler,
    NSGAIIISampler,
    NSGAIISampler,
    RandomSampler,
    TPESampler,
)
from optuna.trial import TrialState

from bstsearch.searching.admitted import Admitted
from bstsearch.searching.choices import Rows
from bstsearch.searching.costs import Objectives
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.proposing import NOTHING
from bstsearch.searching.study import directions
from bstsearch.space import Submodel

POPULATION = 20  # of NSGA-II and NSGA-III: five generations in the default number of trials
DRAWS = 20  # in a row without a new submodel; then random ones: a sampler that has converged repeats itself
RANDOM = 80

MAKERS: Mapping[str, Callable[[int], BaseSampler]] = {
    "nsga2": lambda seed: NSGAIISampler(population_size=POPULATION, seed=seed),
    "nsga3": lambda seed: NSGAIIISampler(population_size=POPULATION, seed=seed),
    "tpe": lambda seed: TPESampler(seed=seed),
    "gp": lambda seed: GPSampler(seed=seed),
    "random": lambda seed: RandomSampler(seed=seed),
}


class OptunaSampling:
    """Chooses by one of Optuna's samplers, from a study in memory that is made anew from what is scored."""

    foretold = NOTHING

    def __init__(self, name: str, admitted: Admitted, objectives: Objectives, seed: int) -> None:
        self._make, self._admitted, self._objectives, self._seed = MAKERS[name], admitted, objectives, seed
        self._distributions: dict[str, BaseDistribution] = {
            one.name: IntDistribution(0, len(one.options) - 1) for one in admitted.choices.all
        }

    def choose(
        self, scored: Sequence[Candidate], taken: Collection[Submodel], count: int, draw: np.random.Generator
    ) -> list[Submodel]:
        """As `Strategy.choose`."""
        study = self._study(scored)
        found: dict[Submodel, None] = {}
        idle = 0
        while len(found) < count and idle < DRAWS:
            trial = study.ask(self._distributions)
            row = np.array([[trial.params[name] for name in self._distributions]])
            new = [one for one in self._fitted(row, draw) if one not in taken and one not in found]
            found |= dict.fromkeys(new)
            idle = 0 if new else idle + 1
            if not new:
                study.tell(trial, state=TrialState.FAIL)
        if len(found) < count:
            others = self._admitted.drawn(draw, RANDOM)
            found |= dict.fromkeys(one for one in others if one not in taken)
        return list(found)[:count]

    def _fitted(self, row: Rows, draw: np.random.Generator) -> list[Submodel]:
        return self._admitted.fitted(self._admitted.choices.settled(row), draw)

    def _study(self, scored: Sequence[Candidate]) -> optuna.Study:
        """The scored submodels as finished trials, told one after the other, so that genetic samplers have parents."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # it tells of each study
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # as some have been for years
            sampler = self._make(self._seed + len(scored))
        study = optuna.create_study(directions=directions(self._objectives), sampler=sampler)
        for one in scored:
            if one.submodel in self._admitted.space:
                row = self._admitted.choices.row(one.submodel).tolist()
                study.enqueue_trial(dict(zip(self._distributions, row, strict=True)))
                trial = study.ask(self._distributions)
                if isinstance(study.sampler, BaseGASampler):  # which counts generations only as it samples
                    study.sampler.get_trial_generation(study, study.get_trials(deepcopy=False)[-1])
                study.tell(trial, self._objectives.values(one))
        return study
