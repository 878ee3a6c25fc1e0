"""What score a submodel may be expected to have, learnt from those that were scored (no torch).

A Gaussian process over shares, of two parts. The straight part gives the square root of each layer's share a weight of
its own: gains that add up, and diminish as a layer grows. The smooth part, a Matern kernel, tells what shares do
together. How much either explains, how far its knowledge carries, and how much of a score is chance, the likelihood of
the scores decides; without many scores the values that it starts from do.
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


class AccuracyModel:
    """Predicts scores from features; made from scored submodels.

    `features_NF` are shares (N submodels, F features), `scores_N` their scores, `variances_N` how uncertain those are.
    """

    def __init__(self, features_NF: Array, scores_N: Array, variances_N: Array, groups: Groups) -> None:
        self._mean, self._scale = float(scores_N.mean()), float(scores_N.std()) or 1.0
        target_N, chance_N = (scores_N - self._mean) / self._scale, variances_N / self._scale**2
        self.values = _likeliest(features_NF, target_N, chance_N, groups)
        self._groups = groups
        self.noise_N = self.values.chance * chance_N + JITTER
        self._known = self.values.scaled(features_NF, groups)
        self._lower = cholesky(self.values.covariance(self._known, self._known) + np.diag(self.noise_N), lower=True)
        self._target_N, self._weights_N = target_N, cho_solve((self._lower, True), target_N)

    def predict(self, features_MF: Array) -> Prediction:
        """What the model expects of M other submodels."""
        scaled = self.values.scaled(features_MF, self._groups)
        cross_NM = self.values.covariance(self._known, scaled)
        solved_NM = solve_triangular(self._lower, cross_NM, lower=True, check_finite=False)
        variance_M = self.values.variance(scaled) - np.einsum("nm,nm->m", solved_NM, solved_NM)
        mean_M = self._mean + self._scale * (cross_NM.T @ self._weights_N)
        return Prediction(self, scaled, solved_NM, mean_M, variance_M, self._scale)

    def left_out(self) -> Array:
        """What the model would expect of each scored submodel without that one's score."""
        inverse = cho_solve((self._lower, True), np.eye(len(self._target_N)))
        return np.asarray(self._mean + self._scale * (self._target_N - self._weights_N / np.diag(inverse)))


class Prediction:
    """Means and deviations of M submodels in the unit of scores; they narrow as some are taken for scored."""

    def __init__(
        self, model: AccuracyModel, scaled: Scaled, solved_NM: Array, mean_M: Array, variance_M: Array, scale: float
    ) -> None:
        self._model, self._scaled, self._solved_NM = model, scaled, solved_NM
        self.mean_M, self._variance_M, self._scale = mean_M, np.maximum(variance_M, 1e-9), scale

    @property
    def deviation_M(self) -> Array:  # noqa: N802 (a shape suffix)
        """How far the scores may well lie from the means."""
        return self._scale * np.sqrt(self._variance_M)

    def believe(self, index: int) -> None:
        """Takes that one as scored with its mean, which makes it and its likes less uncertain."""
        covariance_M = self._model.values.covariance(self._scaled.at(index), self._scaled)[0]
        covariance_M -= self._solved_NM[:, index] @ self._solved_NM
        noise = float(np.median(self._model.noise_N))
        shrink_M = covariance_M / np.sqrt(max(float(covariance_M[index]), 1e-9) + noise)
        self._solved_NM = np.vstack([self._solved_NM, shrink_M])
        self._variance_M = np.maximum(self._variance_M - shrink_M**2, 1e-9)


class Scaled:
    """Features of submodels as the two parts of the covariance take them."""

    def __init__(self, straight: Array, smooth: Array) -> None:
        self.straight, self.smooth = straight, smooth

    def at(self, index: int) -> Scaled:
        """One of the submodels alone."""
        return Scaled(self.straight[index : index + 1], self.smooth[index : index + 1])


