"""Estimated: from rows of cores of its class."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from bstsearch.profiles.profile import Cluster
from building.checks import check_of, not_counted_notes, rows_to_check
from building.evidence import blind_error, runtimes_note
from building.fits import PowerLaw, fit_power_law, held_out
from building.hardware import clusters_of
from building.interval import interval_and_why
from building.made import Made, error_of, rates_of
from building.rows import Group, Row, fittable_on_one_core, grouped
from building.shares import common_exponent, left_out_devices, share_of_peak
from building.sums import geometric_mean, ratios, spread

CLASSES = {
    "narrow": "one out-of-order Arm core (Cortex-A75 to A78)",
    "wide": "one core with four 128-bit pipes (Cortex-X, Apple)",
    "x86": "one x86 core",
}
LEAST_ESTIMATED = "by which blind predictions for other devices and runtimes were off"

Pairs = Mapping[Row, tuple[float, float]]  # actual and predicted latency of each row


def estimate(device: dict[str, str], rows: Sequence[Row]) -> Made:
    """The power law at the share of peak of the device's class, and its error by leaving one device out."""
    of_class, exponent = [row for row in rows if row.core_class == device["basis"]], common_exponent(rows)
    core, share = clusters_of(device["device"])[0], share_of_peak(of_class, exponent)
    peak = core.peak_gflops or math.nan
    law = PowerLaw(rate=share * peak, exponent=exponent)
    check, pairs = check_of(device, rows, law), left_out_devices(of_class, exponent)
    for row in rows_to_check(device, rows):
        pairs.setdefault(row, (row.ms, law(row.gflops)))
    interval, why = interval_and_why(
        {"models": _between_models(rows), "devices and runtimes": _between_groups(pairs)},
        check,
        least=(blind_error(rows), LEAST_ESTIMATED),
    )
    behind, computed_on = _behind(of_class, rows), _computed_on(pairs, CLASSES[device["basis"]])
    return Made(
        rates=rates_of(law, behind, device=device["device"], arithmetic=_arithmetic(law, core, peak)),
        error=error_of(list(pairs.values()), interval=interval, computed_on=computed_on, is_one_device=False),
        runtime="any",
        version="not stated",
        notes=[
            f"Estimated from specifications: the share of peak reached elsewhere on {CLASSES[device['basis']]}.",
            why,
            *not_counted_notes(device, rows),
            runtimes_note(rows),
            *([check.text] if check else []),
        ],
        sources=[],
    )


def _between_models(rows: Sequence[Row]) -> float:
    """The median, over the one-core fits, of how far a model that was left out is off."""
    pairs = [held_out(group, fit_power_law) for group in fittable_on_one_core(rows).values()]
    return float(np.median([spread(ratios(group)) for group in pairs]))


def _between_groups(pairs: Pairs) -> float:
    """How far groups of other devices and runtimes are off, whose cores are known to be of the class."""
    groups = grouped(row for row in pairs if row.core_class).values()
    return spread(geometric_mean(ratios(pairs[row] for row in group)) for group in groups)


def _behind(of_class: Sequence[Row], rows: Sequence[Row]) -> list[Row]:
    """The rows that the share of peak and the exponent were fitted to."""
    return [*(row for row in of_class if row.use == "fit"), *itertools.chain(*fittable_on_one_core(rows).values())]


def _arithmetic(law: PowerLaw, core: Cluster, peak: float) -> str:
    return (
        f"{law.rate / peak:.3f} of the peak of one core ({core.clock_ghz:g} GHz x "
        f"{core.fp32_flop_per_cycle} FLOP/cycle = {peak:.4g} GFLOP/s) = {law.rate:.4g} GFLOP/s at 1 GFLOP, "
        f"x GFLOP^{1 - law.exponent:.3f}"
    )


def _computed_on(pairs: Pairs, of_cores: str) -> str:
    groups = "; ".join(_group_text(key, group) for key, group in grouped(pairs).items())
    return f"{len(pairs)} rows on {of_cores}, none of whose devices had a part in its prediction: {groups}"


def _group_text(key: Group, group: Sequence[Row]) -> str:
    device, runtime, cores_used = key
    allowed = "" if group[0].precision == "fp32" else f", {group[0].precision}"
    return f"{len(group)} of {device} ({cores_used}, {runtime}{allowed})"
