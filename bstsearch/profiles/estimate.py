"""A submodel's latency on a device that was not measured, from its profile's rates and the work it takes (no torch).

Products of matrices run at a rate that falls a little with their size; the recurrent products of an LSTM wait for
one another and run at the rate at which weights come from memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bstsearch.errors import InputError
from bstsearch.profiles.latency import Latency, Memory, around

if TYPE_CHECKING:
    from bstsearch.profiles.profile import DeviceProfile, Rates

RUNTIME_BYTES = 16_000_000  # ONNX Runtime 1.32 took 12.6 MB on x86-64 beside a model of 0.2 MB


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one forward pass takes at batch 1, whatever the device.

    `gflops` is 2 x MACs / 1e9 of all but recurrent products; `recurrent_mb` the megabytes (1e6) of recurrent weights,
    once for every step.
    """

    gflops: float
    recurrent_mb: float


def estimate(profile: DeviceProfile, work: Work) -> Latency:
    """The latency of `work` by the profile's rates, with the range that its error leaves.

    The source is the profile's own: calibrated or estimated. InputError where the profile was measured, since it
    then has rows in place of rates.
    """
    if profile.rates is None or profile.error is None or profile.obtained == "measured":
        raise InputError(
            f"device profile {profile.device!r} is {profile.obtained} and has no rates to estimate by; "
            "latencies on it come from its rows"
        )
    return around(milliseconds(profile.rates, work), profile.obtained, profile.error.interval)


def milliseconds(rates: Rates, work: Work) -> float:
    """What the rates say of `work`: the time of its matrix products, then that of its recurrent weights.

    GB/s are MB/ms, so that megabytes over `gb_per_s` are milliseconds.
    """
    return 1000 * math.pow(work.gflops, rates.exponent) / rates.gflops_per_s + work.recurrent_mb / rates.gb_per_s


def is_extrapolated(rates: Rates, work: Work) -> bool:
    """Whether `work` is smaller or larger than every published model that the rates come from.

    Below the range, time between operators dominates, and true latencies will be higher. Above it nothing is known.
    """
    return not rates.smallest_gflops <= work.gflops <= rates.largest_gflops


def estimate_memory(weight_bytes: int, activation_bytes: int) -> Memory:
    """Peak memory where nothing was measured: weights and the largest live set of activations, a lower bound.

    The upper end is for a runtime that holds the weights twice while it loads them, beside its own `RUNTIME_BYTES`.
    """
    least = weight_bytes + activation_bytes
    most = RUNTIME_BYTES + 2 * weight_bytes + activation_bytes
    return Memory(bytes=least, source="estimated", low_bytes=least, high_bytes=most)
