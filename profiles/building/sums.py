"""Means, spreads and roundings of latencies and their ratios."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

QUANTILE = 0.8


def geometric_mean(values: Sequence[float]) -> float:
    """The geometric mean."""
    return math.exp(float(np.mean(np.log(values))))


def geometric_deviation(values: Sequence[float]) -> float:
    """The standard deviation of the logarithms, as a factor."""
    return math.exp(float(np.std(np.log(values))))


def factor(ratio: float) -> float:
    """The ratio or its inverse, whichever is not below 1."""
    return max(ratio, 1 / ratio)


def ratios(pairs: Iterable[tuple[float, float]]) -> list[float]:
    """Actual / predicted of each pair of these."""
    return [actual / predicted for actual, predicted in pairs]


def relative_errors(pairs: Iterable[tuple[float, float]]) -> list[float]:
    """abs(actual / predicted - 1) of each pair of these."""
    return [abs(ratio - 1) for ratio in ratios(pairs)]


def spread(values: Iterable[float]) -> float:
    """The factor, up or down, that four of five ratios stay within."""
    return float(np.quantile([factor(ratio) for ratio in values], QUANTILE))


def round_up(value: float) -> float:
    """The next multiple of 0.05 that is not below the value."""
    return round(math.ceil(value / 0.05 - 1e-9) * 0.05, 2)


def round_to_4_digits(value: float) -> float:
    """The value to four significant digits."""
    return float(f"{value:.4g}")
