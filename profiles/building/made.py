"""What both ways of obtaining a profile come to: its rates and its error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bstsearch.profiles.profile import LatencyError, Rates
from bstsearch.profiles.robust import median, p90, rank_correlation
from building.fits import PowerLaw
from building.hardware import memory_of, streaming_share
from building.rows import Row
from building.sums import relative_errors, round_to_4_digits


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a way of obtaining a profile found out, before it is put into the file's form."""

    rates: Rates
    error: LatencyError
    runtime: str
    version: str
    notes: list[str]
    sources: list[str]


def rates_of(law: PowerLaw, rows: Sequence[Row], *, device: str, arithmetic: str) -> Rates:
    """The rates of a power law, good for sizes within those of the rows; `arithmetic` says how the law came about."""
    streaming, peak = streaming_share(), float(memory_of(device)["gb_per_s"])
    return Rates(
        gflops_per_s=round_to_4_digits(law.rate),
        exponent=round_to_4_digits(law.exponent),
        gb_per_s=round_to_4_digits(streaming * peak),
        smallest_gflops=min(row.gflops for row in rows),
        largest_gflops=max(row.gflops for row in rows),
        arithmetic=f"{arithmetic}; weights at {streaming:.2f} of {peak:g} GB/s of memory = "
        f"{streaming * peak:.3g} GB/s, the share that one core of a Pixel 6 reached with GPT-2",
    )


def error_of(
    pairs: Sequence[tuple[float, float]], *, interval: float, computed_on: str, is_one_device: bool
) -> LatencyError:
    """The error over actual and predicted latencies; ranks say something of one device's models only."""
    errors = relative_errors(pairs)
    return LatencyError(
        median=round_to_4_digits(median(errors)),
        p90=round_to_4_digits(p90(errors)),
        worst=round_to_4_digits(max(errors)),
        interval=interval,
        rank_correlation=round_to_4_digits(rank_correlation(*zip(*pairs, strict=True))) if is_one_device else None,
        rows=len(pairs),
        computed_on=computed_on,
    )
