"""Calibrated: from rows of that device."""

from __future__ import annotations

from collections.abc import Sequence

from building.checks import Check, check_of
from building.evidence import between_runtimes, runtimes_note
from building.fits import PowerLaw, fit_power_law, held_out
from building.interval import interval_and_why
from building.made import Made, error_of, rates_of
from building.rows import Row, fittable, grouped
from building.sums import ratios, spread

LEAST_OF_ONE_RUNTIME = "since the one runtime is of 2020, and runtimes and devices differ by a factor of 1.5"


def calibrate(device: dict[str, str], rows: Sequence[Row]) -> Made:
    """The power law through the device's own rows, and its error by leaving one model out."""
    own = grouped(fittable(rows))[device["device"], device["basis"], device["cores_used"]]
    law, pairs = fit_power_law(own), held_out(own, fit_power_law)
    check = check_of(device, rows, law)
    interval, why = interval_and_why(
        {"models": spread(ratios(pairs)), "runtimes": spread(between_runtimes(rows).values())},
        check,
        least=(float(device["least_interval"] or 0), LEAST_OF_ONE_RUNTIME),
    )
    return Made(
        rates=rates_of(law, own, device=device["device"], arithmetic=_arithmetic(law, own[0].peak)),
        error=error_of(pairs, interval=interval, computed_on=_computed_on(own), is_one_device=True),
        runtime=own[0].runtime,
        version=own[0].version,
        notes=_notes(own, why, runtimes_note(rows), check),
        sources=[own[0].source],
    )


def _arithmetic(law: PowerLaw, peak: float | None) -> str:
    share = f" ({law.rate / peak:.0%} of the peak of {peak:g})" if peak else ""
    return f"{law.rate:.4g} GFLOP/s at 1 GFLOP{share}, x GFLOP^{1 - law.exponent:.3f}"


def _computed_on(own: Sequence[Row]) -> str:
    return (
        f"{len(own)} plain Transformers of {own[0].gflops:.2g} to {own[-1].gflops:.3g} GFLOP on "
        f"{own[0].cores_used}, {_runtime(own)}, each predicted by a fit to the others"
    )


def _notes(own: Sequence[Row], why: str, runtimes: str, check: Check | None) -> list[str]:
    fitted = f"Fitted to {_runtime(own)}. No fp32 row of ONNX Runtime is published for this device."
    return [fitted, why, runtimes, *([check.text] if check else [])]


def _runtime(own: Sequence[Row]) -> str:
    return f"{own[0].runtime} {own[0].version}"
