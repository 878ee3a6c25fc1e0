"""A submodel picked from a front, written as a folder that runs on its own, and checked.

The folder reads like a supernet's whose space holds one submodel (`Supernet.load` takes it); beside that it
holds the ONNX files, a manifest, a model card, a sample and a script that needs numpy and onnxruntime only.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import bstsearch
from bstsearch.answering import exported_folder
from bstsearch.export.card import card
from bstsearch.export.checks import Answers, compare_answers, time_files
from bstsearch.export.preprocessing import write_preprocessing, write_sample
from bstsearch.files import digest, write_json, write_text, writing_folder
from bstsearch.graphs.onnx_file import OUTPUT, write_int8, write_onnx
from bstsearch.inputs.reader import Reader
from bstsearch.listener import SILENT, Listener
from bstsearch.measuring.estimator import Timing
from bstsearch.measuring.machine import cpu_name
from bstsearch.model.family import config_to_json
from bstsearch.model.supernet import Supernet, save_weights
from bstsearch.model.supernet_folder import CONFIG, WEIGHTS, SupernetFolder
from bstsearch.score import Accuracy
from bstsearch.search.pareto import MEASURED, Candidate
from bstsearch.search.pick import Pick
from bstsearch.space import ONE, Space
from bstsearch.tasks import load_split
from bstsearch.tasks.split import Split
from bstsearch.tasks.vocabulary import FILE as VOCABULARY
from bstsearch.tasks.vocabulary import Vocabulary

PACKAGES = ("numpy", "onnx", "onnxruntime", "safetensors", "torch")


def write_export(
    pick: Pick, out: Path, *, has_int8: bool = False, is_forced: bool = False, listener: Listener = SILENT
) -> dict[str, Any]:
    """Writes the picked submodel into the folder `out`, whole or not at all; returns its manifest.

    What was written is read back: logits and answers on the front's split must be those of torch and of the
    search, else BstsearchError. Latencies are measured and reported beside the profile's.
    """
    with writing_folder(out, marker=exported_folder.MANIFEST, is_forced=is_forced) as folder:
        graphs = _write_model(pick, folder, has_int8=has_int8)
        supernet = Supernet.load(folder)  # read back, so that the checks see what was written
        model, reader = supernet.model, supernet.family.reader(supernet.config)
        split, vocabulary = _held_out(pick, folder, reader)
        sample = next(iter(split.batches(1))).inputs
        with torch.inference_mode():
            write_sample(sample, {OUTPUT: model(**sample)}, folder)
        files = [*graphs, *write_preprocessing(reader, vocabulary, folder)]
        answers = compare_answers(graphs, model, split, progress=listener.progress)
        answers[exported_folder.ONNX].refuse_difference(exported_folder.ONNX, pick.accuracy)
        threads = int(pick.front.origin.device["runtime"]["threads"])
        timings = time_files(graphs, sample, threads, progress=listener.progress)
        checks = {name: _check(pick, answers[name], timings[name], threads) for name in graphs}
        manifest = _manifest(pick, folder, vocabulary, sample, checks, files)
        write_json(folder / exported_folder.MANIFEST, manifest)
        write_text(folder / exported_folder.CARD, card(manifest))
    return manifest


def _held_out(pick: Pick, folder: Path, reader: Reader) -> tuple[Split, Vocabulary]:
    """The part of the data set that the front was scored on, and the words and answers of the model in `folder`."""
    origin, vocabulary = pick.front.origin, Vocabulary.load(folder)
    data_folder = None if origin.data_folder is None else Path(origin.data_folder)
    return load_split(vocabulary, origin.split, like=reader.like, folder=data_folder), vocabulary


def _write_model(pick: Pick, folder: Path, *, has_int8: bool) -> dict[str, Path]:
    """Weights, config, vocabulary and ONNX files; returns the ONNX files by name."""
    source = Path(pick.front.origin.supernet["path"])
    supernet = Supernet.load(source)
    submodel, family = pick.candidate.submodel, supernet.family
    model, config = supernet.materialise(submodel), family.shrink(supernet.config, submodel)
    stacks = tuple(len(stack.keep_order) for stack in family.stacks(config))
    space = Space(widths=(ONE,), depths=(ONE,), stacks=stacks)
    on_disk = SupernetFolder(path=folder, family=family.name, config=config_to_json(config), space=space)
    on_disk.write()
    save_weights(model, on_disk.weights)
    Vocabulary.load(source).save(folder)
    write_onnx(model, family.example_inputs(config, 1), folder / exported_folder.ONNX, family.free_axes(config))
    if not has_int8:
        return {exported_folder.ONNX: folder / exported_folder.ONNX}
    write_int8(folder / exported_folder.ONNX, folder / exported_folder.INT8)
    return {name: folder / name for name in (exported_folder.ONNX, exported_folder.INT8)}


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
    pick: Pick,
    folder: Path,
    vocabulary: Vocabulary,
    sample: Mapping[str, Tensor],
    checks: Mapping[str, Any],
    files: Iterable[str],
) -> dict[str, Any]:
    candidate, origin = pick.candidate, pick.front.origin
    names = [CONFIG, WEIGHTS, VOCABULARY, *files, exported_folder.SAMPLE]
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
        "data": vocabulary.data,
        "inputs": {name: _signature(tensor) for name, tensor in sample.items()},
        "output": {"logits": {"shape": ["batch", len(vocabulary.answers)], "dtype": "float32"}},
        "supernet": dict(origin.supernet),
        "front": {"digest": digest(pick.path), "row": pick.row, "created": pick.front.created},
        "device": {**origin.device, "latency_source": candidate.latency.source},
        "not_measured": not_measured(candidate, origin.device),
        "files": {name: _file(folder / name) for name in names},
        "checks": dict(checks),
        "versions": _versions(),
    }


def _accuracy(pick: Pick, accuracy: Accuracy) -> dict[str, Any]:
    low, high = accuracy.interval
    return {
        "split": pick.front.origin.split,
        "correct": accuracy.correct,
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
