"""What to score next: proposals for a generation, by Optuna's samplers, such that each exists, fits and is new."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

import optuna
from optuna.samplers import NSGAIISampler, TPESampler

from bstsearch.errors import UsageError
from bstsearch.searching.costs import Objectives
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.samplers import Choices, ExhaustedError, FeasibleSampler, from_params, to_params
from bstsearch.searching.study import directions
from bstsearch.space import Space, Submodel

ENUMERATED = 64  # spaces up to this size are listed
POPULATION = 20  # of NSGA-II
EXACT, NSGA2, TPE, AUTO = "exact", "nsga2", "tpe", "auto"
SAMPLERS = (AUTO, NSGA2, TPE)


class Proposer(Protocol):
    """Proposes submodels, by the seed and the set of what is scored; the order of that is without meaning."""

    name: str

    def propose(self, scored: Sequence[Candidate], count: int) -> list[Submodel]:
        """Up to `count` new submodels within the budget; fewer where there are no more, or none are found."""

    @property
    def quality(self) -> float | None:
        """How well it ranked submodels that it had not seen, from -1 to 1; None where it has no model."""


def make_proposer(
    name: str,
    space: Space,
    *,
    objectives: Objectives,
    cost: Callable[[Submodel], Candidate],  # noqa: ARG001
    is_admitted: Callable[[Submodel], bool],
    seed: int,
) -> Proposer:
    """The proposer of that name; UsageError where there is none."""
    chosen = choose_sampler(name, space)
    if chosen == EXACT:
        return _Listing(space, is_admitted)
    return _Sampling(chosen, space, objectives, is_admitted, seed)


def is_small(space: Space) -> bool:
    """Whether `space` is small enough to be listed."""
    return space.size <= ENUMERATED


def choose_sampler(name: str, space: Space) -> str:
    """`name`, or for "auto" what suits the size of `space`; UsageError where there is no such sampler."""
    if name not in SAMPLERS:
        raise UsageError(f"unknown sampler {name!r}; there are {', '.join(SAMPLERS)}")
    if name == AUTO:
        return EXACT if is_small(space) else NSGA2
    return name


class _Listing:
    """Proposes all there are."""

    name = EXACT
    quality = None

    def __init__(self, space: Space, is_admitted: Callable[[Submodel], bool]) -> None:
        self._space, self._is_admitted = space, is_admitted

    def propose(self, scored: Sequence[Candidate], count: int) -> list[Submodel]:
        """As `Proposer.propose`."""
        known = {one.submodel for one in scored}
        return [one for one in self._space if one not in known and self._is_admitted(one)][:count]


class _Sampling:
    """Proposes the corners, then what an Optuna sampler draws."""

    quality = None

    def __init__(
        self,
        name: str,
        space: Space,
        objectives: Objectives,
        is_admitted: Callable[[Submodel], bool],
        seed: int,
    ) -> None:
        self.name, self._space, self._objectives = name, space, objectives
        self._is_admitted, self._seed = is_admitted, seed

    def propose(self, scored: Sequence[Candidate], count: int) -> list[Submodel]:
        """As `Proposer.propose`."""
        known = {one.submodel for one in scored}
        corners = (self._space.smallest, self._space.middle, self._space.largest)
        found = [one for one in dict.fromkeys(corners) if one not in known and self._is_admitted(one)][:count]
        choices, study = Choices(self._space), self._study(scored, known, found)
        try:
            while len(found) < count:
                trial = study.ask(choices.distributions)
                found.append(choices.submodel(from_params(trial.params)))
        except ExhaustedError:
            pass
        return found

    def _study(self, scored: Sequence[Candidate], known: set[Submodel], found: list[Submodel]) -> optuna.Study:
        seed = self._seed + len(scored)
        inner = TPESampler(seed=seed) if self.name == TPE else NSGAIISampler(population_size=POPULATION, seed=seed)
        sampler = FeasibleSampler(
            inner,
            self._space,
            is_admitted=self._is_admitted,
            is_new=lambda one: one not in known and one not in found,
            seed=seed,
        )
        study, choices = (
            optuna.create_study(directions=directions(self._objectives), sampler=sampler),
            Choices(self._space),
        )
        for one in sorted(scored, key=lambda one: one.id):
            study.add_trial(
                optuna.trial.create_trial(
                    params=to_params(choices.row(one.submodel)),
                    distributions=choices.distributions,
                    values=self._objectives.values(dataclasses.replace(one, accuracy=one.found)),
                )
            )
        return study
