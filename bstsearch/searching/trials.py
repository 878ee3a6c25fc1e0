"""What a trial of a study says: a submodel, what it costs, how it was drawn, and once it is scored its score."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from bstsearch.searching.budget import Budget
from bstsearch.searching.costs import Objectives
from bstsearch.searching.pareto import Candidate
from bstsearch.space import Space, Submodel

LIVE = (TrialState.WAITING, TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
OPEN = (TrialState.WAITING, TrialState.RUNNING)

BUDGET, GENERATION, WORKER = "budget", "generation", "worker"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Draw:
    """How the submodels of a search are drawn; trials of the same draw belong to the same search."""

    budget: Budget
    objectives: str
    sampler: str
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Plain data, as it is among a trial's attributes."""
        return {
            BUDGET: self.budget.to_json(),
            "objectives": self.objectives,
            "sampler": self.sampler,
            "seed": self.seed,
        }

    def has_drawn(self, trial: FrozenTrial) -> bool:
        """Whether the trial is one of this draw."""
        return all(trial.user_attrs.get(name) == value for name, value in self.to_json().items())


def make_trial(candidate: Candidate, space: Space, objectives: Objectives, draw: Draw, generation: int) -> FrozenTrial:
    """A trial that waits for its score, or where the candidate has one, a finished one."""
    params, distributions = choices(candidate.submodel, space)
    return optuna.trial.create_trial(
        state=TrialState.WAITING if candidate.accuracy is None else TrialState.COMPLETE,
        values=None if candidate.accuracy is None else objectives.values(candidate),
        params=params,
        distributions=distributions,
        user_attrs={**candidate.to_json(), **draw.to_json(), GENERATION: generation},
    )


def choices(submodel: Submodel, space: Space) -> tuple[dict[str, str], dict[str, BaseDistribution]]:
    """What the submodel chose, by names that people understand, and what there was to choose from."""
    made: dict[str, tuple[Fraction, Sequence[Fraction]]] = {"width": (submodel.width, space.widths)}
    if space.has_own_depths:
        made |= {f"depth_{stack}": (submodel.depth_of(stack), space.depths) for stack in range(len(space.stacks))}
    else:
        made["depth"] = (submodel.depth, space.depths)
    if len(space.tokens) > 1:
        made["tokens"] = (submodel.tokens, space.tokens)
    for kind, row, options in (("heads", submodel.heads, space.layer_heads), ("ffn", submodel.ffn, space.layer_ffn)):
        if options:
            names = _layer_names(kind, submodel, space)
            made |= {
                name: (share, options) for name, share in zip(names, row or (submodel.width,) * len(names), strict=True)
            }
    params = {name: str(share) for name, (share, _) in made.items()}
    return params, {name: CategoricalDistribution(tuple(map(str, options))) for name, (_, options) in made.items()}


def candidate_of(trial: FrozenTrial) -> Candidate:
    """The candidate that the trial is of; InputError where it is none."""
    return Candidate.from_json(trial.user_attrs)


def budget_of(trial: FrozenTrial) -> Budget:
    """The budget under which it was drawn; InputError where it names none."""
    return Budget.from_json(trial.user_attrs.get(BUDGET))


def generation_of(trial: FrozenTrial) -> int:
    """Its generation; 0 for those that versions without generations stored."""
    found = trial.user_attrs.get(GENERATION)
    return found if isinstance(found, int) else 0


def scored_attributes(candidate: Candidate, scored: Candidate) -> Mapping[str, Any]:
    """What the score of a candidate changes among the trial's attributes."""
    before, after = candidate.to_json(), scored.to_json()
    return {name: value for name, value in after.items() if name not in before or value != before[name]}


def first_of_each(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """The trials by their numbers without those that a lost answer of the storage made a second time."""
    found: dict[object, FrozenTrial] = {}
    for trial in sorted(trials, key=lambda trial: (trial.state not in FINISHED, trial.number)):
        found.setdefault(trial.user_attrs.get("id"), trial)
    return sorted(found.values(), key=lambda trial: trial.number)


def _layer_names(kind: str, submodel: Submodel, space: Space) -> list[str]:
    kept = [int(submodel.depth_of(stack) * layers) for stack, layers in enumerate(space.stacks)]
    return [f"{kind}_{stack}_{layer}" for stack, count in enumerate(kept) for layer in range(count)]
