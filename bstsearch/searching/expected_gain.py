"""By how much scoring a submodel may be expected to enlarge the front (no torch).

The costs of a submodel are known, its score is uncertain. The hypervolume that it adds is a sum over all amounts of
costs that reach its own: there the front grows by what its score exceeds the best score that was to be had for that. So
the expected growth of the hypervolume is the mean expected improvement over such amounts, for any number of costs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import qmc

Array = NDArray[np.float64]

AMOUNTS = 256  # drawn of several costs; of one cost they are exact


class FrontGrowth:
    """The front of scored submodels, and what another one is expected to add to it.

    `costs_NK` are shares of the box of possible trade-offs, `scores_N` higher better; `least` is the score of its
    lower end.
    """

    def __init__(self, costs_NK: Array, scores_N: Array, least: float) -> None:
        count = costs_NK.shape[1]
        if count == 1:
            edges = np.unique(np.concatenate([[0.0], costs_NK[costs_NK < 1], [1.0]]))
            self._amounts_AK, self._ends_A = edges[:-1, None], edges[1:]
        else:
            self._amounts_AK = qmc.Sobol(count, rng=0).random(AMOUNTS)
        self._best_A = np.full(len(self._amounts_AK), least)
        for costs_K, score in zip(costs_NK, scores_N, strict=True):
            self.add(costs_K, float(score))

    def add(self, costs_K: Array, score: float) -> None:
        """Takes a submodel into the front."""
        if len(costs_K) == 1 and costs_K[0] < 1:
            self._cut(float(costs_K[0]))
        is_reached_A = (costs_K <= self._amounts_AK).all(axis=1)
        self._best_A = np.where(is_reached_A, np.maximum(self._best_A, score), self._best_A)

    def _cut(self, cost: float) -> None:
        """Parts the amounts of a single cost there, where the best score may change."""
        place = int(np.searchsorted(self._ends_A, cost, side="right"))
        if self._amounts_AK[place, 0] < cost:
            self._amounts_AK = np.insert(self._amounts_AK, place + 1, cost, axis=0)
            self._ends_A = np.insert(self._ends_A, place, cost)
            self._best_A = np.insert(self._best_A, place, self._best_A[place])

    def expected(self, costs_MK: Array, mean_M: Array, deviation_M: Array) -> Array:
        """The hypervolume that each of M submodels is expected to add."""
        z_MA = (mean_M[:, None] - self._best_A) / deviation_M[:, None]
        gain_MA = deviation_M[:, None] * (z_MA * ndtr(z_MA) + np.exp(-0.5 * z_MA**2) / np.sqrt(2 * np.pi))
        return np.asarray((gain_MA * self._reached(costs_MK)).sum(axis=1))

    def _reached(self, costs_MK: Array) -> Array:
        """How much of each part of all amounts lies beyond the costs of each of M submodels."""
        if costs_MK.shape[1] == 1:
            return np.asarray(np.maximum(self._ends_A - np.maximum(self._amounts_AK[:, 0], costs_MK), 0.0))
        return np.asarray((costs_MK[:, None] <= self._amounts_AK).all(axis=2) / len(self._amounts_AK))
