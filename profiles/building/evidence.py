"""What the rows say of every device: how runtimes and kinds of model differ, and how far off blind predictions were."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from building.fits import FITTED, fit_power_law
from building.rows import Group, Row, fittable, fittable_on_one_core, grouped, known_peak
from building.sums import geometric_deviation, geometric_mean

CORTEX_A76 = "1 x Cortex-A76 2.84 GHz"  # a Pixel 4's big core
# The blind check of the shared part of peak: 0.66 of it on one core, less on more.
BLIND_SHARE, BLIND_ON_TWO, BLIND_ON_MORE = 0.66, 0.83, 0.65


def between_runtimes(rows: Sequence[Row]) -> dict[Group, float]:
    """How much longer other runtimes took than the fit to PyTorch Mobile on the same cores, a factor for each group.

    TFLite ran on the same cores of the same device; ncnn on Cortex-A76 cores of other clocks, for which the peak
    makes up.
    """
    laws = {(device, cores): fit_power_law(rows) for (device, _, cores), rows in fittable_on_one_core(rows).items()}
    a76 = next(row for row in rows if row.cores_used == CORTEX_A76)
    found = {}
    for key, group in grouped(row for row in rows if row.kind == "plain" and row.cores == 1).items():
        device, runtime, cores = key
        if runtime == "TFLite" and (device, cores) in laws:
            found[key] = geometric_mean([row.ms / laws[device, cores](row.gflops) for row in group])
        elif runtime == "ncnn" and "Cortex-A76" in cores:
            law, scale = laws[a76.device, a76.cores_used], known_peak(group[0]) / known_peak(a76)
            found[key] = geometric_mean([row.ms / law(row.gflops) * scale for row in group])
    return found


def blind_transfer(rows: Sequence[Row]) -> list[float]:
    """Actual / predicted for rows of other devices, runtimes and threads, by 0.66 of peak and nothing fitted."""
    ratios = []
    for row in rows:
        if row.source in ("ncnn", "iree-gist", "mobilebert") and row.peak:
            on_more = 1.0 if row.cores == 1 else BLIND_ON_TWO if row.cores == 2 else BLIND_ON_MORE
            ratios.append(row.ms / (1000 * row.gflops / (BLIND_SHARE * on_more * row.peak)))
    return ratios


def blind_error(rows: Sequence[Row]) -> float:
    """The mean of abs(predicted / actual - 1) of the blind predictions, to the nearest 0.05."""
    return round(float(np.mean([abs(1 / ratio - 1) for ratio in blind_transfer(rows)])) / 0.05) * 0.05


def runtimes_note(rows: Sequence[Row]) -> str:
    """A note on how runtimes differ, and devices with them."""
    factors, blind = between_runtimes(rows).values(), blind_transfer(rows)
    return (
        f"Runtimes differ: on equal cores TFLite and ncnn took {min(factors):.2f} to {max(factors):.2f} times as long "
        f"as fits to {FITTED} say. Of {len(blind)} blind predictions for other devices, runtimes and threads, the "
        f"standard deviation is a factor of {geometric_deviation(blind):.1f}."
    )


def kinds_note(rows: Sequence[Row]) -> str:
    """A note on how much longer models took that are no plain Transformers."""
    law = fit_power_law([row for row in fittable(rows) if row.cores_used == CORTEX_A76])
    others = [row.ms / law(row.gflops) for row in rows if row.kind == "hybrid" and row.runtime == FITTED]
    return (
        f"For plain Transformers. On a Pixel 4, {len(others)} hierarchical and hybrid ones took {min(others):.1f} to "
        f"{max(others):.1f} times as long (median {np.median(others):.1f}) as the fit to plain ones says."
    )
