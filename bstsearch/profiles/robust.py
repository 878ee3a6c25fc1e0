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


def quantile_interval(values: Sequence[float], share: float) -> tuple[float, float]:
    """The 95 % interval of the quantile that `share` lie below, from ranks alone: no distribution is assumed.

    Ranks n share -+ 1.96 sqrt(n share (1 - share)), rounded outwards; of few values, smallest to largest, which holds
    less.

    >>> quantile_interval(range(1, 21), 0.5)
    (5.0, 16.0)
    >>> quantile_interval(range(1, 21), 0.25)
    (1.0, 10.0)
    """
    ordered, count = sorted(values), len(values)
    reach = 1.96 * math.sqrt(count * share * (1 - share))
    low = max(1, math.floor(count * share - reach))
    high = min(count, count + 1 - math.floor(count * (1 - share) - reach))
    return float(ordered[low - 1]), float(ordered[high - 1])


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
