"""Readers of supernets, searches, exports and counted costs."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from pathlib import Path
from typing import Any

import conftest
import torch
from PIL import Image
from reader import Reader

from bstsearch.answering import run_script
from bstsearch.answering.asking import ask
from bstsearch.answering.choice import read_accuracies
from bstsearch.answering.exported_folder import open_session
from bstsearch.cli import profile as cli_profile
from bstsearch.exporting.write import write_export
from bstsearch.families.mcan import FAMILY
from bstsearch.model.cost import Cost
from bstsearch.model.cost_table import CostTable
from bstsearch.model.supernet import Supernet
from bstsearch.model.supernet_folder import SupernetFolder, read_folder
from bstsearch.profiles.latency import Latency, Memory
from bstsearch.score import Accuracy
from bstsearch.searching.budget import Budget
from bstsearch.searching.costs import DEFAULT
from bstsearch.searching.front_file import FrontFile, write_front
from bstsearch.searching.known_costs import keep, read_cached
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.pick import read_pick
from bstsearch.searching.provenance import Provenance
from bstsearch.searching.study_file import open_study, read_study
from bstsearch.space import Space, Submodel
from bstsearch.tasks import read_metric, trained_for
from bstsearch.tasks.easy_vqa import EasyVqa
from bstsearch.tasks.evaluation import evaluate
from bstsearch.tasks.split import ImageSplit
from bstsearch.tasks.vocabulary import Vocabulary

CONFIG = conftest._config(image_side=16, stem_channels=(4, 8))
ORIGIN = Provenance(
    supernet={"path": "net", "digest": "a" * 16, "architecture": "b" * 16, "family": "mcan"},
    space=Space.bst(stacks=(4, 4)),
    split="validation",
    device={"name": "local", "obtained": "measured", "digest": "c" * 16, "runtime": {"threads": 1}},
)


def candidate(submodel: Submodel, ms: float, accuracy: Accuracy | None) -> Candidate:
    return Candidate(
        submodel=submodel,
        parameters=int(100 * ms),
        macs=int(1000 * ms),
        latency=Latency(ms=ms, source="measured", low_ms=ms, high_ms=ms),
        memory=Memory(bytes=1000, source="measured", low_bytes=1000, high_bytes=1000),
        size_bytes=4000,
        accuracy=accuracy,
    )


@functools.cache
def few_questions() -> ImageSplit:
    """Eight questions about eight images, in place of easy-VQA's thousands."""
    inputs = FAMILY.example_inputs(CONFIG, 8)
    return ImageSplit(
        questions={"question": inputs["question"]},
        image_of=torch.arange(8),
        images=inputs["image"],
        picture=FAMILY.reader(CONFIG).needed_picture("these are images"),
        answers=torch.arange(8),
    )


def make_supernet(folder: Path) -> Path:
    """A supernet with what may lie beside its weights."""
    folder.mkdir(exist_ok=True)
    conftest._folder(CONFIG, folder)
    (folder / "metrics.json").write_text(json.dumps({"validation": {"w1-d1": {"correct": 5, "total": 10}}}))
    task = {"format": 1, "name": "easy-vqa", "metric": EasyVqa.metric.to_json(), "from": None}
    (folder / "task.json").write_text(json.dumps(task))
    return folder


def make_models(folder: Path) -> None:
    """A supernet, a front of it, one of its submodels exported, and a picture to ask it about."""
    EasyVqa.split = lambda *_: few_questions()  # type: ignore[method-assign]
    os.chdir(folder)
    net = make_supernet(Path("net"))
    supernet, on_disk = Supernet.load(net), read_folder(net)
    candidates = [
        candidate(one, float(one.width + one.depth), evaluate(supernet, one, few_questions()))
        for one in supernet.space.grid()
    ]
    identity = {**ORIGIN.supernet, "digest": on_disk.digest(), "architecture": on_disk.architecture}
    origin = dataclasses.replace(ORIGIN, supernet=identity, space=on_disk.space)
    search: dict[str, Any] = {"sampler": "exact", "is_exact": True, "trials": len(candidates), "searched": Budget()}
    write_front(FrontFile.solve(candidates, Budget(), origin=origin, **search), Path("front.json"))
    write_export(read_pick(Path("front.json"), "1"), Path("export"))
    Image.new("RGB", (9, 5), "red").save("a.png")


