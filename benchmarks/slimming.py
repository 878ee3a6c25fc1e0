"""Does one supernet stand in for many models? Every submodel beside itself trained alone, and beside a plain cut.

    bstsearch train --preset uniter-easy-vqa --teacher-epochs 12 --epochs 18 --threads 1 --out runs/uniter-easy-vqa
    python benchmarks/slimming.py runs/uniter-easy-vqa

Beside each submodel of the supernet in the folder stand

- alone: the same small architecture trained from scratch on the right answers, under the teacher's recipe, with as
  many optimiser steps as the sandwich had (or `--epochs`);
- cut: the full model trained alone (the last of those runs), cut to the submodel's slices without more training.

Runs that are finished lie in FOLDER/alone and are not repeated; several processes may share them (`--only ID`). What
is not finished is null in the report.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from bstsearch.model.supernet import Supernet
from bstsearch.model.supernet_folder import METRICS
from bstsearch.reading import read_json
from bstsearch.space import ONE, Space, Submodel
from bstsearch.tasks import load_split, open_task
from bstsearch.tasks.evaluation import evaluate
from bstsearch.tasks.task import Split, Task
from bstsearch.training.loop import teacher_stage
from bstsearch.training.recipes import Recipe, get_recipe
from bstsearch.writing import write_json
from timing import report

PARTS = ("validation", "test")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="supernet folder, as 'bstsearch train' wrote it")
    parser.add_argument("--only", metavar="ID", action="append", help="train these submodels alone, no others")
    parser.add_argument("--epochs", type=int, help="of the models trained alone (default: those of the sandwich)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    supernet = Supernet.load(options.folder)
    metrics = read_json(options.folder / METRICS)
    task, splits = open_task(options.folder), _splits(options.folder)
    for submodel in supernet.space.grid():
        if not options.only or submodel.id in options.only:
            recipe = _recipe(metrics, options.epochs)
            _train_alone(supernet, submodel, recipe, task, splits, options.folder / "alone")
    report(f"slimming-{options.folder.name}", _figures(supernet, metrics, options.folder / "alone"))


def _splits(folder: Path) -> dict[str, Split]:
    return {part: load_split(folder, part) for part in ("train", *PARTS)}


def _recipe(metrics: Mapping[str, Any], epochs: int | None) -> Recipe:
    """The supernet's recipe with that many epochs (default: the sandwich's) of the teacher's stage, in one cosine."""
    settings = metrics["recipe"]
    recipe = get_recipe(settings["name"])
    epochs = epochs or settings["sandwich.epochs"]
    schedule = dataclasses.replace(recipe.teacher.optimizer.schedule, at=())
    optimizer = dataclasses.replace(recipe.teacher.optimizer, schedule=schedule)
    teacher = dataclasses.replace(
        recipe.teacher, epochs=epochs, batch_size=settings["teacher.batch_size"], optimizer=optimizer
    )
    return dataclasses.replace(recipe, teacher=teacher, seed=settings["seed"])


def _train_alone(
    supernet: Supernet, submodel: Submodel, recipe: Recipe, task: Task, splits: Mapping[str, Split], work: Path
) -> None:
    """Writes the accuracies of `submodel` trained alone; where it is the full model, those of its cuts too."""
    path = work / f"{submodel.id}.json"
    if path.exists():
        return
    family, small = supernet.family, supernet.family.shrink(supernet.config, submodel)
    stacks = tuple(len(stack.keep_order) for stack in family.stacks(small))
    torch.manual_seed(recipe.seed)
    alone = Supernet(family, small, Space(widths=(ONE,), depths=(ONE,), stacks=stacks))
    for progress in teacher_stage(alone, recipe, work / submodel.id, task=task).run(splits["train"]):
        steps = progress.step
    result: dict[str, Any] = {"steps": steps, "alone": _scores(alone, alone.space.largest, splits)}
    if submodel == supernet.space.largest:
        full = Supernet(family, supernet.config, supernet.space).eval()
        full.model.load_state_dict(alone.model.state_dict())
        result["cut"] = {cut.id: _scores(full, cut, splits) for cut in supernet.space.grid()}
    write_json(path, result)


def _scores(supernet: Supernet, submodel: Submodel, splits: Mapping[str, Split]) -> dict[str, Any]:
    return {part: dataclasses.asdict(evaluate(supernet, submodel, splits[part])) for part in PARTS}


def _figures(supernet: Supernet, metrics: Mapping[str, Any], work: Path) -> dict[str, Any]:
    paths = {submodel.id: work / f"{submodel.id}.json" for submodel in supernet.space.grid()}
    alone = {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}
    cuts = alone.get(supernet.space.largest.id, {}).get("cut", {})
    rows = {
        name: {
            part: {
                "supernet": _percent(metrics[part][name]),
                "alone": _percent(alone[name]["alone"][part]) if name in alone else None,
                "cut": _percent(cuts[name][part]) if cuts else None,
            }
            for part in PARTS
        }
        for name in paths
    }
    settings = metrics["recipe"]
    return {
        "data": metrics["data"],
        "questions": {part: metrics[part][supernet.space.largest.id]["total"] for part in PARTS},
        "epochs": {stage: settings[f"{stage}.epochs"] for stage in ("teacher", "sandwich")},
        "steps_alone": sorted({entry["steps"] for entry in alone.values()}),
        "submodels": rows,
    }


def _percent(accuracy: Mapping[str, float]) -> float:
    return round(100 * accuracy["correct"] / accuracy["total"], 2)


if __name__ == "__main__":
    main()
