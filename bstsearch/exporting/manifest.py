"""What an exported folder says of itself: the picked submodel, where it is from, and what the checks found."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

import bstsearch
from bstsearch.answering import exported_folder
from bstsearch.exporting.checks import Answers
from bstsearch.measuring.estimator import Timing
from bstsearch.measuring.machine import cpu_name
from bstsearch.reading import digest
from bstsearch.score import ACCURACY, Accuracy, Score
from bstsearch.searching.pareto import MEASURED, Candidate
from bstsearch.searching.pick import Pick
from bstsearch.space import FLOAT32
from bstsearch.tasks.task import Task

PACKAGES = ("numpy", "onnx", "onnxruntime", "safetensors", "torch")


def make_manifest(
    pick: Pick,
    task: Task,
    *,
    inputs: Mapping[str, Tensor],
    outputs: Mapping[str, Tensor],
    folder: Path,
    names: Iterable[str],
    checks: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of manifest.json.

    `inputs` and `outputs` are those of one example, `names` those of files in `folder`, `checks` are by ONNX file.
    """
    candidate, origin = pick.candidate, pick.front.origin
    return {
        "format": exported_folder.FORMAT,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "submodel": {
            "id": candidate.id,
            **({} if candidate.submodel.precision == FLOAT32 else {"precision": candidate.submodel.precision}),
            "width": str(candidate.submodel.width),
            "depth": str(candidate.submodel.depth),
            "parameters": candidate.parameters,
            "macs": candidate.macs,
            "gflops": candidate.gflops,
        },
        "accuracy": score_json(pick, pick.score),
        **({} if task.metric == ACCURACY else {"metric": task.metric.to_json()}),
        "data": task.name,
        "inputs": {name: signature(tensor) for name, tensor in inputs.items()},
        "output": {name: signature(tensor) for name, tensor in outputs.items()},
        "supernet": dict(origin.supernet),
        "front": {"digest": digest(pick.path), "row": pick.row, "created": pick.front.created},
        "device": {**origin.device, "latency_source": candidate.latency.source},
        "not_measured": not_measured(candidate, origin.device),
        "files": {name: file_json(folder / name) for name in names},
        "checks": dict(checks),
        "versions": versions(),
    }


def not_measured(candidate: Candidate, device: Mapping[str, Any]) -> list[str]:
    """What is claimed of the device and was never measured on it, each with its range; empty where all was."""
    latency, memory, found = candidate.latency, candidate.memory, []
    if latency.source != MEASURED:
        found.append(f"latency on {device['name']}: {latency}")
    if memory.source != MEASURED:
        found.append(
            f"peak memory on {device['name']}: {memory.bytes / 1e6:.3g} MB "
            f"({memory.low_bytes / 1e6:.3g}-{memory.high_bytes / 1e6:.3g}) {memory.source}"
        )
    return found


def check_json(pick: Pick, answers: Answers, timing: Timing, threads: int) -> dict[str, Any]:
    """What was found of one ONNX file, beside what the search and the profile say."""
    profile = pick.candidate.latency
    return {
        "max_difference": answers.max_difference,
        "near_ties": answers.near_ties,
        "accuracy": score_json(pick, answers.accuracy),
        "latency": {
            "ms": timing.latency_ms,
            "low_ms": timing.low_ms,
            "high_ms": timing.high_ms,
            "seen_ms": timing.seen_ms,
            "threads": threads,
            "cpu": cpu_name(),
            "profile_ms": profile.ms,
            "ratio": timing.latency_ms / profile.ms,
        },
    }


def score_json(pick: Pick, score: Score) -> dict[str, Any]:
    """A score on the front's split, with its 95 % interval."""
    low, high = score.interval
    return {
        "split": pick.front.origin.split,
        "correct": score.correct if isinstance(score, Accuracy) else None,
        "questions": score.total,
        "value": score.value,
        "low": low,
        "high": high,
    }


def signature(tensor: Tensor) -> dict[str, Any]:
    """Shape and type of a tensor, whose first axis is the batch."""
    return {"shape": ["batch", *tensor.shape[1:]], "dtype": str(tensor.dtype).removeprefix("torch.")}


def file_json(path: Path) -> dict[str, Any]:
    """Size and digest of a file."""
    return {"bytes": path.stat().st_size, "sha256": exported_folder.sha256(path)}


def versions() -> dict[str, str]:
    """The versions of what wrote a folder."""
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"bstsearch": bstsearch.__version__, "python": platform.python_version(), **packages}
