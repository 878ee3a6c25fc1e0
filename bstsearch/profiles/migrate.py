"""Device profiles of format 1, which held one architecture and whole submodels only, in the present one (no torch)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KEPT = ("device", "obtained", "date", "bstsearch", "units")
ROW_KEYS = ("id", "latency_ms", "low_ms", "high_ms", "p90_ms", "spread", "outliers", "times_ms", "peak_memory_bytes")


def migrate(data: Mapping[str, Any]) -> dict[str, Any]:
    """`data` of format 1 as format 2: its rows stay; submodels without a row must be measured again."""
    machine, rows = data["machine"], data["rows"]
    return {
        **{key: data[key] for key in KEPT},
        "format": 2,
        "via": "local",
        "hardware": {
            "title": machine["cpu"],
            "soc": machine["cpu"],
            "cores": machine["cores"],
            "clusters": [],
            "memory_bytes": machine["memory_bytes"],
            "memory_gb_per_s": None,
            "memory_evidence": None,
            "system": machine["system"],
        },
        "runtime": {**data["runtime"], "cores_used": None},
        "sources": [],
        "notes": ["read from format 1, which has no blocks; --measure adds them"],
        "error": None,
        "rates": None,
        "models": [
            {
                **data["model"],
                "date": data["date"],
                "stacks": {},
                "schedule": data["schedule"],
                "noise": None,
                "error": None,
                "memory": None,
                "warnings": data["warnings"],
                "blocks": [],
                "activations": [],
                "submodels": [_row(row) for row in rows],
            }
        ],
    }


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: row[key] for key in ROW_KEYS}
    # Format 1 kept the file's size, which is the weights' but for the graph, and counted no activations.
    return {**kept, "role": "fit", "weight_bytes": row["file_bytes"], "activation_bytes": None}
