"""What score a submodel may be expected to have, learnt from those that were scored (no torch).

A Gaussian process over shares, of two parts. The straight part gives the share of each layer, and its square root, a
weight of its own: gains that add up and diminish. The smooth part, a Matern kernel, tells what shares do together. How
much either explains, how far its knowledge carries, and how much of a score is chance, the likelihood of the scores
decides; without many scores the values that it starts from do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

Array = NDArray[np.float64]
Groups = Sequence[Sequence[int]]  # columns of features that are scaled alike

STEPS = 25  # of the search for the likeliest values
FITTED = 256  # scores at most whose likelihood is computed; all serve to predict
JITTER = 1e-6
LEAST_CHANCE = 1e-4  # variance of chance at least, as a share of the scores' own


class AccuracyModel:
    """Predicts scores from features; made from scored submodels.

    `features_NF` are shares (N submodels, F features), `scores_N` their scores, `variances_N` how uncertain those are.
    """

    def __init__(self, features_NF: Array, scores_N: Array, variances_N: Array, groups: Groups) -> None:
        self._mean, self._scale = float(scores_N.mean()), float(scores_N.std()) or 1.0
        self._known_NF, self._groups = features_NF, groups
        target_N = (scores_N - self._mean) / self._scale
        chance_N = variances_N / self._scale**2
        self._logs = _likeliest(features_NF, target_N, chance_N, groups)
        kernel = _Kernel(features_NF, features_NF, groups)
        covariance = kernel.value(self._logs) + np.diag(_noise(self._logs, chance_N))
        self._lower = cholesky(covariance, lower=True)
        self._weights_N = cho_solve((self._lower, True), target_N)
        self._target_N, self._noise = target_N, _noise(self._logs, chance_N)

    def predict(self, features_MF: Array) -> Prediction:
        """What the model expects of M other submodels."""
        cross_NM = _Kernel(self._known_NF, features_MF, self._groups).value(self._logs)
        solved_NM = solve_triangular(self._lower, cross_NM, lower=True)
        own_M = _Kernel(features_MF, features_MF, self._groups, is_diagonal=True).value(self._logs)
        mean_M = self._mean + self._scale * (cross_NM.T @ self._weights_N)
        variance_M = np.maximum(own_M - np.einsum("nm,nm->m", solved_NM, solved_NM), 1e-9)
        return Prediction(self, features_MF, solved_NM, mean_M, variance_M)

    def left_out(self) -> Array:
        """What the model would expect of each scored submodel without its own score."""
        inverse = cho_solve((self._lower, True), np.eye(len(self._target_N)))
        return self._mean + self._scale * (self._target_N - self._weights_N / np.diag(inverse))

    def covariance(self, one_1F: Array, features_MF: Array) -> Array:
        return _Kernel(one_1F, features_MF, self._groups).value(self._logs)[0]


class Prediction:
    """Means and deviations of M submodels, in the unit of scores; they narrow as some of them are taken as scored."""

    def __init__(self, model: AccuracyModel, features_MF: Array, solved_NM: Array, mean_M: Array, variance_M: Array):
        self._model, self._features_MF, self._solved_NM = model, features_MF, solved_NM
        self.mean_M, self._variance_M = mean_M, variance_M

    @property
    def deviation_M(self) -> Array:
        return self._model._scale * np.sqrt(self._variance_M)

    def believe(self, index: int) -> None:
        """Takes that one as scored with its mean: how uncertain it is, and what is alike, shrinks."""
        row_1F = self._features_MF[index : index + 1]
        covariance_M = self._model.covariance(row_1F, self._features_MF)
        covariance_M -= self._solved_NM[:, index] @ self._solved_NM
        noise = float(np.median(self._model._noise))
        shrink_M = covariance_M / np.sqrt(max(covariance_M[index], 1e-9) + noise)
        self._solved_NM = np.vstack([self._solved_NM, shrink_M])
        self._variance_M = np.maximum(self._variance_M - shrink_M**2, 1e-9)


class _Kernel:
    """The parts of the covariance of two sets of submodels that do not change while the likeliest values are sought."""

    def __init__(self, one_NF: Array, other_MF: Array, groups: Groups, *, is_diagonal: bool = False) -> None:
        self.straight, self.distance = [], []
        for group in groups:
            one, other = one_NF[:, group], other_MF[:, group]
            root, other_root = np.sqrt(one), np.sqrt(other)
            if is_diagonal:
                self.straight.append((one * other).sum(1) + (root * other_root).sum(1))
                self.distance.append(np.zeros(len(one)))
            else:
                self.straight.append(one @ other.T + root @ other_root.T)
                squares = (one**2).sum(1)[:, None] + (other**2).sum(1)[None] - 2 * one @ other.T
                self.distance.append(np.maximum(squares, 0.0))

    def value(self, logs: Array) -> Array:
        return self.parts(logs)[0]

    def parts(self, logs: Array) -> tuple[Array, Array, Array]:
        """The covariance, its smooth part, and that part's slope over squared distances."""
        count = len(self.straight)
        weights, size, scales = np.exp(logs[:count]), np.exp(logs[count]), np.exp(-2 * logs[count + 1 : 2 * count + 1])
        squared = 5 * sum(scale * part for scale, part in zip(scales, self.distance, strict=True))
        root = np.sqrt(squared)
        decay = size * np.exp(-root)
        smooth = decay * (1 + root + squared / 3)
        slope = -5 / 6 * decay * (1 + root)
        covariance = smooth + sum(weight * part for weight, part in zip(weights, self.straight, strict=True)) + 1.0
        return covariance, smooth, slope


