"""What a runtime needs beside a submodel's weights and activations, from the peaks that were measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bstsearch.profiles.profile import MeasuredRow, MemoryFit
from bstsearch.profiles.robust import median


def fit_memory(rows: Sequence[MeasuredRow]) -> MemoryFit:
    """The runtime's own bytes and how often it holds the weights, by least squares of relative errors."""
    known = [row for row in rows if row.peak_memory_bytes and row.activation_bytes]
    if len(known) < 3:
        return MemoryFit(runtime_bytes=0, weight_copies=1.0, median=0.0, worst=0.0, rows=0)
    peaks = np.array([row.peak_memory_bytes for row in known], float)
    weights = np.array([row.weight_bytes for row in known], float)
    live = np.array([row.activation_bytes for row in known], float)
    parts = np.stack([np.ones_like(weights), weights], axis=1)
    runtime, copies = np.linalg.lstsq(parts / peaks[:, None], (peaks - live) / peaks)[0]
    runtime, copies = max(0, round(runtime)), max(0.0, float(copies))
    errors = np.abs(peaks / (runtime + copies * weights + live) - 1)
    return MemoryFit(
        runtime_bytes=runtime,
        weight_copies=copies,
        median=median(errors),
        worst=float(errors.max()),
        rows=len(known),
    )
