"""The share of a core's fp32 peak that cores of its class reached, on other devices."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from building.fits import PowerLaw, fit_power_law
from building.rows import Row, fittable_on_one_core, grouped, known_peak
from building.sums import geometric_mean


def share_of_peak(rows: Iterable[Row], exponent: float) -> float:
    """The rate at 1 GFLOP over the peak: geometric mean of models, then of runtimes, then of devices."""
    of_device: dict[str, list[float]] = {}
    for (device, _, _), group in grouped(row for row in rows if row.use == "fit").items():
        reached = [1000 * math.pow(row.gflops, exponent) / row.ms / known_peak(row) for row in group]
        of_device.setdefault(device, []).append(geometric_mean(reached))
    return geometric_mean([geometric_mean(shares) for shares in of_device.values()])


def left_out_devices(rows: Sequence[Row], exponent: float) -> dict[Row, tuple[float, float]]:
    """Actual and predicted latency of each row, by the share of peak of the other devices."""
    found = {}
    for row in rows:
        share = share_of_peak([other for other in rows if other.device != row.device], exponent)
        found[row] = row.ms, PowerLaw(rate=share * known_peak(row), exponent=exponent)(row.gflops)
    return found


def common_exponent(rows: Sequence[Row]) -> float:
    """The mean exponent of the fits on one out-of-order core: all but that of the in-order Cortex-A53."""
    fits = [group for group in fittable_on_one_core(rows).values() if "A53" not in group[0].cores_used]
    return float(np.mean([fit_power_law(group).exponent for group in fits]))