def _start(groups: Groups) -> tuple[Array, Array]:
    """The logarithms of what is sought where no score tells, and how far each goes at its ease.

    In this order: each group's weight in the straight part, the smooth part's size, each group's scale, chance.
    """
    weights = [np.log(0.5 / len(group)) for group in groups]
    scales = [np.log(0.7 * len(group) ** 0.5) for group in groups]
    spread = [2.0] * len(groups) + [1.5] + [0.7] * len(groups) + [1.0]
    return np.array([*weights, np.log(0.3), *scales, np.log(0.5)]), np.array(spread)


def _noise(logs: Array, chance_N: Array) -> Array:
    return np.exp(logs[-1]) * chance_N + LEAST_CHANCE


def _likeliest(features_NF: Array, target_N: Array, chance_N: Array, groups: Groups) -> Array:
    if len(target_N) > FITTED:
        kept = np.linspace(0, len(target_N) - 1, FITTED).astype(int)
        features_NF, target_N, chance_N = features_NF[kept], target_N[kept], chance_N[kept]
    kernel, (start, spread) = _Kernel(features_NF, features_NF, groups), _start(groups)
    count, eye = len(groups), np.eye(len(target_N))

    def unlikeliness(logs: Array) -> tuple[float, Array]:
        covariance, smooth, slope = kernel.parts(logs)
        noise_N = _noise(logs, chance_N)
        try:
            lower = cholesky(covariance + np.diag(noise_N + JITTER), lower=True)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(logs)
        inverse = cho_solve((lower, True), eye)
        solved_N = inverse @ target_N
        value = 0.5 * target_N @ solved_N + np.log(np.diag(lower)).sum()
        weight = inverse - np.outer(solved_N, solved_N)  # of each entry's change
        slopes = [np.exp(logs[g]) * np.vdot(weight, kernel.straight[g]) for g in range(count)]
        slopes += [np.vdot(weight, smooth)]
        scaled = weight * slope
        slopes += [-2 * np.exp(-2 * logs[count + 1 + g]) * np.vdot(scaled, kernel.distance[g]) for g in range(count)]
        slopes += [np.diag(weight) @ (np.exp(logs[-1]) * chance_N)]
        away = (logs - start) / spread
        return float(value + 0.5 * away @ away), 0.5 * np.array(slopes) + away / spread

    bounds = [(middle - 4 * width, middle + 4 * width) for middle, width in zip(start, spread, strict=True)]
    found = minimize(unlikeliness, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS})
    return np.asarray(found.x)
