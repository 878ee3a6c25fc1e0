"""Robust numbers of repeated measurements: medians and ranks, since one slow run must not move the result."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

OUTLIER = 3.5  # modified z-score beyond which a value is an outlier (Iglewicz and Hoaglin 1993)


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two middle ones."""
    return float(np.median(values))


def p90(values: Sequence[float]) -> float:
    """The value that nine of ten do not exceed, interpolated between neighbours."""
    return float(np.percentile(values, 90))


def spread(values: Sequence[float]) -> float:
    """Median absolute deviation over median: half of the values lie this close to the median, or closer.

    >>> spread([1.0, 2.0, 3.0, 4.0, 100.0])
    0.3333333333333333
    """
    return _deviation(values) / median(values)


def count_outliers(values: Sequence[float]) -> int:
    """How many values have a modified z-score beyond 3.5, on either side.

    Where more than half of the values are equal, the median deviation is 0 and the mean one stands in.

    >>> count_outliers([1.0, 1.1, 0.9, 1.0, 1.05, 9.0])
    1
    """
    # A normal distribution's standard deviation is 1.4826 median deviations, or 1.2533 mean ones.
    distances = np.abs(np.asarray(values) - median(values))
    sigma = 1.4826 * _deviation(values) or 1.2533 * float(np.mean(distances))
    return int(np.sum(distances > OUTLIER * sigma)) if sigma else 0


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the median, from ranks alone: no distribution is assumed, two modes show.

    Ranks n/2 -+ 0.98 sqrt(n), rounded outwards; for fewer than six values, smallest to largest, which holds less.

    >>> median_interval(range(1, 21))
    (5.0, 16.0)
    """
    ordered = sorted(values)
    rank = max(1, math.floor(len(ordered) / 2 - 0.98 * math.sqrt(len(ordered))))
    return float(ordered[rank - 1]), float(ordered[-rank])


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Spearman's, of two rows of at least two values each; of equal values the earlier counts as the lower.

    >>> rank_correlation([1.0, 2.0, 30.0], [0.1, 0.2, 0.3])
    1.0
    """
    ranks = [np.argsort(np.argsort(row, kind="stable"), kind="stable") for row in (one, other)]
    first, second = (rank - rank.mean() for rank in ranks)
    return float(first @ second / math.sqrt(float((first @ first) * (second @ second))))


def _deviation(values: Sequence[float]) -> float:
    return float(np.median(np.abs(np.asarray(values) - median(values))))
