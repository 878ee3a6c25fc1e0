from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from bstsearch.errors import InputError
from bstsearch.profiles.profile_file import load_profile, save_profile

# A profile as bstsearch 0.1.0 wrote it.
FORMAT_1: dict[str, Any] = {
    "format": 1,
    "device": "local",
    "machine": {"cpu": "AMD EPYC", "cores": 2, "memory_bytes": 25276502016, "system": "Linux 6.18 x86_64"},
    "obtained": "measured",
    "date": "2026-11-24T09:02:42Z",
    "bstsearch": "0.1.0",
    "runtime": {
        "name": "onnxruntime",
        "version": "1.32.0",
        "provider": "CPUExecutionProvider",
        "threads": 1,
        "precision": "float32",
    },
    "model": {
        "family": "mcan",
        "architecture": "6b5ab8c2ce17ffba",
        "batch": 1,
        "inputs": {"question": [1, 10], "image": [1, 64, 64, 3]},
    },
    "units": {"latency": "ms", "memory": "bytes"},
    "schedule": {"rounds": 20, "seed": 3},
    "error": {
        "method": "non-negative relative least squares",
        "latency": {"median": 0.04, "worst": 0.12},
        "memory": {"median": 0.02, "worst": 0.05},
    },
    "warnings": ["it was a hot day"],
    "rows": [
        {
            "id": name,
            "latency_ms": ms,
            "low_ms": 0.9 * ms,
            "high_ms": 1.1 * ms,
            "p90_ms": 1.2 * ms,
            "spread": 0.01,
            "outliers": 1,
            "times_ms": [ms, 1.2 * ms],
            "file_bytes": 300_000,
            "peak_memory_bytes": 12_600_000,
        }
        for name, ms in (("w1of4-d1of4", 0.125), ("w1-d1", 1.0))
    ],
}


def write(data: object, tmp_path: Path) -> Path:
    path = tmp_path / "local.json"
    path.write_text(json.dumps(data))
    return path


def test_format_1_is_brought_up_to_this_one(tmp_path: Path) -> None:
    profile = load_profile(write(FORMAT_1, tmp_path))
    (model,) = profile.models
    assert (profile.format, profile.device, profile.obtained, profile.via) == (2, "local", "measured", "local")
    assert (profile.hardware.title, profile.hardware.cores, profile.hardware.clusters) == ("AMD EPYC", 2, ())
    assert (profile.hardware.memory_bytes, profile.hardware.system) == (25276502016, "Linux 6.18 x86_64")
    assert (profile.runtime.version, profile.runtime.threads, profile.runtime.cores_used) == ("1.32.0", 1, None)
    assert (model.family, model.architecture, model.batch) == ("mcan", "6b5ab8c2ce17ffba", 1)
    assert model.inputs["image"] == (1, 64, 64, 3)
    assert (model.schedule.rounds, model.schedule.seed) == (20, 3)
    assert model.date == profile.date
    assert model.warnings == ("it was a hot day",)
    assert [(row.id, row.latency_ms, row.peak_memory_bytes) for row in model.submodels] == [
        ("w1of4-d1of4", 0.125, 12_600_000),
        ("w1-d1", 1.0, 12_600_000),
    ]
    assert profile.get_model("6b5ab8c2ce17ffba", "mcan") == model


def test_what_format_1_lacked_is_not_made_up(tmp_path: Path) -> None:
    profile = load_profile(write(FORMAT_1, tmp_path))
    (model,) = profile.models
    assert (model.blocks, model.activations, model.stacks) == ((), (), {})
    assert (model.error, model.memory, model.noise) == (None, None, None)
    assert {row.activation_bytes for row in model.submodels} == {None}
    assert "--measure adds them" in profile.notes[0]


def test_what_was_brought_up_is_saved_in_this_format(tmp_path: Path) -> None:
    profile = load_profile(write(FORMAT_1, tmp_path))
    path = save_profile(profile, tmp_path)
    assert json.loads(path.read_text())["format"] == 2
    assert load_profile(path) == profile


@pytest.mark.parametrize("lost", ["machine", "rows", "model", "date", "schedule"])
def test_half_of_format_1_is_refused_in_one_line(lost: str, tmp_path: Path) -> None:
    data = {key: value for key, value in FORMAT_1.items() if key != lost}
    with pytest.raises(InputError, match=rf"local\.json: object missing required field {lost}$"):
        load_profile(write(data, tmp_path))


def test_a_wrong_field_of_format_1_is_named(tmp_path: Path) -> None:
    data = copy.deepcopy(FORMAT_1)
    data["rows"][1]["latency_ms"] = -1.0
    with pytest.raises(InputError, match=r"submodels\[1\]\.latency_ms: expected float > 0\.0$"):
        load_profile(write(data, tmp_path))
