"""Submodels drawn by an Optuna sampler, such that each exists, fits the budget and is new."""

# ruff: noqa: ARG002 (the signatures are Optuna's)

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from bstsearch.space import Space, Submodel

INNER_DRAWS = 20  # then uniform draws: a converged sampler repeats itself
UNIFORM_DRAWS = 80
WALKED = 4096  # spaces up to this size are walked through before the sampler gives up

Row = dict[str, Fraction]


class ExhaustedError(Exception):
    """The sampler finds no new submodel; `is_certain` where there is none."""

    def __init__(self, *, is_certain: bool) -> None:
        super().__init__("no new submodel within the budget")
        self.is_certain = is_certain


def to_params(row: Row) -> dict[str, str]:
    """The choices as Optuna keeps them."""
    return {name: str(share) for name, share in row.items()}


def from_params(params: Mapping[str, str]) -> Row:
    """The choices that `to_params` wrote."""
    return {name: Fraction(text) for name, text in params.items()}


class Choices:
    """A space as Optuna sees it: named choices among fractions.

    Every trial makes every choice, those for layers that it does not keep too: genetic crossover needs
    rows of equal length. Choices for layers are counted within their stack, from the first one kept.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._widest = {cell.depth: cell.width for cell in space.grid()}  # smallest first, so the widest stays
        self.options = {"width": space.widths, "depth": space.depths}
        for kind, options in (("heads", space.layer_heads), ("ffn", space.layer_ffn)):
            if options:
                self.options |= dict.fromkeys(self._layer_names(kind, Fraction(1)), options)

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """One Optuna distribution per choice."""
        return {name: CategoricalDistribution(tuple(map(str, options))) for name, options in self.options.items()}

    def submodel(self, row: Mapping[str, Fraction]) -> Submodel:
        """The submodel that the choices in `row` make."""
        width, depth = row["width"], row["depth"]
        heads = tuple(row[name] for name in self._layer_names("heads", depth) if name in row)
        ffn = tuple(row[name] for name in self._layer_names("ffn", depth) if name in row)
        return Submodel(width=width, depth=depth, heads=heads, ffn=ffn)

    def row(self, submodel: Submodel) -> Row:
        """The choices that make `submodel`; the smallest option for layers that it does not keep."""
        row = {name: options[0] for name, options in self.options.items()}
        row |= {"width": submodel.width, "depth": submodel.depth}
        for kind, shares in (("heads", submodel.heads), ("ffn", submodel.ffn)):
            names = [name for name in self._layer_names(kind, submodel.depth) if name in row]
            row |= dict(zip(names, shares or (submodel.width,) * len(names), strict=True))
        return row

    def settled(self, row: Row) -> Row:
        """`row`, thinner where its width does not go with its depth."""
        return row | {"width": min(row["width"], self._widest[row["depth"]])}

    def descent(self, row: Row, order: random.Random) -> list[Row]:
        """From `row` to the smallest submodel, one choice one step smaller at a time, in random order."""
        position = {name: options.index(row[name]) for name, options in self.options.items()}
        steps = [name for name, index in position.items() for _ in range(index)]
        order.shuffle(steps)
        path = [self.settled(row)]
        for name in steps:
            position[name] -= 1
            row = row | {name: self.options[name][position[name]]}
            path.append(self.settled(row))
        return path

    def _layer_names(self, kind: str, depth: Fraction) -> list[str]:
        kept = [int(depth * layers) for layers in self._space.stacks]
        return [f"{kind}_{stack}_{layer}" for stack, count in enumerate(kept) for layer in range(count)]


class EnqueuedOnly(BaseSampler):
    """A sampler that never samples: every trial has been enqueued."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """No choice is sampled."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """No choice is sampled."""
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Raises."""
        raise AssertionError(f"{param_name} should have been enqueued")


class FeasibleSampler(BaseSampler):
    """Asks `inner`, and makes of each answer a submodel that exists, fits the budget and is new.

    What is over the budget is made smaller, choice by choice in random order, until it just fits, so
    nothing is drawn in vain however tight the budget is. Duplicates are drawn again, a bounded number of
    times; then a small space is walked through, and a large one given up: ExhaustedError.
    """

    def __init__(
        self,
        inner: BaseSampler,
        space: Space,
        *,
        is_admitted: Callable[[Submodel], bool],
        is_new: Callable[[Submodel], bool],
        seed: int,
    ) -> None:
        self._inner, self._space, self._choices = inner, space, Choices(space)
        self._is_admitted, self._is_new = is_admitted, is_new
        self._random = random.Random(seed)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All choices: they are known from the start."""
        return self._choices.distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """A new submodel's choices; ExhaustedError where none is found."""
        if _is_enqueued(trial):
            return {}
        for draw in self._draws(study, trial):
            row = self._fitted(draw)
            submodel = self._choices.submodel(row)
            if self._is_new(submodel) and self._is_admitted(submodel):
                return to_params(row)
        return to_params(self._choices.row(self._first_new()))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Raises: every choice has been made together."""
        raise AssertionError(f"{param_name} is not a choice of this space")

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Tells `inner`."""
        self._inner.before_trial(study, trial)
        if _is_enqueued(trial):
            # Optuna samples nothing for these. NSGA-II notes a trial's generation when it is asked for a
            # sample, and without one the first submodels would never become parents.
            self._inner.sample_relative(study, trial, self._choices.distributions)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """Tells `inner`."""
        self._inner.after_trial(study, trial, state, values)

    def _draws(self, study: Study, trial: FrozenTrial) -> Iterator[Row]:
        distributions = self._choices.distributions
        for _ in range(INNER_DRAWS):
            joint = self._inner.infer_relative_search_space(study, trial)
            texts = self._inner.sample_relative(study, trial, joint)
            for name, distribution in distributions.items():
                if name not in texts:
                    texts[name] = self._inner.sample_independent(study, trial, name, distribution)
            yield from_params(texts)
        for _ in range(UNIFORM_DRAWS):
            yield {name: self._random.choice(options) for name, options in self._choices.options.items()}

    def _fitted(self, row: Row) -> Row:
        """The first of `row`'s descent that fits, by bisection: costs fall along it, as good as always."""
        path = self._choices.descent(row, self._random)
        if self._is_admitted(self._choices.submodel(path[0])):
            return path[0]
        over, within = 0, len(path) - 1
        while within - over > 1:
            middle = (over + within) // 2
            if self._is_admitted(self._choices.submodel(path[middle])):
                within = middle
            else:
                over = middle
        return path[within]

    def _first_new(self) -> Submodel:
        if self._space.size > WALKED:
            raise ExhaustedError(is_certain=False)
        for submodel in self._space:
            if self._is_new(submodel) and self._is_admitted(submodel):
                return submodel
        raise ExhaustedError(is_certain=True)


def _is_enqueued(trial: FrozenTrial) -> bool:
    return "fixed_params" in trial.system_attrs
