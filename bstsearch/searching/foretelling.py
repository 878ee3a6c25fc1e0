"""The sampler `auto`: scores are foretold by a model, and those proposed by which the front should grow most (no torch)."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from bstsearch.searching.accuracy_model import AccuracyModel, Prediction
from bstsearch.searching.breeding import WALKED, Breeder
from bstsearch.searching.choices import Row, share_groups, shares
from bstsearch.searching.costs import Objectives
from bstsearch.searching.expected_gain import FrontGrowth
from bstsearch.searching.pareto import Candidate, find_front
from bstsearch.score import Z_95
from bstsearch.space import Space, Submodel

Array = NDArray[np.float64]

ROUNDS = 10  # of breeding: from the front, then from the best of the round before
BRED = 600  # in each
PARENTS = 40
LEAST = 4  # scores that a model needs
REMEMBERED = 50  # of the last foretold scores make up the quality


class Foretelling:
    """Chooses what is expected to enlarge the front most, by a model of the scores that there are."""

    def __init__(self, space: Space, breeder: Breeder, objectives: Objectives, cost: Callable[[Submodel], Candidate]):
        self._space, self._breeder, self._objectives, self._cost = space, breeder, objectives, cost
        self._groups = share_groups(space.stacks)
        self._foretold: dict[Submodel, float] = {}
        self.quality: float | None = None

    def choose(
        self, scored: Sequence[Candidate], taken: Collection[Submodel], count: int, draw: random.Random
    ) -> list[Submodel]:
        """As `Strategy.choose`."""
        self._note_quality(scored)
        if len(scored) < LEAST:
            bred = self._breeder.children([], draw, 20 * count)
            return [one for one, _ in bred if one not in taken][:count]
        model = self._model(scored)
        growth = self._growth(scored)
        pool = self._pool(scored, taken, model, growth, draw)
        return self._best(pool, model, growth, count)

    def _model(self, scored: Sequence[Candidate]) -> AccuracyModel:
        scores = np.array([-self._objectives.metric.loss(one.score) for one in scored])
        deviations = np.array([(one.interval[1] - one.interval[0]) / (2 * Z_95) for one in scored])
        return AccuracyModel(self._features([one.submodel for one in scored]), scores, deviations**2, self._groups)

    def _features(self, submodels: Sequence[Submodel]) -> Array:
        return np.array([shares(one, self._space.stacks) for one in submodels])

    def _costs(self, submodels: Sequence[Submodel]) -> Array:
        return np.array([[cost.of(self._cost(one)).value for cost in self._objectives.costs] for one in submodels])

    def _growth(self, scored: Sequence[Candidate]) -> FrontGrowth:
        """The front so far, in the box between its worst score and the most that a submodel of it costs."""
        most = max(one.accuracy.total for one in scored if one.accuracy)
        whole = [one for one in scored if one.accuracy and one.accuracy.total == most]
        front = find_front(whole, self._objectives)
        costs = np.array([[cost.of(one).value for cost in self._objectives.costs] for one in front])
        self._limits = np.maximum(costs.max(axis=0), 1e-300) * 1.001
        scores = np.array([-self._objectives.metric.loss(one.score) for one in front])
        spread = float(np.ptp(scores)) or abs(float(scores[0])) or 1.0
        self._front = front
        return FrontGrowth(costs / self._limits, scores, float(scores.min()) - 0.1 * spread)

    def _pool(
        self,
        scored: Sequence[Candidate],
        taken: Collection[Submodel],
        model: AccuracyModel,
        growth: FrontGrowth,
        draw: random.Random,
    ) -> list[Submodel]:
        if self._space.size <= WALKED:
            return [one for one in self._breeder.listed() if one not in taken]
        rows = {}
        for one in self._front:
            if one.submodel in self._space:
                rows[one.submodel] = self._breeder.choices.row(one.submodel)
        parents: list[Row] = list(rows.values())
        pool: dict[Submodel, Row] = {}
        gains: dict[Submodel, float] = {}
        means: dict[Submodel, float] = {}
        for _ in range(ROUNDS):
            bred = [(s, r) for s, r in self._breeder.children(parents, draw, BRED) if s not in taken and s not in pool]
            if not bred:
                continue
            submodels = [one for one, _ in bred]
            prediction = model.predict(self._features(submodels))
            found = growth.expected(self._costs(submodels) / self._limits, prediction.mean_M, prediction.deviation_M)
            pool |= dict(bred)
            gains |= dict(zip(submodels, found.tolist(), strict=True))
            means |= dict(zip(submodels, prediction.mean_M.tolist(), strict=True))
            best = sorted(gains, key=gains.__getitem__, reverse=True)[:PARENTS]
            ranked = sorted(pool, key=lambda one: (self._costs([one])[0, 0], -means[one]))
            top, front = -1e9, []
            for one in ranked:
                if means[one] > top:
                    top = means[one]
                    front.append(one)
            parents = [pool[one] for one in [*best, *front]]
        return sorted(gains, key=gains.__getitem__, reverse=True)[:600]

    def _best(self, pool: Sequence[Submodel], model: AccuracyModel, growth: FrontGrowth, count: int) -> list[Submodel]:
        if not pool:
            return []
        prediction, costs = model.predict(self._features(pool)), self._costs(pool) / self._limits
        chosen: list[int] = []
        for _ in range(min(count, len(pool))):
            gain = growth.expected(costs, prediction.mean_M, prediction.deviation_M)
            gain[chosen] = -1.0
            index = int(np.argmax(gain))
            chosen.append(index)
            prediction.believe(index)
            growth = growth.add(costs[index], float(prediction.mean_M[index]))
            self._foretold[pool[index]] = float(prediction.mean_M[index])
        return [pool[index] for index in chosen]

    def _note_quality(self, scored: Sequence[Candidate]) -> None:
        known = {one.submodel: -self._objectives.metric.loss(one.score) for one in scored}
        pairs = [(value, known[one]) for one, value in self._foretold.items() if one in known][-REMEMBERED:]
        if len(pairs) >= 8:
            self.quality = float(spearmanr(*zip(*pairs, strict=True)).statistic)
