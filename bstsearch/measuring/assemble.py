"""A measurement as a device profile: a new one, or one more model in the profile that there was (no torch)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import bstsearch
from bstsearch.profiles.profile import FORMAT, MEASURED, DeviceProfile, Units, Via

if TYPE_CHECKING:
    from bstsearch.measuring.measure import Measurement


def assemble(
    device: str, via: Via, measurement: Measurement, notes: Sequence[str], before: DeviceProfile | None
) -> DeviceProfile:
    """The profile of `device` with this measurement.

    Models that `before` holds stay, where they were measured in the same way on the same hardware and runtime.
    """
    kept = before.models if before and _is_alike(before, via, measurement) else ()
    others = tuple(model for model in kept if model.architecture != measurement.model.architecture)
    return DeviceProfile(
        format=FORMAT,
        device=device,
        hardware=measurement.hardware,
        runtime=measurement.runtime,
        obtained=MEASURED,
        via=via,
        date=measurement.model.date,
        bstsearch=bstsearch.__version__,
        units=Units(latency="ms", memory="bytes"),
        sources=(),
        notes=tuple(notes),
        error=None,
        rates=None,
        models=(*others, measurement.model),
    )


def _is_alike(before: DeviceProfile, via: Via, measurement: Measurement) -> bool:
    now = via, measurement.hardware, measurement.runtime
    return (before.via, before.hardware, before.runtime) == now
