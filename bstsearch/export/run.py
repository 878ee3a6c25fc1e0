"""A submodel picked from a front, written as a folder that runs on its own, and checked.

The folder reads like a supernet's whose space holds one submodel (`Supernet.load` takes it); beside that it
holds the ONNX files, a manifest, a model card, a sample and a script that needs numpy and onnxruntime only.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import bstsearch
from bstsearch.answering import exported_folder, run_script
from bstsearch.export.card import card
from bstsearch.export.checks import Answers, compare_answers, time_files
from bstsearch.files import digest, write_json, write_text, writing_folder
from bstsearch.graphs.onnx_file import write_int8, write_onnx
from bstsearch.measuring.estimator import Timing
from bstsearch.measuring.machine import cpu_name
from bstsearch.model.family import config_to_json
from bstsearch.model.supernet import Supernet, save_weights
from bstsearch.model.supernet_folder import CONFIG, WEIGHTS, SupernetFolder
from bstsearch.score import Accuracy, Score
from bstsearch.search.pareto import MEASURED, Candidate
from bstsearch.search.pick import Pick
from bstsearch.space import ONE, Space
from bstsearch.tasks import FILE as TASK
from bstsearch.tasks import open_task, save_task, split_for
from bstsearch.tasks.task import Task
from bstsearch.tasks.vocabulary import FILE as VOCABULARY

Progress = Callable[[str, int, int], None]
PACKAGES = ("numpy", "onnx", "onnxruntime", "safetensors", "torch")


def export(
    pick: Pick,
    out: Path,
    *,
    has_int8: bool = False,
    is_forced: bool = False,
    data: str | type[Task] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Writes the picked submodel into the folder `out`, whole or not at all; returns its manifest.

    What was written is read back: logits and answers on the front's split must be those of torch and of the
    search, else BstsearchError. Latencies are measured and reported beside the profile's. `data` is the task that the
    front was scored for, where it is not the supernet's own.
    """
    task = open_task(Path(pick.front.origin.supernet["path"]), data, _path(pick.front.origin.data_folder))
    with writing_folder(out, marker=exported_folder.MANIFEST, is_forced=is_forced) as folder:
        graphs = _write_model(pick, folder, has_int8=has_int8)
        save_task(task, folder)
        supernet = Supernet.load(folder)  # read back, so that the checks see what was written
        model, split = supernet.model, split_for(folder, task, pick.front.origin.split)
        sample = next(iter(split.batches(1))).inputs
        outputs = _write_sample(model, sample, folder)
        shutil.copyfile(run_script.__file__, folder / exported_folder.RUN)
        answers = compare_answers(graphs, model, split, progress=progress)
        answers[exported_folder.ONNX].refuse_difference(exported_folder.ONNX, pick.accuracy)
        threads = int(pick.front.origin.device["runtime"]["threads"])
        timings = time_files(graphs, sample, threads, progress=progress)
        checks = {name: _check(pick, answers[name], timings[name], threads) for name in graphs}
        manifest = _manifest(pick, folder, task, sample, outputs, checks)
        write_json(folder / exported_folder.MANIFEST, manifest)
        write_text(folder / exported_folder.CARD, card(manifest))
    return manifest


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _write_model(pick: Pick, folder: Path, *, has_int8: bool) -> dict[str, Path]:
    """Weights, config and ONNX files; returns the ONNX files by name."""
    source = Path(pick.front.origin.supernet["path"])
    supernet = Supernet.load(source)
    submodel, family = pick.candidate.submodel, supernet.family
    model, config = supernet.materialise(submodel), family.shrink(supernet.config, submodel)
    stacks = tuple(len(stack.keep_order) for stack in family.stacks(config))
    space = Space(widths=(ONE,), depths=(ONE,), stacks=stacks)
    on_disk = SupernetFolder(path=folder, family=family.name, config=config_to_json(config), space=space)
    on_disk.write()
    save_weights(model, on_disk.weights)
    write_onnx(model, family.example_inputs(config, 1), folder / exported_folder.ONNX, family.free_axes(config))
    if not has_int8:
        return {exported_folder.ONNX: folder / exported_folder.ONNX}
    write_int8(folder / exported_folder.ONNX, folder / exported_folder.INT8)
    return {name: folder / name for name in (exported_folder.ONNX, exported_folder.INT8)}


def _write_sample(model: nn.Module, inputs: Mapping[str, Tensor], folder: Path) -> Tensor:
    """One held-out question with its image, and the logits that torch gives it, which are returned."""
    with torch.inference_mode():
        logits: Tensor = model(**inputs)
    arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in {**inputs, "logits": logits}.items()}
    np.savez(folder / exported_folder.SAMPLE, **arrays)
    return logits


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


def _check(pick: Pick, answers: Answers, timing: Timing, threads: int) -> dict[str, Any]:
    profile = pick.candidate.latency
    return {
        "max_difference": answers.max_difference,
        "near_ties": answers.near_ties,
        "accuracy": _accuracy(pick, answers.accuracy),
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


def _manifest(
    pick: Pick, folder: Path, task: Task, sample: Mapping[str, Tensor], outputs: Tensor, checks: Mapping[str, Any]
) -> dict[str, Any]:
    candidate, origin = pick.candidate, pick.front.origin
    of_task = [name for name in (VOCABULARY, TASK) if (folder / name).exists()]
    names = [CONFIG, WEIGHTS, *of_task, *checks, exported_folder.SAMPLE, exported_folder.RUN]
    return {
        "format": exported_folder.FORMAT,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "submodel": {
            "id": candidate.id,
            "width": str(candidate.submodel.width),
            "depth": str(candidate.submodel.depth),
            "parameters": candidate.parameters,
            "macs": candidate.macs,
            "gflops": candidate.gflops,
        },
        "accuracy": _accuracy(pick, pick.accuracy),
        "data": task.name,
        "inputs": {name: _signature(tensor) for name, tensor in sample.items()},
        "output": {"logits": _signature(outputs)},
        "supernet": dict(origin.supernet),
        "front": {"digest": digest(pick.path), "row": pick.row, "created": pick.front.created},
        "device": {**origin.device, "latency_source": candidate.latency.source},
        "not_measured": not_measured(candidate, origin.device),
        "files": {name: _file(folder / name) for name in names},
        "checks": dict(checks),
        "versions": _versions(),
    }


def _accuracy(pick: Pick, accuracy: Score) -> dict[str, Any]:
    low, high = accuracy.interval
    return {
        "split": pick.front.origin.split,
        "correct": accuracy.correct if isinstance(accuracy, Accuracy) else None,
        "questions": accuracy.total,
        "value": accuracy.value,
        "low": low,
        "high": high,
    }


def _signature(tensor: Tensor) -> dict[str, Any]:
    return {"shape": ["batch", *tensor.shape[1:]], "dtype": str(tensor.dtype).removeprefix("torch.")}


def _file(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": exported_folder.sha256(path)}


def _versions() -> dict[str, str]:
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"bstsearch": bstsearch.__version__, "python": platform.python_version(), **packages}
