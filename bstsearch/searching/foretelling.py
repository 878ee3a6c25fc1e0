"""The sampler `auto`: foretells scores by a model, and proposes what should enlarge the front most (no torch)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence

import moocore
import numpy as np
from numpy.typing import NDArray

from bstsearch.score import Z_95
from bstsearch.searching.accuracy_model import AccuracyModel
from bstsearch.searching.admitted import Admitted
from bstsearch.searching.choices import Rows, share_groups, shares
from bstsearch.searching.costs import Objectives
from bstsearch.searching.expected_gain import FrontGrowth
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.rough_costs import RoughCosts
from bstsearch.space import Submodel

Array = NDArray[np.float64]

PRICED = 300  # drawn at random, to foretell costs
ROUNDS = 12  # of breeding
BRED = 400  # in each
PARENTS = 60
FINAL = 300  # of all bred ones are priced exactly
# How much of the model's deviations counts, in turn: mostly little, since the model is cautious and all of them would
# lead to what turns out no better; now and then all, so that what it is wrong about is found out.
DARING = (0.3, 0.3, 0.3, 1.0)
LEAST = 4  # scores that a model needs


class Foretelling:
    """Chooses what is expected to enlarge the front most, by a model of the scores that there are."""

    def __init__(self, admitted: Admitted, objectives: Objectives, cost: Callable[[Submodel], Candidate], seed: int):
        self._admitted, self._objectives, self._cost, self._seed = admitted, objectives, cost, seed
        self._stacks = admitted.space.stacks
        self._precisions = admitted.space.precisions
        self._groups = share_groups(self._stacks, self._precisions)
        self.foretold: dict[Submodel, float] = {}

    def choose(
        self, scored: Sequence[Candidate], taken: Collection[Submodel], count: int, draw: np.random.Generator
    ) -> list[Submodel]:
        """As `Strategy.choose`."""
        if len(scored) < LEAST or not self._drawn:
            return self._spread(count, taken)
        model = self._model(scored)
        growth = self._growth(scored, model)
        if self._admitted.is_small:
            pool = [one for one in self._admitted.listed() if one not in taken]
        else:
            pool = self._bred(scored, taken, model, growth, draw)
        return self._best(pool, model, growth, count)

    @functools.cached_property
    def _drawn(self) -> list[Submodel]:
        """Random admitted submodels; all of a small space."""
        if self._admitted.is_small:
            return list(self._admitted.listed())
        return self._admitted.drawn(np.random.default_rng(self._seed), PRICED)

    @functools.cached_property
    def _priced(self) -> tuple[RoughCosts, Array]:
        """What foretells costs, from those of the random submodels, and the most that they cost."""
        costs_NK = self._costs(self._drawn)
        return RoughCosts(self._features(self._drawn), costs_NK), costs_NK.max(axis=0)

    def _spread(self, count: int, taken: Collection[Submodel]) -> list[Submodel]:
        """Some of all sizes, the least and the most costly among them."""
        new = sorted((one for one in self._drawn if one not in taken), key=lambda one: self._costs([one])[0, 0])
        places = np.linspace(0, max(0, len(new) - 1), min(count, len(new))).astype(int).tolist()
        return [new[place] for place in places]

    def _model(self, scored: Sequence[Candidate]) -> AccuracyModel:
        deviations = np.array([(one.interval[1] - one.interval[0]) / (2 * Z_95) for one in scored])
        return AccuracyModel(
            self._features([one.submodel for one in scored]), self._gains(scored), deviations**2, self._groups
        )

    def _growth(self, scored: Sequence[Candidate], model: AccuracyModel) -> FrontGrowth:
        """The front so far, by the scores that the model takes for theirs: those of the lucky are not overrated."""
        expected = model.predict(self._features([one.submodel for one in scored])).mean_M
        least = float(expected.min() - 0.05 * np.ptp(expected))
        return FrontGrowth(self._shares_of_most(self._front_costs(scored)), expected, least)

    def _front_costs(self, front: Sequence[Candidate]) -> Array:
        return np.array([[cost.of(one).value for cost in self._objectives.costs] for one in front])

    def _gains(self, scored: Sequence[Candidate]) -> Array:
        """Their scores, higher better."""
        return np.array([-self._objectives.metric.loss(one.score) for one in scored])

    def _features(self, submodels: Sequence[Submodel]) -> Array:
        return np.array([shares(one, self._stacks, self._precisions) for one in submodels])

    def _costs(self, submodels: Sequence[Submodel]) -> Array:
        return self._front_costs([self._cost(one) for one in submodels])

    def _shares_of_most(self, costs_NK: Array) -> Array:
        return costs_NK / self._priced[1]

    def _bred(
        self,
        scored: Sequence[Candidate],
        taken: Collection[Submodel],
        model: AccuracyModel,
        growth: FrontGrowth,
        draw: np.random.Generator,
    ) -> list[Submodel]:
        """Many that should enlarge the front: bred in rounds from the best so far, by costs that are foretold, too."""
        choices, rough = self._admitted.choices, self._priced[0]
        known = [choices.row(one.submodel) for one in scored if one.submodel in self._admitted.space]
        rows = np.vstack([choices.drawn(draw, BRED), *known])
        pool: Rows = rows[:0]
        values: Array = np.empty((0, 2 + len(self._objectives.costs)))
        for _ in range(ROUNDS):
            features = choices.shares(rows)
            prediction, costs = model.predict(features), self._shares_of_most(rough(features))
            gains = growth.expected(costs, prediction.mean_M, DARING[0] * prediction.deviation_M)
            pool = np.vstack([pool, rows])
            values = np.vstack([values, np.column_stack([gains, -prediction.mean_M, costs])])
            pool, first = np.unique(pool, axis=0, return_index=True)
            values = values[first]
            parents = pool[_best_rows(values, PARENTS)]
            one, other = (parents[draw.integers(0, len(parents), BRED)] for _ in range(2))
            is_crossed = draw.random((BRED, 1)) < 0.5
            rows = choices.changed(draw, np.where(is_crossed, choices.crossed(draw, one, other), one), 1.5)
        final = pool[_best_rows(values, FINAL)]
        fitted = self._admitted.fitted(final, draw)
        return [one for one in fitted if one not in taken]

    def _best(self, pool: Sequence[Submodel], model: AccuracyModel, growth: FrontGrowth, count: int) -> list[Submodel]:
        """`count` of the pool, each the one that is expected to add most once those before it are scored."""
        if not pool:
            return []
        prediction, costs_MK = model.predict(self._features(pool)), self._shares_of_most(self._costs(pool))
        chosen: list[int] = []
        for number in range(min(count, len(pool))):
            daring = DARING[number % len(DARING)]
            gains = growth.expected(costs_MK, prediction.mean_M, daring * prediction.deviation_M)
            gains[chosen] = -1.0
            index = int(np.argmax(gains))
            chosen.append(index)
            prediction.believe(index)
            growth.add(costs_MK[index], float(prediction.mean_M[index]))
            self.foretold[pool[index]] = float(prediction.mean_M[index])
        return [pool[index] for index in chosen]


def _best_rows(values: Array, count: int) -> NDArray[np.int64]:
    """Half of them those of most gain, half those that no other one dominates by mean and costs, evenly drawn."""
    by_gain = np.argsort(-values[:, 0], kind="stable")[: count // 2]
    front = np.flatnonzero(moocore.is_nondominated(values[:, 1:]))
    front = front[np.argsort(values[front, 2], kind="stable")]
    if len(front) > count // 2:
        front = front[np.linspace(0, len(front) - 1, count // 2).astype(int)]
    return np.union1d(by_gain, front)
