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
        self._costs_NK, self._scores_N, self._least = costs_NK, np.maximum(scores_N, least), least
        count = costs_NK.shape[1]
        if count == 1:
            edges = np.unique(np.concatenate([[0.0], costs_NK[:, 0], [1.0]]))
            self._from_A, self._to_A = edges[:-1], edges[1:]
            amounts_AK = edges[:-1, None]
        else:
            amounts_AK = qmc.Sobol(count, scramble=True, rng=0).random(AMOUNTS)
        self._amounts_AK = amounts_AK
        self._best_A = np.full(len(amounts_AK), least)
        for costs_K, score in zip(costs_NK, self._scores_N, strict=True):
            self._raise(costs_K, score)

    def _raise(self, costs_K: Array, score: float) -> None:
        reached_A = (costs_K <= self._amounts_AK).all(axis=1)
        self._best_A = np.where(reached_A, np.maximum(self._best_A, score), self._best_A)

    def expected(self, costs_MK: Array, mean_M: Array, deviation_M: Array) -> Array:
        """The hypervolume that each of M submodels is expected to add."""
        z_MA = (mean_M[:, None] - self._best_A) / deviation_M[:, None]
        gain_MA = deviation_M[:, None] * (z_MA * ndtr(z_MA) + np.exp(-0.5 * z_MA**2) / np.sqrt(2 * np.pi))
        return (gain_MA * self._reached(costs_MK)).sum(axis=1)

    def _reached(self, costs_MK: Array) -> Array:
        """How much of each amount lies beyond the costs of each of M submodels."""
        if costs_MK.shape[1] == 1:
            return np.maximum(self._to_A - np.maximum(self._from_A, costs_MK), 0.0)
        return (costs_MK[:, None] <= self._amounts_AK).all(axis=2) / len(self._amounts_AK)

    def add(self, costs_K: Array, score: float) -> None:
        """Takes one more member into the front."""
        FrontGrowth.__init__(self, np.vstack([self._costs_NK, costs_K]), np.append(self._scores_N, score), self._least)
