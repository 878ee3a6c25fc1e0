"""The row of the device itself, or of its next of kin, that no fit has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from building.fits import PowerLaw
from building.rows import Row, read_lines


@dataclass(frozen=True, kw_only=True)
class Check:
    """How many times as long as predicted a row took that nothing was fitted to, and that in words."""

    ratio: float
    text: str


def check_of(device: dict[str, str], rows: Sequence[Row], law: PowerLaw) -> Check | None:
    """The check of a device's power law by the first of its rows to check; None where it has none."""
    for row in rows_to_check(device, rows):
        ratio = row.ms / law(row.gflops)
        where = row.cores_used if row.device == device["device"] else f"{row.cores_used} ({row.device})"
        took = f"{row.model} took {row.ms:.0f} ms in {row.runtime} {row.version} ({row.precision}) on {where}"
        return Check(ratio=ratio, text=f"Not fitted to: {took}, {ratio:.2f} times what these rates say.")
    return None


def rows_to_check(device: dict[str, str], rows: Sequence[Row]) -> list[Row]:
    """The rows of the group that devices.csv names as the device's check."""
    return [row for row in rows if " | ".join(row.group) == device["check"]]


def not_counted_notes(device: dict[str, str], rows: Sequence[Row]) -> list[str]:
    """A note on rows of the same class whose core, or its peak, is not known; they count for one device only."""
    others = [line for line in read_lines("devices.csv") if line["basis"] == device["basis"] and line != device]
    names = [line["device"] for line in others if any(not row.core_class for row in rows_to_check(line, rows))]
    if not names:
        return []
    return [f"Not counted, for want of the core's name or peak: a row each in the notes of {' and '.join(names)}."]
