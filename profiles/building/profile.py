"""The profiles in the file's form."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence

from bstsearch.profiles.profile import FORMAT, DeviceProfile, Runtime, Source, Units
from building.calibrated import calibrate
from building.estimated import CLASSES, estimate
from building.evidence import kinds_note
from building.hardware import hardware_of, hardware_sources
from building.made import Made
from building.rows import Row, read_lines, read_rows

DATE = datetime.datetime(2026, 11, 25, tzinfo=datetime.UTC)  # when the published rows were collected
BUILT_WITH = "0.1.0"
# What every range and note rests on, beside the rows of the device itself.
BEHIND = ("mmlb-torch", "mmlb-tflite", "ncnn", "iree-gist", "mobilebert", "iree-gpt2")


def build() -> list[DeviceProfile]:
    """The profile of every device in published/devices.csv."""
    rows = read_rows()
    return [_profile(device, rows) for device in read_lines("devices.csv")]


def _profile(device: dict[str, str], rows: Sequence[Row]) -> DeviceProfile:
    is_calibrated = device["basis"] not in CLASSES
    made = (calibrate if is_calibrated else estimate)(device, rows)
    return DeviceProfile(
        format=FORMAT,
        device=device["device"],
        hardware=hardware_of(device),
        runtime=_runtime(device, made),
        obtained="calibrated" if is_calibrated else "estimated",
        via=None,
        date=DATE,
        bstsearch=BUILT_WITH,
        units=Units(latency="ms", memory="bytes"),
        sources=_sources([*made.sources, *BEHIND, *hardware_sources(device["device"])]),
        notes=(*([device["note"]] if device["note"] else []), *made.notes, kinds_note(rows)),
        error=made.error,
        rates=made.rates,
        models=(),
    )


def _runtime(device: dict[str, str], made: Made) -> Runtime:
    return Runtime(
        name=made.runtime,
        version=made.version,
        provider="CPU",
        threads=int(device["threads"]),
        precision="float32",
        cores_used=device["cores_used"],
    )


def _sources(keys: Iterable[str]) -> tuple[Source, ...]:
    known = {line["key"]: Source(what=line["what"], where=line["where"]) for line in read_lines("sources.csv")}
    return tuple(known[key] for key in dict.fromkeys(keys))
