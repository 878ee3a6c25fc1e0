"""What a bundle says of itself: its submodels, how good and how fast they are, and the digests of its files."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from bstsearch.answering import bundle_folder
from bstsearch.answering.bundle_folder import WEIGHTS
from bstsearch.exporting.checks import Answers
from bstsearch.exporting.manifest import file_json, score_json, signature, versions
from bstsearch.measuring.estimator import Timing
from bstsearch.measuring.machine import cpu_name
from bstsearch.profiles.latency import Latency
from bstsearch.reading import digest
from bstsearch.score import ACCURACY
from bstsearch.searching.pick import Pick
from bstsearch.tasks.task import Task


def member_json(
    pick: Pick,
    latencies: Mapping[str, Latency],
    path: Path,
    alone: Path,
    answers: Answers,
    timing: Timing,
    alone_timing: Timing,
) -> dict[str, Any]:
    """The entry of one submodel, whose graph is at `path`; its own file `alone` is what it was held against."""
    candidate = pick.candidate
    return {
        "id": candidate.id,
        "row": pick.row,
        "file": path.name,
        "width": str(candidate.submodel.width),
        "depth": str(candidate.submodel.depth),
        "parameters": candidate.parameters,
        "macs": candidate.macs,
        "gflops": candidate.gflops,
        "bytes": path.stat().st_size,
        "bytes_alone": alone.stat().st_size,
        "accuracy": score_json(pick, pick.score),
        "latencies": {
            device: {"ms": one.ms, "low_ms": one.low_ms, "high_ms": one.high_ms, "source": one.source}
            for device, one in latencies.items()
        },
        "check": {
            "max_difference": answers.max_difference,
            "near_ties": answers.near_ties,
            "ms": timing.latency_ms,
            "ms_alone": alone_timing.latency_ms,
            "ratio": timing.latency_ms / alone_timing.latency_ms,
        },
    }


def make_elastic(
    picks: Sequence[Pick],
    task: Task,
    members: Sequence[Mapping[str, Any]],
    *,
    inputs: Mapping[str, Tensor],
    outputs: Mapping[str, Tensor],
    folder: Path,
    names: Iterable[str],
    full_bytes: int,
) -> dict[str, Any]:
    """The content of elastic.json of the files `names` in `folder`.

    `full_bytes` is the size of the full model's own ONNX file.
    """
    front, origin = picks[0].front, picks[0].front.origin
    written = {name: file_json(folder / name) for name in names}
    weights, graphs = written[WEIGHTS]["bytes"], sum(member["bytes"] for member in members)
    return {
        "format": bundle_folder.FORMAT,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "data": task.name,
        **({} if task.metric == ACCURACY else {"metric": task.metric.to_json()}),
        "inputs": {name: signature(tensor) for name, tensor in inputs.items()},
        "output": {name: signature(tensor) for name, tensor in outputs.items()},
        "supernet": dict(origin.supernet),
        "front": {"digest": digest(picks[0].path), "created": front.created},
        "device": dict(origin.device),
        "threads": int(origin.device["runtime"]["threads"]),
        "cpu": cpu_name(),
        "sizes": {
            "weights": weights,
            "graphs": graphs,
            "full_export": full_bytes,
            "ratio": (weights + graphs) / full_bytes,
            "alone": sum(member["bytes_alone"] for member in members),
        },
        "submodels": list(members),
        "files": written,
        "versions": versions(),
    }
