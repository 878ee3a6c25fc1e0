"""The searchers that benchmarks/search.py compares: each yields submodels, and is told how they scored.

Peers see each submodel that they draw a second time, and each one over the budget, for free: only new ones that are
admitted count as scores. What a peer draws over and over is given up after a while for a random one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import optuna
from optuna.distributions import IntDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, TPESampler
from optuna.trial import TrialState

from bstsearch.searching.admitted import Admitted
from bstsearch.searching.choices import Rows
from bstsearch.searching.costs import Objectives
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.proposing import make_proposer
from bstsearch.space import Submodel
from search_problems import Problem, scored

OBJECTIVES = Objectives(("accuracy", "gflops"))
GENERATION = 8
PATIENCE = 40  # draws of a peer for one new submodel

Search = Iterator[Candidate]  # what was scored, one after the other, each submodel once


def auto(problem: Problem, seed: int) -> Search:
    """This project's, in generations of eight."""
    return _proposed("auto", problem, seed)


def corners_and_random(problem: Problem, seed: int) -> Search:
    """The smallest, middle and largest submodel, then uniform draws, made smaller until they fit."""
    known = _Known(problem)
    yield from known.corners()
    draw = np.random.default_rng(seed)
    while True:
        yield from known.new(known.random(draw))


def optuna_nsga2(problem: Problem, seed: int) -> Search:
    """Optuna's NSGA-II, population 20."""
    return _asked(NSGAIISampler(population_size=20, seed=seed), problem, seed)


def optuna_tpe(problem: Problem, seed: int) -> Search:
    """Optuna's tree of Parzen estimators."""
    return _asked(TPESampler(seed=seed), problem, seed)


def optuna_gp(problem: Problem, seed: int) -> Search:
    """Optuna's Gaussian process."""
    return _asked(GPSampler(seed=seed), problem, seed)


def pymoo_nsga2(problem: Problem, seed: int) -> Search:
    """pymoo's NSGA-II for whole numbers, population 20; a budget is a constraint."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.population import Population
    from pymoo.core.problem import Problem as Pymoo
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling

    known = _Known(problem)
    choices = known.admitted.choices
    upper = np.array([len(one.options) - 1 for one in choices.all])
    repair = RoundingRepair()
    algorithm = NSGA2(
        pop_size=20,
        sampling=IntegerRandomSampling(),
        crossover=SBX(prob=1.0, eta=3.0, vtype=float, repair=repair),
        mutation=PM(prob=1.0, eta=3.0, vtype=float, repair=repair),
        eliminate_duplicates=True,
    )
    algorithm.setup(
        Pymoo(n_var=len(upper), n_obj=2, n_ieq_constr=1, xl=0 * upper, xu=upper, vtype=int),
        termination=("n_gen", 10**6),
        seed=seed,
        verbose=False,
    )
    draw, idle = np.random.default_rng(seed), 0
    while True:
        asked: Population = algorithm.ask()
        rows = choices.settled(asked.get("X").round().astype(np.int64))
        before, values, over = len(known.scored), [], []
        for submodel in choices.submodels(rows):
            is_admitted = problem.is_admitted(submodel)
            if is_admitted:
                yield from known.new([submodel])
            values.append(known.losses(submodel) if is_admitted else (0.0, known.gflops(submodel)))
            over.append([-1.0 if is_admitted else 1.0])
        asked.set("F", np.array(values), "G", np.array(over))
        algorithm.tell(infills=asked)
        idle = 0 if len(known.scored) > before else idle + 1
        if idle * len(rows) > PATIENCE or not len(rows):
            yield from known.new(known.random(draw))


class _Known:
    """What a searcher has been told."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.admitted = problem, Admitted(problem.space, problem.is_admitted)
        self.scored: dict[Submodel, Candidate] = {}

    def new(self, submodels: Sequence[Submodel]) -> Iterator[Candidate]:
        """Scores those that are new."""
        for one in submodels:
            if one not in self.scored:
                self.scored[one] = scored(self.problem, one)
                yield self.scored[one]

    def corners(self) -> Iterator[Candidate]:
        """Scores the corners that are admitted."""
        space = self.problem.space
        corners = (space.smallest, space.middle, space.largest)
        yield from self.new([one for one in corners if self.problem.is_admitted(one)])

    def random(self, draw: np.random.Generator) -> list[Submodel]:
        """One that is drawn uniformly, or what fits of it."""
        sizes = [len(one.options) for one in self.admitted.choices.all]
        while not (
            found := self.admitted.fitted(self.admitted.choices.settled(draw.integers(0, sizes, (1, len(sizes)))), draw)
        ):
            pass
        return found

    def losses(self, submodel: Submodel) -> tuple[float, float]:
        """Its error, and what it costs."""
        return 1 - self.scored[submodel].score, self.gflops(submodel)

    def gflops(self, submodel: Submodel) -> float:
        """What it costs."""
        return self.problem.cost(submodel).gflops


def _proposed(name: str, problem: Problem, seed: int) -> Search:
    proposer = make_proposer(
        name, problem.space, objectives=OBJECTIVES, cost=problem.cost, is_admitted=problem.is_admitted, seed=seed
    )
    found: list[Candidate] = []
    while new := proposer.propose(found, GENERATION):
        found += [scored(problem, one) for one in new]
        yield from found[-len(new) :]


def _asked(sampler: BaseSampler, problem: Problem, seed: int) -> Search:
    known = _Known(problem)
    choices = known.admitted.choices
    distributions = {one.name: IntDistribution(0, len(one.options) - 1) for one in choices.all}
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    draw = np.random.default_rng(seed)
    idle = 0
    while True:
        if idle > PATIENCE:
            (one,) = known.random(draw)
            row = choices.row(one).tolist()
            study.enqueue_trial(dict(zip(distributions, row, strict=True)))
        trial = study.ask(distributions)
        row_1C: Rows = choices.settled(np.array([[trial.params[name] for name in distributions]]))
        (submodel,) = choices.submodels(row_1C)
        if not problem.is_admitted(submodel):
            study.tell(trial, state=TrialState.FAIL)
            idle += 1
            continue
        idle = idle + 1 if submodel in known.scored else 0
        yield from known.new([submodel])
        study.tell(trial, [known.scored[submodel].score, known.gflops(submodel)])


SEARCHERS = {
    "auto": auto,
    "random with corners": corners_and_random,
    "Optuna NSGA-II": optuna_nsga2,
    "Optuna TPE": optuna_tpe,
    "pymoo NSGA-II": pymoo_nsga2,
    "Optuna GP": optuna_gp,
}
