"""The comparison of models that the choice of the power law rests on.

A constant rate is worse nearly everywhere. A constant time beside a rate is as good on average, and worse at its worst;
and it would put a floor under every smaller submodel (7 ms on a Pixel 4, 78 ms on a Raspberry Pi 4) that no row shows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from building.fits import Fit, fit_constant, fit_intercept, fit_power_law, held_out
from building.rows import Row, fittable, grouped, read_rows
from building.sums import relative_errors

SIZE_MATCHED = 6.0  # GFLOP; submodels of MCAN are smaller
MODELS: dict[str, Fit] = {
    "constant rate": fit_constant,
    "power law": fit_power_law,
    "rate + constant time": fit_intercept,
}


def comparison() -> str:
    """A Markdown table: the leave-one-model-out error of three models on every core set."""
    lines = [f"| rows | {' | '.join(MODELS)} |", "|---|" + "---|" * len(MODELS)]
    for (device, runtime, cores_used), rows in grouped(fittable(read_rows())).items():
        errors = [_errors(rows, fit) for fit in MODELS.values()]
        lines.append(f"| {device}, {runtime}, {cores_used} | {' | '.join(errors)} |")
    return "\n".join(lines)


def _errors(rows: Sequence[Row], fit: Fit) -> str:
    errors = relative_errors(held_out(rows, fit))
    small = [error for row, error in zip(rows, errors, strict=True) if row.gflops < SIZE_MATCHED]
    return f"{np.mean(errors):.1%} (below 6 GFLOP {np.mean(small):.1%}, worst {max(errors):.1%})"