class Values:
    """What the likelihood decides, from logarithms.

    In this order: the weight of each group in the straight part, the size of the smooth part, the length over which
    each group tells of its likes there, and what share of the scores' variance is chance.
    """

    def __init__(self, logs: Array) -> None:
        count = len(logs) // 2 - 1
        self.weights, self.size = np.exp(logs[:count]), float(np.exp(logs[count]))
        self.lengths, self.chance = np.exp(logs[count + 1 : -1]), float(np.exp(logs[-1]))

    def scaled(self, features_NF: Array, groups: Groups) -> Scaled:
        """Features such that the straight part is a product, and the smooth part one of distances."""
        straight = [np.sqrt(self.weights[place] * features_NF[:, group]) for place, group in enumerate(groups)]
        smooth = [features_NF[:, group] / self.lengths[place] for place, group in enumerate(groups)]
        return Scaled(np.hstack(straight), np.hstack(smooth))

    def covariance(self, one: Scaled, other: Scaled) -> Array:
        """How alike the scores of each two submodels are."""
        smooth, _ = self.smooth_part(_distances(one.smooth, other.smooth))
        return np.asarray(1.0 + one.straight @ other.straight.T + smooth)

    def variance(self, one: Scaled) -> Array:
        """How far the score of each submodel may lie from the mean, squared."""
        return np.asarray(1.0 + self.size + np.einsum("nf,nf->n", one.straight, one.straight))

    def smooth_part(self, distances: Array) -> tuple[Array, Array]:
        """The Matern kernel (5/2) of squared distances, and its slope."""
        root = np.sqrt(5 * distances)
        decay = self.size * np.exp(-root)
        return decay * (1 + root + 5 / 3 * distances), -5 / 6 * decay * (1 + root)


def _distances(one_NF: Array, other_MF: Array) -> Array:
    squares = (one_NF**2).sum(axis=1)[:, None] + (other_MF**2).sum(axis=1) - 2 * one_NF @ other_MF.T
    return np.asarray(np.maximum(squares, 0.0))


def _start(groups: Groups) -> tuple[Array, Array]:
    """The logarithms where no score tells, and how far each goes from there at its ease."""
    weights = [np.log(0.5 / len(group)) for group in groups]
    lengths = [np.log(0.7 * len(group) ** 0.5) for group in groups]
    spread = [2.0] * len(groups) + [1.5] + [0.7] * len(groups) + [1.0]
    return np.array([*weights, np.log(0.3), *lengths, np.log(0.5)]), np.array(spread)


def _likeliest(features_NF: Array, target_N: Array, chance_N: Array, groups: Groups) -> Values:
    if len(target_N) > FITTED:
        kept = np.linspace(0, len(target_N) - 1, FITTED).astype(int)
        features_NF, target_N, chance_N = features_NF[kept], target_N[kept], chance_N[kept]
    start, spread = _start(groups)
    columns = [features_NF[:, group] for group in groups]
    straight = np.stack([np.sqrt(one) @ np.sqrt(one).T for one in columns])
    distances = np.stack([_distances(one, one) for one in columns])
    count, size = len(groups), len(target_N)

    def unlikeliness(logs: Array) -> tuple[float, Array]:
        values = Values(logs)
        inverse_squares = values.lengths**-2
        smooth, slope = values.smooth_part(np.tensordot(inverse_squares, distances, 1))
        covariance = 1.0 + np.tensordot(values.weights, straight, 1) + smooth
        covariance[np.diag_indices(size)] += values.chance * chance_N + JITTER
        lower = cholesky(covariance, lower=True, check_finite=False)
        inverse = cho_solve((lower, True), np.eye(size), check_finite=False)
        solved_N = inverse @ target_N
        weight = inverse - np.outer(solved_N, solved_N)  # of each entry of the covariance
        scaled = weight * slope
        slopes = np.array(
            [
                *(values.weights[g] * np.vdot(weight, straight[g]) for g in range(count)),
                np.vdot(weight, smooth),
                *(-2 * inverse_squares[g] * np.vdot(scaled, distances[g]) for g in range(count)),
                values.chance * np.diag(weight) @ chance_N,
            ]
        )
        away = (logs - start) / spread
        value = 0.5 * (target_N @ solved_N + away @ away) + np.log(np.diag(lower)).sum()
        return float(value), 0.5 * slopes + away / spread

    bounds = [(middle - 4 * width, middle + 4 * width) for middle, width in zip(start, spread, strict=True)]
    found = minimize(unlikeliness, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS})
    return Values(found.x)
