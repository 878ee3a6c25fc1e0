"""A submodel's latency and memory, from a device profile: its row, or an estimate from the others (no torch)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import TYPE_CHECKING, Literal

from bstsearch.errors import InputError
from bstsearch.space import Submodel

if TYPE_CHECKING:
    from bstsearch.devices.profile import DeviceProfile, EstimateErrors, MeasuredRow

ROUNDING = 1e-12  # losses that differ by less are equal
Source = Literal["measured", "estimated"]

METHOD = (
    "measured rows of one width held out in turn, and estimated by non-negative relative least squares "
    "on 1, width, depth, depth x heads, depth x width x ffn"
)


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Milliseconds for one example, with a range.

    Measured: the median, and the 95 % interval of that median. Estimated: the range that no held-out row
    of the profile left; see `LatencyTable`.
    """

    ms: float
    source: Source
    low_ms: float
    high_ms: float

    @property
    def safe_ms(self) -> float:
        """What to hold against a budget: an estimate counts with its upper end."""
        return self.ms if self.source == "measured" else self.high_ms


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Peak bytes while loading and running one submodel; a range as in `Latency`."""

    bytes: int
    source: Source
    low_bytes: int
    high_bytes: int

    @property
    def safe_bytes(self) -> int:
        """What to hold against a budget, as in `Latency`."""
        return self.bytes if self.source == "measured" else self.high_bytes


@dataclass(frozen=True, kw_only=True)
class LatencyTable:
    """The rows of a device profile, by submodel id, and what they say of submodels that have none.

    A profile measures submodels that are uniform over their layers. Where layers choose for themselves,
    the cost is estimated as a sum: a constant (fixed parts), width (adapters, pooling), kept layers (one
    kernel launch after the other), their heads (attention), their FFN units times width (matrix products).
    No part can cost less than nothing, and errors count relative to the measured value.
    """

    rows: Mapping[str, MeasuredRow]
    errors: EstimateErrors | None

    @classmethod
    def from_profile(cls, profile: DeviceProfile) -> LatencyTable:
        """The table of all rows in `profile`."""
        return cls(rows={row.id: row for row in profile.rows}, errors=profile.error)

    def latency(self, submodel: Submodel) -> Latency:
        """Measured where the profile has this submodel, else estimated; InputError where neither can be."""
        if row := self.rows.get(submodel.id):
            return Latency(ms=row.latency_ms, source="measured", low_ms=row.low_ms, high_ms=row.high_ms)
        errors = self._require_errors(submodel)
        ms = _predict(self._latency_weights, submodel)
        low, high = _range(ms, errors.latency.worst)
        return Latency(ms=ms, source="estimated", low_ms=low, high_ms=high)

    def memory(self, submodel: Submodel) -> Memory:
        """Peak memory, measured or estimated as in `latency`."""
        if row := self.rows.get(submodel.id):
            size = row.peak_memory_bytes
            return Memory(bytes=size, source="measured", low_bytes=size, high_bytes=size)
        errors = self._require_errors(submodel)
        size = round(_predict(self._memory_weights, submodel))
        low, high = _range(size, errors.memory.worst)
        return Memory(bytes=size, source="estimated", low_bytes=round(low), high_bytes=round(high))

    @cached_property
    def _latency_weights(self) -> tuple[float, ...]:
        return _fit(self._submodels, [row.latency_ms for row in self.rows.values()])

    @cached_property
    def _memory_weights(self) -> tuple[float, ...]:
        return _fit(self._submodels, [row.peak_memory_bytes for row in self.rows.values()])

    @property
    def _submodels(self) -> list[Submodel]:
        return [Submodel.from_id(name) for name in self.rows]

    def _require_errors(self, submodel: Submodel) -> EstimateErrors:
        if self.errors is None:
            raise InputError(
                f"the device profile has no row {submodel.id!r}, and its rows are of one width, too few for an "
                "estimate; measure the supernet's submodels with 'bstsearch profile --measure'"
            )
        return self.errors


def held_out_errors(submodels: Sequence[Submodel], values: Sequence[float]) -> list[float]:
    """|value / estimate - 1| of every submodel, by a fit to those of other widths; empty for a single width.

    Held out by width, not one by one: a submodel whose layers differ is as unlike the fitted ones as a
    new width is. Single held-out rows look far better than such submodels turn out to be.
    """
    errors = []
    widths = sorted({submodel.width for submodel in submodels})
    for width in widths if len(widths) > 1 else []:
        seen = [pair for pair in zip(submodels, values, strict=True) if pair[0].width != width]
        weights = _fit(*zip(*seen, strict=True))
        for submodel, value in zip(submodels, values, strict=True):
            if submodel.width == width:
                errors.append(abs(value / _predict(weights, submodel) - 1))
    return errors


def _features(submodel: Submodel) -> tuple[float, ...]:
    width, depth = float(submodel.width), float(submodel.depth)
    heads = fmean(submodel.heads or (submodel.width,))
    ffn = fmean(submodel.ffn or (submodel.width,))
    return 1.0, width, depth, depth * heads, depth * width * ffn


def _predict(weights: Sequence[float], submodel: Submodel) -> float:
    return sum(weight * feature for weight, feature in zip(weights, _features(submodel), strict=True))


def _fit(submodels: Sequence[Submodel], values: Sequence[float]) -> tuple[float, ...]:
    """Non-negative weights with the least sum of (estimate / value - 1)^2.

    With so few features every set of positive weights can be tried; the best feasible one is the optimum,
    and of equally good ones that with the fewest and first features.
    """
    import numpy as np  # here, since a table of measured rows needs none of it

    relative = np.array([_features(submodel) for submodel in submodels]) / np.array(values)[:, None]
    features = relative.shape[1]
    best, best_loss = np.zeros(features), np.inf
    for count in range(1, features + 1):
        for chosen in itertools.combinations(range(features), count):
            weights = np.zeros(features)
            weights[list(chosen)] = np.linalg.lstsq(relative[:, chosen], np.ones(len(values)))[0]
            loss = float(np.square(relative @ weights - 1).sum())
            if weights.min() >= 0 and loss < best_loss - ROUNDING:
                best, best_loss = weights, loss
    return tuple(best.tolist())


def _range(value: float, error: float) -> tuple[float, float]:
    return max(0.0, value * (1 - error)), value * (1 + error)
