"""A submodel picked from a front, written as a folder that runs on its own, and checked.

The folder reads like a supernet's whose space holds one submodel (`Supernet.load` takes it); beside that it
holds the ONNX files, a manifest, a model card, a sample and a script that needs numpy and onnxruntime only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from bstsearch.answering import exported_folder
from bstsearch.exporting.card import card
from bstsearch.exporting.checks import compare_answers, time_files
from bstsearch.exporting.manifest import check_json, make_manifest
from bstsearch.exporting.preprocessing import write_preprocessing, write_sample
from bstsearch.graphs.onnx_file import LOGITS, OUTPUT, write_onnx
from bstsearch.graphs.onnx_precision import write_at
from bstsearch.listener import SILENT, Listener
from bstsearch.model.config import config_to_json
from bstsearch.model.supernet import Supernet, save_weights
from bstsearch.model.supernet_folder import CONFIG, OF_TASK, WEIGHTS, SupernetFolder, read_folder
from bstsearch.searching.at_precision import outputs_of
from bstsearch.searching.pick import Pick
from bstsearch.space import FLOAT32, ONE, PRECISIONS, Precision, Space
from bstsearch.stock.configuration import BESIDE, files_beside
from bstsearch.stock.exporting import write_stock
from bstsearch.stock.family import FAMILY as STOCK
from bstsearch.tasks import open_task, save_task, split_for
from bstsearch.tasks.task import Task
from bstsearch.tasks.vqa import VqaTask
from bstsearch.writing import write_json, write_text, writing_folder


def scored(pick: Pick, data: str | type[Task] | None = None, listener: Listener = SILENT) -> Pick:
    """The pick with its score on the front's split; it is scored now where the search has not."""
    if pick.candidate.accuracy is not None:
        return pick
    listener.progress("scoring")
    origin, source = pick.front.origin, Path(pick.front.origin.supernet["path"])
    split = split_for(source, open_front_task(pick, data), origin.split)
    split.check_scorable()
    score = split.score(outputs_of(Supernet.load(source), pick.candidate.submodel, split, where=str(source)))
    return dataclasses.replace(pick, candidate=dataclasses.replace(pick.candidate, accuracy=score))


def open_front_task(pick: Pick, data: str | type[Task] | None) -> Task:
    """The task that the pick's front was scored for."""
    origin = pick.front.origin
    data_dir = None if origin.data_folder is None else Path(origin.data_folder)
    return open_task(Path(origin.supernet["path"]), data, data_dir)


def write_export(
    pick: Pick,
    out: Path,
    *,
    data: str | type[Task] | None = None,
    precisions: Collection[Precision] = (),
    is_forced: bool = False,
    listener: Listener = SILENT,
) -> dict[str, Any]:
    """Writes the picked submodel into the folder `out`, whole or not at all; returns its manifest.

    There is an ONNX file in float32, one in the picked precision, and one in each of `precisions`. What was written is
    read back: outputs must be torch's as far as a precision allows, and the score on the front's split that of the
    search, else BstsearchError. Latencies are measured and reported beside the profile's. `data` is the task that the
    front was scored for, where it is not the supernet's own.
    """
    origin = pick.front.origin
    task = open_front_task(pick, data)
    with writing_folder(out, marker=exported_folder.MANIFEST, own=exported_folder.OWN, is_forced=is_forced) as folder:
        own = pick.candidate.submodel.precision
        graphs = _write_model(pick, folder, output_name(task), {FLOAT32, own, *precisions})
        save_task(task, folder)
        _write_stock(pick, folder)
        of_task = [name for name in OF_TASK if (folder / name).exists()]
        supernet = Supernet.load(folder)  # read back, so that the checks see what was written
        model, split = supernet.model, split_for(folder, task, origin.split)
        sample = next(iter(split.batches(1))).inputs
        with torch.inference_mode():
            outputs = {output_name(task): model(**sample)}
        write_sample(sample, outputs, folder)
        answers = compare_answers(graphs, model, split, progress=listener.progress)
        for precision, found in answers.items():
            found.check_outputs(graphs[precision].name, precision)
        answers[own].check_score(graphs[own].name, own, pick.score)
        threads = int(origin.device["runtime"]["threads"])
        like = supernet.family.example_inputs(supernet.config, 1)  # of the size that profiles are of
        timings = time_files({file.name: file for file in graphs.values()}, like, threads, progress=listener.progress)
        checks = {
            file.name: check_json(pick, answers[precision], timings[file.name], threads)
            for precision, file in graphs.items()
        }
        words = task.vocabulary if isinstance(task, VqaTask) else None
        written = write_preprocessing(supernet.family.reader(supernet.config, folder), words, folder)
        names = [CONFIG, WEIGHTS, *of_task, *checks, *written, exported_folder.SAMPLE]
        names += files_beside(folder)
        manifest = make_manifest(pick, task, inputs=sample, outputs=outputs, folder=folder, names=names, checks=checks)
        write_json(folder / exported_folder.MANIFEST, manifest)
        write_text(folder / exported_folder.CARD, card(manifest))
    return manifest


def _write_stock(pick: Pick, folder: Path) -> None:
    """The same submodel of a stock class as a folder of that class, in `folder`."""
    source = Path(pick.front.origin.supernet["path"])
    if read_folder(source).family == STOCK.name:
        (folder / BESIDE).mkdir()
        write_stock(Supernet.load(source), pick.candidate.submodel, source / BESIDE, folder / BESIDE)


def output_name(task: Task) -> str:
    """The name of what the model gives."""
    return LOGITS if task.has_classes else OUTPUT


def _write_model(pick: Pick, folder: Path, output: str, precisions: Collection[Precision]) -> dict[Precision, Path]:
    """Weights, config and ONNX files; returns the ONNX files by precision, that of most bits first."""
    source = Path(pick.front.origin.supernet["path"])
    supernet = Supernet.load(source)
    submodel, family = pick.candidate.submodel.at(FLOAT32), supernet.family
    model, config = supernet.materialise(submodel), family.shrink(supernet.config, submodel)
    stacks = tuple(len(stack.keep_order) for stack in family.stacks(config))
    space = Space(widths=(ONE,), depths=(ONE,), stacks=stacks)
    on_disk = SupernetFolder(path=folder, family=family.name, config=config_to_json(config), space=space)
    on_disk.write()
    save_weights(model, on_disk.weights)
    like, path = family.example_inputs(config, 1), folder / exported_folder.ONNX
    write_onnx(model, like, path, family.free_axes(config), output=output)
    files = {
        precision: folder / exported_folder.ONNX_FILES[precision]
        for precision in reversed(PRECISIONS)
        if precision in precisions
    }
    for precision, file in files.items():
        write_at(precision, path, file)
    return files
