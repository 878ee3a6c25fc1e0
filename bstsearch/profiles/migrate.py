"""Device profiles of format 1, which held one architecture and whole submodels only, in the present one (no torch)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from bstsearch.reading import checked

KEPT = ("device", "obtained", "date", "bstsearch", "units")


class _Machine(Struct, kw_only=True):
    """What format 1 told of the computer. What is in a field, here and below, is checked as a profile's."""

    cpu: Any
    cores: Any
    memory_bytes: Any
    system: Any


class _Row(Struct, kw_only=True):
    """A measured submodel."""

    id: Any
    latency_ms: Any
    low_ms: Any
    high_ms: Any
    p90_ms: Any
    spread: Any
    outliers: Any
    times_ms: Any
    peak_memory_bytes: Any
    file_bytes: Any


class _Profile(Struct, kw_only=True):
    """A whole file."""

    device: Any
    machine: _Machine
    obtained: Any
    date: Any
    bstsearch: Any
    runtime: dict[str, Any]
    model: dict[str, Any]
    units: Any
    schedule: Any
    warnings: Any
    rows: list[_Row]


def migrate(data: dict[str, Any], path: Path) -> dict[str, Any]:
    """`data` of format 1 as format 2: its rows stay; submodels without a row must be measured again.

    InputError, with `path`, where a field is missing.
    """
    old = checked(data, _Profile, path)
    machine = old.machine
    return {
        **{key: getattr(old, key) for key in KEPT},
        "format": 2,
        "via": "local",
        "hardware": {
            "title": machine.cpu,
            "soc": machine.cpu,
            "cores": machine.cores,
            "clusters": [],
            "memory_bytes": machine.memory_bytes,
            "memory_gb_per_s": None,
            "memory_evidence": None,
            "system": machine.system,
        },
        "runtime": {**old.runtime, "cores_used": None},
        "sources": [],
        "notes": ["read from format 1, which has no blocks; --measure adds them"],
        "error": None,
        "rates": None,
        "models": [
            {
                **old.model,
                "date": old.date,
                "stacks": {},
                "schedule": old.schedule,
                "noise": None,
                "error": None,
                "memory": None,
                "warnings": old.warnings,
                "blocks": [],
                "activations": [],
                "submodels": [_row(row) for row in old.rows],
            }
        ],
    }


def _row(row: _Row) -> dict[str, Any]:
    kept = structs.asdict(row)
    # Format 1 kept the file's size, which is the weights' but for the graph, and counted no activations.
    return {"weight_bytes": kept.pop("file_bytes"), **kept, "role": "fit", "activation_bytes": None}