def read_supernet(folder: Path) -> list[object]:
    on_disk = read_folder(folder)
    found = [Supernet.load(folder), Vocabulary.load(folder), read_accuracies(on_disk)]
    return [*found, str(trained_for(folder)), read_metric(folder), cli_profile._data_words(on_disk)]


def read_sample(folder: Path) -> dict[str, Any]:
    run_script.FOLDER = folder / "export"
    return run_script.read_inputs(folder / "export" / "sample.json", None)


def make_study(folder: Path) -> None:
    import optuna
    from optuna.distributions import CategoricalDistribution

    with open_study(folder / "study.db", ORIGIN) as study:
        for name, ms in (("w1-d1", 2.0), ("w1of2-d1of2", 1.0)):
            one = candidate(Submodel.from_id(name), ms, Accuracy(correct=5, total=10))
            widths = CategoricalDistribution(["1/2", "1"])
            params: dict[str, Any] = {"params": {"width": "1"}, "distributions": {"width": widths}}
            study.add([optuna.trial.create_trial(values=DEFAULT.values(one), user_attrs=one.to_json(), **params)])


def use_study(folder: Path) -> tuple[Candidate, ...]:
    with open_study(folder / "study.db", ORIGIN) as study:
        return tuple(study.candidates)


def _tiny(folder: Path) -> SupernetFolder:
    space, config = Space.bst(stacks=(4, 4)), {"hidden": 8}
    return SupernetFolder(path=folder, family="mcan", config=config, space=space)


def make_costs(folder: Path) -> None:
    os.environ["XDG_CACHE_HOME"] = str(folder)
    costs = {"w1-d1": Cost(parameters=1, macs=2, recurrent_macs=3)}
    keep(CostTable(folder=_tiny(folder), fixed_macs=5, costs=costs, live_bytes={"w1-d1": 7}))
    (written,) = folder.rglob("*.json")
    written.rename(folder / "costs.json")


def read_costs(folder: Path) -> CostTable:
    os.environ["XDG_CACHE_HOME"] = str(folder)
    place = folder / "bstsearch" / "costs" / f"{_tiny(folder).architecture}.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to("../../costs.json")
    return read_cached(_tiny(folder))


SEARCHING = (
    Reader(
        name="supernet",
        make=make_supernet,
        read=read_supernet,
        files={
            "config.json": "json",
            "model.safetensors": "safetensors",
            "vocabulary.json": "json",
            "metrics.json": "json",
            "task.json": "json",
        },
    ),
    Reader(
        name="front",
        make=make_models,
        read=lambda folder: read_pick(folder / "front.json", "1"),
        files={"front.json": "json"},
    ),
    Reader(
        name="export",
        make=make_models,
        read=lambda folder: ask("what color is it", folder / "a.png", model=folder / "export"),
        files={
            **{f"export/{name}.json": "json" for name in ("manifest", "preprocessor", "config")},
            "export/model.onnx": "onnx",
            "a.png": "png",
        },
    ),
    Reader(
        name="onnx",
        make=make_models,
        read=lambda folder: open_session(folder / "export" / "model.onnx"),
        files={"export/model.onnx": "onnx"},
    ),
    Reader(name="sample", make=make_models, read=read_sample, files={"export/sample.json": "json"}),
    Reader(
        name="study",
        make=make_study,
        read=lambda folder: read_study(folder / "study.db"),
        files={"study.db": "sqlite"},
    ),
    Reader(name="study-goes-on", make=make_study, read=use_study, files={"study.db": "sqlite"}, step=3),
    Reader(name="known-costs", make=make_costs, read=read_costs, files={"costs.json": "json"}),
)
