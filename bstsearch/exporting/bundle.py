"""Submodels of a front, written as a folder that holds their weights once, and checked.

`weights.bin` has the full model's weights, and each submodel a small graph that reads its part of them. ONNX Runtime
takes that part when it loads a graph, so its session is the one that the submodel's own file would have.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor

from bstsearch.answering import bundle_folder
from bstsearch.answering.bundle_folder import ELASTIC, WEIGHTS, Bundle
from bstsearch.answering.exported_folder import CARD, SAMPLE, open_session
from bstsearch.errors import InputError
from bstsearch.exporting.bundle_card import card
from bstsearch.exporting.bundle_checks import check_folded, check_same_outputs
from bstsearch.exporting.bundle_manifest import make_elastic, member_json
from bstsearch.exporting.checks import FLOAT16_TOLERANCE, compare_answers, time_files
from bstsearch.exporting.preprocessing import BUNDLE_SCRIPTS, write_preprocessing, write_sample
from bstsearch.exporting.write import open_front_task, output_name
from bstsearch.graphs.onnx_file import locate
from bstsearch.graphs.onnx_precision import write_at
from bstsearch.graphs.positions import Located
from bstsearch.graphs.shared_weights import SharedWeights
from bstsearch.holding import scratch
from bstsearch.listener import SILENT, Listener
from bstsearch.model.supernet import Supernet
from bstsearch.model.supernet_folder import CONFIG, OF_TASK, SupernetFolder, read_folder
from bstsearch.profiles.latency import Latency
from bstsearch.reading import read_json
from bstsearch.searching.at_precision import session_model
from bstsearch.searching.pick import Pick
from bstsearch.space import FLOAT32, Precision, Submodel
from bstsearch.stock.importing import carry_beside
from bstsearch.tasks import save_task, split_for
from bstsearch.tasks.task import Split, Task
from bstsearch.tasks.vqa import VqaTask
from bstsearch.writing import write_json, write_text, writing_folder

# How far from the sample's outputs another runtime may be, as a share of the largest: its kernels round otherwise.
TOLERANCES = {"float16": FLOAT16_TOLERANCE, "int8": 0.05}
ROWS = 64  # held-out examples whose outputs are compared bit by bit

Latencies = Mapping[str, Mapping[str, Latency]]  # by the submodel's id and the device


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Bundler:
    """What all submodels of a bundle have in common."""

    supernet: Supernet
    weights: SharedWeights
    folder: Path
    output: str
    split: Split
    sample: Mapping[str, Tensor]
    threads: int

    def add_full(self, precision: Precision, alone: Path) -> int:
        """Writes the full model's weights in that precision; returns the bytes of its own file, which is `alone`."""
        self.weights.add_full(self._locate(Submodel(precision=precision), alone))
        return alone.stat().st_size

    def write(self, pick: Pick, latencies: Mapping[str, Latency], alone: Path) -> tuple[dict[str, Any], Tensor]:
        """Writes and checks a row's graph, beside its own file `alone`; returns its entry and its output."""
        submodel, path = pick.candidate.submodel, self.folder / f"{pick.candidate.id}.onnx"
        onnx.save(self.weights.graph(self._locate(submodel, alone)), path)
        check_folded(path, alone)
        for rows in (1, ROWS):
            check_same_outputs(path, alone, next(iter(self.split.batches(rows))).inputs)
        model, precision = self.supernet.materialise(submodel.at(FLOAT32)), submodel.precision
        answers = compare_answers({precision: path}, model, self.split)[precision]
        answers.check_outputs(path.name, precision)
        answers.check_score(path.name, precision, pick.score)
        timings = time_files({"shared": path, "alone": alone}, self.sample, self.threads)
        with torch.inference_mode():
            output = (model if precision == FLOAT32 else session_model(open_session(path)))(**self.sample)
        member = member_json(pick, latencies, path, alone, answers, timings["shared"], timings["alone"])
        if precision != FLOAT32:
            member["tolerance"] = TOLERANCES[precision] * float(output.abs().max())
        return member, output

    def _locate(self, submodel: Submodel, path: Path) -> Located:
        """The submodel's graph, and where its numbers lie in the full model; its own file is written to `path`."""
        family, small = self.supernet.family, submodel.at(FLOAT32)
        config, (model, positions) = family.shrink(self.supernet.config, small), self.supernet.numbered(small)
        inputs, free = family.example_inputs(config, 1), family.free_axes(config)
        located = locate(model, inputs, positions, free, output=self.output)
        onnx.save(located.model, path)
        write_at(submodel.precision, path, path)
        return dataclasses.replace(located, model=onnx.load(path))


