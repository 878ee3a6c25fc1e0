"""Costs foretold from shares by thousands, to decide which submodels are worth pricing exactly (no torch)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RIDGE = 1e-4


class RoughCosts:
    """The costs of N priced submodels, F features each, fitted by sums and products of their shares.

    A layer costs its heads and its FFN units, each times the width and the number of tokens, so that the first two
    features (width, tokens) multiply all the others. Errors are relative.
    """

    def __init__(self, features_NF: Array, costs_NK: Array) -> None:
        terms_NT = _terms(features_NF)
        self._weights_TK = np.stack([_solved(terms_NT, costs_N) for costs_N in costs_NK.T], axis=1)
        self._least_K = 0.5 * costs_NK.min(axis=0)

    def __call__(self, features_MF: Array) -> Array:
        """The costs of M submodels."""
        return np.asarray(np.maximum(_terms(features_MF) @ self._weights_TK, self._least_K))


def _terms(features_NF: Array) -> Array:
    width_N1, tokens_N1 = features_NF[:, :1], features_NF[:, 1:2]
    products = [np.ones_like(width_N1), features_NF, width_N1 * features_NF, tokens_N1 * features_NF]
    return np.hstack([*products, width_N1 * tokens_N1 * features_NF, width_N1**2 * features_NF])


def _solved(terms_NT: Array, costs_N: Array) -> Array:
    """Least squares of relative errors, drawn a little to 0."""
    scaled_NT = terms_NT / costs_N[:, None]
    squares_TT = scaled_NT.T @ scaled_NT
    squares_TT += RIDGE * np.eye(len(squares_TT)) * np.trace(squares_TT) / len(squares_TT)
    return np.asarray(np.linalg.solve(squares_TT, scaled_NT.sum(axis=0)))
