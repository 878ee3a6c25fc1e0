"""Models of latency over size, fitted to rows, and what they predict of rows that were left out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from building.rows import Row
from building.sums import geometric_mean

FITTED = "PyTorch Mobile"  # the runtime with enough small plain Transformers to fit on

Curve = Callable[[float], float]
Fit = Callable[[Sequence[Row]], Curve]


@dataclass(frozen=True, kw_only=True)
class PowerLaw:
    """milliseconds = 1000 x GFLOP^exponent / rate."""

    rate: float
    exponent: float

    def __call__(self, gflops: float) -> float:
        """The latency of a model of that size, in milliseconds."""
        return 1000 * math.pow(gflops, self.exponent) / self.rate


def fit_power_law(rows: Sequence[Row]) -> PowerLaw:
    """The power law with the least squares of log latency; its exponent is at most 1."""
    sizes, times = np.log([row.gflops for row in rows]), np.log([row.ms for row in rows])
    exponent = min(1.0, float(np.polyfit(sizes, times, 1)[0]))
    return PowerLaw(rate=1000 / math.exp(float(np.mean(times - exponent * sizes))), exponent=exponent)


def fit_constant(rows: Sequence[Row]) -> PowerLaw:
    """The constant rate with the least squares of log latency."""
    return PowerLaw(rate=1000 / geometric_mean([row.ms / row.gflops for row in rows]), exponent=1.0)


def fit_intercept(rows: Sequence[Row]) -> Curve:
    """A constant time beside a constant rate, with the least relative squares; neither is negative."""
    table = np.array([[1 / row.ms, row.gflops / row.ms] for row in rows])
    start, slope = np.linalg.lstsq(table, np.ones(len(rows)), rcond=None)[0]
    return (lambda gflops: float(start + slope * gflops)) if start > 0 else fit_constant(rows)


def held_out(rows: Sequence[Row], fit: Fit) -> list[tuple[float, float]]:
    """Actual and predicted latency of every row, by a fit to the others."""
    return [(row.ms, fit([other for other in rows if other is not row])(row.gflops)) for row in rows]