def write_bundle(
    picks: Sequence[Pick],
    out: Path,
    latencies: Latencies,
    *,
    data: str | type[Task] | None = None,
    is_forced: bool = False,
    listener: Listener = SILENT,
) -> dict[str, Any]:
    """Writes these rows of one front into the folder `out`, whole or not at all; returns what elastic.json says.

    Each graph is checked once it is written: its outputs are those of the submodel's own file, bit by bit; ONNX Runtime
    leaves no slice of weights to be computed at run time; outputs are torch's, and the score on the front's split is
    that of the search, else BstsearchError. Both files are timed in turns. `latencies` are what is known of devices.
    """
    task, origin = open_front_task(picks[0], data), picks[0].front.origin
    own = {*bundle_folder.OWN, *_names_in(out)}
    with writing_folder(out, marker=ELASTIC, own=own, is_forced=is_forced) as folder, scratch() as aside:
        source = Path(origin.supernet["path"])
        supernet = Supernet.load(source)
        split = split_for(source, task, origin.split)
        bundler = _Bundler(
            supernet=supernet,
            weights=SharedWeights(folder / WEIGHTS, sum(one.numel() for one in supernet.model.parameters())),
            folder=folder,
            output=output_name(task),
            split=split,
            sample=next(iter(split.batches(1))).inputs,
            threads=int(origin.device["runtime"]["threads"]),
        )
        precisions = dict.fromkeys(pick.candidate.submodel.precision for pick in picks)
        full_bytes = sum(bundler.add_full(precision, aside / "alone.onnx") for precision in precisions)
        members, outputs = [], {}
        for done, pick in enumerate(picks):
            listener.progress("writing and checking", done, len(picks))
            member, outputs[pick.candidate.id] = bundler.write(pick, latencies[pick.candidate.id], aside / "alone.onnx")
            members.append(member)
        names = [WEIGHTS, *(member["file"] for member in members), *_write_beside(bundler, read_folder(source), task)]
        write_sample(bundler.sample, outputs, folder)
        elastic = make_elastic(
            picks,
            task,
            members,
            inputs=bundler.sample,
            outputs={bundler.output: next(iter(outputs.values()))},
            folder=folder,
            names=[*names, SAMPLE],
            full_bytes=full_bytes,
        )
        write_json(folder / ELASTIC, elastic)
        write_text(folder / CARD, card(elastic))
    return elastic


def _write_beside(bundler: _Bundler, source: SupernetFolder, task: Task) -> list[str]:
    """Writes what tells how inputs are read, as an exported folder has it; returns the names."""
    folder, supernet = bundler.folder, bundler.supernet
    dataclasses.replace(source, path=folder).write()
    save_task(task, folder)
    of_stock = carry_beside(source.path, folder)
    of_task = [name for name in OF_TASK if (folder / name).exists()]
    words = task.vocabulary if isinstance(task, VqaTask) else None
    written = write_preprocessing(supernet.family.reader(supernet.config, folder), words, folder, BUNDLE_SCRIPTS)
    return list(dict.fromkeys([CONFIG, *of_task, *written, *of_stock]))


def _names_in(out: Path) -> Collection[str]:
    """The files of the bundle that is at `out` already; none where it cannot be read."""
    with contextlib.suppress(InputError):
        return list(read_json(out / ELASTIC, Bundle).files)
    return []
