"""What a trial of a study says: a submodel, what it costs, how it was drawn, and once it is scored its score.

A trial has few attributes and parameters: whoever looks for work reads those of all that wait. Per-layer shares are in
its id; as parameters, which Optuna's plots show, their means say more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from bstsearch.searching.budget import Budget
from bstsearch.searching.costs import Objectives
from bstsearch.searching.pareto import Candidate
from bstsearch.space import Space, Submodel

LIVE = (TrialState.WAITING, TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
OPEN = (TrialState.WAITING, TrialState.RUNNING)

# The attributes of a trial, besides its id.
COSTS, SCORE, BUDGET, DRAW, GENERATION, WORKER = "costs", "score", "budget", "draw", "generation", "worker"
FORETOLD = "foretold"  # the score that a model foretold when it proposed the submodel, higher better
SCORES = ("accuracy", "accuracy_low", "accuracy_high", "correct", "questions")  # what a candidate says of its score


@dataclasses.dataclass(frozen=True, kw_only=True)
class Draw:
    """How the submodels of a search are drawn; trials of the same draw belong to the same search."""

    budget: Budget
    objectives: str
    sampler: str
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Plain data, as it is among a trial's attributes."""
        drawn = {"sampler": self.sampler, "seed": self.seed, "objectives": self.objectives}
        return {BUDGET: self.budget.to_json(), DRAW: drawn}

    def has_drawn(self, trial: FrozenTrial) -> bool:
        """Whether the trial is one of this draw."""
        return all(trial.user_attrs.get(name) == value for name, value in self.to_json().items())


def make_trial(
    candidate: Candidate,
    space: Space,
    objectives: Objectives,
    draw: Draw,
    generation: int,
    foretold: float | None = None,
) -> FrozenTrial:
    """A trial that waits for its score, or where the candidate has one, a finished one."""
    params, distributions = choices(candidate.submodel, space)
    score = {} if candidate.accuracy is None else {SCORE: score_data(candidate)}
    return optuna.trial.create_trial(
        state=TrialState.COMPLETE if score else TrialState.WAITING,
        values=objectives.values(candidate) if score else None,
        params=params,
        distributions=distributions,
        user_attrs={
            "id": candidate.id,
            COSTS: _cost_data(candidate),
            **score,
            **draw.to_json(),
            GENERATION: generation,
            **({} if foretold is None else {FORETOLD: foretold}),
        },
    )


def choices(submodel: Submodel, space: Space) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
    """What the submodel chose, by names that people understand, and what there was to choose from."""
    made: dict[str, tuple[Fraction | str, Sequence[Fraction | str]]] = {"width": (submodel.width, space.widths)}
    if space.has_own_depths:
        made |= {f"depth {stack + 1}": (submodel.depth_of(stack), space.depths) for stack in range(len(space.stacks))}
    else:
        made["depth"] = (submodel.depth, space.depths)
    if len(space.tokens) > 1:
        made["tokens"] = (submodel.tokens, space.tokens)
    if len(space.precisions) > 1:
        made["precision"] = (submodel.precision, space.precisions)
    params: dict[str, Any] = {name: str(share) for name, (share, _) in made.items()}
    ranges: dict[str, BaseDistribution] = {
        name: CategoricalDistribution(tuple(map(str, options))) for name, (_, options) in made.items()
    }
    for name, row, options in (("heads", submodel.heads, space.layer_heads), ("ffn", submodel.ffn, space.layer_ffn)):
        if len(options) > 1:
            params[f"mean {name}"] = float(sum(row) / len(row) if row else submodel.width)
            ranges[f"mean {name}"] = FloatDistribution(float(options[0]), float(options[-1]))
    return params, ranges


def candidate_of(trial: FrozenTrial) -> Candidate:
    """The candidate that the trial is of; InputError where it is none."""
    attributes = trial.user_attrs
    if COSTS not in attributes:  # older versions had an attribute for each number
        return Candidate.from_json(attributes)
    parts = [attributes[COSTS], attributes.get(SCORE, {})]
    if not all(isinstance(part, dict) for part in parts):
        parts = []  # the candidate says what it lacks
    data = dict.fromkeys(SCORES)
    for part in parts:
        data |= part
    return Candidate.from_json(data | {"id": attributes.get("id")})


def budget_of(trial: FrozenTrial) -> Budget:
    """The budget under which it was drawn; InputError where it names none."""
    return Budget.from_json(trial.user_attrs.get(BUDGET))


def generation_of(trial: FrozenTrial) -> int:
    """Its generation; 0 for those that versions without generations stored."""
    found = trial.user_attrs.get(GENERATION)
    return found if isinstance(found, int) else 0


def foretold_of(trial: FrozenTrial) -> float | None:
    """The score that was foretold of it; None where none was."""
    found = trial.user_attrs.get(FORETOLD)
    return found if isinstance(found, float) else None


def score_data(scored: Candidate) -> Mapping[str, Any]:
    """What a candidate says of its score, whole or partial, as plain data."""
    data, costs = scored.to_json(), _cost_data(scored)
    return {name: value for name, value in data.items() if name not in costs and name != "id"}


def _cost_data(candidate: Candidate) -> dict[str, Any]:
    bare = dataclasses.replace(candidate, accuracy=None, partial=None, beaten_by=None, test=None, rights=None)
    return {name: value for name, value in bare.to_json().items() if name not in SCORES and name != "id"}


def first_of_each(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """The trials by their numbers without those that a lost answer of the storage made a second time."""
    found: dict[object, FrozenTrial] = {}
    for trial in sorted(trials, key=lambda trial: (trial.state not in FINISHED, trial.number)):
        found.setdefault(trial.user_attrs.get("id"), trial)
    return sorted(found.values(), key=lambda trial: trial.number)
