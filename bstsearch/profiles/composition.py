"""The cost of whole models as a sum over their blocks: fitted to some models, true of others (no torch).

A block timed by itself finds its caches warm, and a difference between two depths is the difference of two noisy
numbers. So the costs of all blocks are fitted at once to whole models: what a block of one kind costs is a
polynomial of degree two in its sizes, which holds what a Transformer layer is made of (a constant for launching
it, products of two sizes for its matrix products). docs/log.md compares this with other schemes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Shape = tuple[float, ...]
Block = tuple[str, Shape]  # its kind, and its sizes as shares of the largest there is
Blocks = Mapping[Block, float]  # how often a model has each block

Matrix = NDArray[np.float64]

PENALTIES = 10.0 ** np.arange(-6, 2, 0.5)  # of squared coefficients, beside relative errors
HUBER = 1.345  # standard deviations beyond which an error counts less (Huber 1981: 95 % as efficient as least squares)
STEPS = 6  # of re-weighting; the weights settle within four


@dataclass(frozen=True, kw_only=True)
class BlockCosts:
    """What each kind of block costs: the coefficients of the monomials of its sizes, `scale` times."""

    coefficients: Mapping[str, tuple[float, ...]]
    scale: float

    def cost(self, block: Block) -> float:
        """The cost of one block, in the unit of the values fitted; KeyError where its kind was not among them."""
        kind, shape = block
        return self.scale * float(np.dot(self.coefficients[kind], monomials(shape)))

    def total(self, blocks: Blocks) -> float:
        """The cost of a whole model."""
        return sum(count * self.cost(block) for block, count in blocks.items())


def fit(models: Sequence[Blocks], values: Sequence[float]) -> BlockCosts:
    """The block costs under which the sums over `models` come closest to `values`, all above zero.

    Ridge regression on relative errors, with the penalty of least leave-one-out error, re-weighted after Huber,
    so that a model whose measurement was disturbed does not move the others.
    """
    return _Fit(models, values).costs


def monomials(shape: Shape) -> tuple[float, ...]:
    """1, each size, and each product of two.

    >>> monomials((2.0, 3.0))
    (1.0, 2.0, 3.0, 4.0, 6.0, 9.0)
    """
    pairs = itertools.combinations_with_replacement(shape, 2)
    return (1.0, *shape, *(one * other for one, other in pairs))


class _Fit:
    def __init__(self, models: Sequence[Blocks], values: Sequence[float]) -> None:
        self._values = np.asarray(values, float)
        self._scale = float(self._values.mean())
        self._sizes = _monomial_counts(models)
        features = np.array([list(self._features(model)) for model in models])
        self._relative = features * (self._scale / self._values)[:, None]

    @cached_property
    def costs(self) -> BlockCosts:
        weights = np.ones(len(self._values))
        for _ in range(STEPS):
            solution = self._solve(weights)
            errors = np.abs(self._relative @ solution - 1)
            limit = HUBER * 1.4826 * float(np.median(errors))
            weights = np.minimum(1, limit / np.maximum(errors, 1e-12)) if limit > 0 else np.ones_like(errors)
        parts = np.split(solution, np.cumsum(list(self._sizes.values()))[:-1])
        coefficients = {kind: tuple(part.tolist()) for kind, part in zip(self._sizes, parts, strict=True)}
        return BlockCosts(coefficients=coefficients, scale=self._scale)

    def _features(self, blocks: Blocks) -> Iterable[float]:
        """Kind by kind, the sum of the monomials of its blocks."""
        sums = {kind: np.zeros(size) for kind, size in self._sizes.items()}
        for (kind, shape), count in blocks.items():
            sums[kind] += count * np.array(monomials(shape))
        return itertools.chain.from_iterable(sums.values())

    def _solve(self, weights: Matrix) -> Matrix:
        """The coefficients of least weighted relative error, for the penalty that predicts left-out rows best."""
        root = np.sqrt(weights)
        u, singular, v = np.linalg.svd(self._relative * root[:, None], full_matrices=False)
        projected = u.T @ root
        best, best_error = np.zeros(v.shape[1]), np.inf
        for penalty in PENALTIES:
            shrink = singular**2 / (singular**2 + penalty)
            left_out = (root - u @ (shrink * projected)) / np.maximum(1 - (u**2) @ shrink, 1e-9)
            if (error := float(np.abs(left_out).mean())) < best_error:
                best, best_error = v.T @ (singular / (singular**2 + penalty) * projected), error
        return best


def _monomial_counts(models: Sequence[Blocks]) -> dict[str, int]:
    shapes = {kind: shape for model in models for kind, shape in model}
    return {kind: len(monomials(shapes[kind])) for kind in sorted(shapes)}
