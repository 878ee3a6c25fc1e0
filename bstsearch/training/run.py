"""From a preset to a finished supernet folder: teacher, sandwich, the score of every submodel, the card."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import bstsearch
from bstsearch.environment import process_count
from bstsearch.errors import InputError, UsageError
from bstsearch.holding import holding
from bstsearch.listener import SILENT, Listener
from bstsearch.model.config import changed, config_to_json
from bstsearch.model.family import Config, Family
from bstsearch.model.lookup import get_preset
from bstsearch.model.sizes import all_sizes
from bstsearch.model.supernet import Supernet
from bstsearch.model.supernet_folder import METRICS, read_folder
from bstsearch.reading import parsing, shown
from bstsearch.score import ACCURACY, Accuracy, Metric, Score
from bstsearch.space import Space
from bstsearch.space_names import BST, describe, trainable
from bstsearch.stock.importing import carry_beside
from bstsearch.tasks import check_folder, data_of_preset, get_task, located, save_task, trained_for
from bstsearch.tasks.evaluation import evaluate
from bstsearch.tasks.fitting import fitted
from bstsearch.tasks.task import Split, Task
from bstsearch.tasks.vqa import has_vocabulary
from bstsearch.training.card import write_card
from bstsearch.training.device import choose_device, choose_threads, exceptions
from bstsearch.training.distributed import Processes, is_first_process, joined
from bstsearch.training.importance import ordered
from bstsearch.training.kept import made_by
from bstsearch.training.loop import Progress, Stage, first_position, sandwich_stage, teacher_stage
from bstsearch.training.order import Order, measure_order
from bstsearch.training.place import check_place, finishing, make_room, work_folder
from bstsearch.training.precision import check_precision
from bstsearch.training.recipes import (
    IMPORTANCE,
    MATCHES,
    NO_ORDER,
    ORDERS,
    OUTPUTS,
    Recipe,
    check_recipe,
    get_recipe,
    recipe_for,
)
from bstsearch.writing import as_path, write_json


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What to train, by which recipe, and where; `teacher` is a supernet folder whose full model teaches, or none.

    `origin` is the folder that the sizes come from, where it is one: the teacher's, or the preset's. What came with the
    model to read by lies there.
    """

    family: Family
    config: Config
    task: Task
    recipe: Recipe
    out: Path
    device: torch.device
    teacher: Path | None = None
    origin: Path | None = None
    is_forced: bool = False
    space: Space

    def identity(self, supernet: Supernet) -> dict[str, Any]:
        """What the weights of `supernet` depend on, beside the recipe."""
        usual = self.family.space(self.config)
        other = {} if self.space == usual else {"space": self.space.to_json()}
        given = {} if self.teacher is None else {"teacher": read_folder(self.teacher).digest()}
        return {"model": config_to_json(supernet.config), **other, **given}

    def split(self, name: str) -> Split:
        """That part of the data, as the model reads it."""
        return self.task.split(name, self.family.reader(self.config, self.origin))


def train(
    out: Path | str,
    *,
    preset: str = "mcan-easy-vqa",
    settings: Sequence[str] = (),
    space: str = BST,
    data: str | type[Task] | None = None,
    data_dir: Path | str | None = None,
    recipe: str | None = None,
    teacher: Path | str | None = None,
    teacher_epochs: int | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    order: str | None = None,
    match: str | None = None,
    batch_size: int | None = None,
    accumulate: int | None = None,
    precision: str = "float32",
    device: str = "auto",
    threads: int | None = None,
    seed: int = 0,
    is_forced: bool = False,
    listener: Listener = SILENT,
) -> dict[str, Any]:
    """Trains a supernet into the folder `out`; returns what `metrics.json` there holds.

    The options are those of `bstsearch train`; `settings` change sizes of the preset ("dropout=0.2"), and `data` may be
    a class. Training goes on from a checkpoint in `out` where there is one. Where torchrun started several processes,
    they train together: the first one alone writes, reports and scores, and the others return nothing. UsageError,
    InputError or DeviceError where something of the request cannot be.
    """
    out, teacher = Path(out), as_path(teacher)
    data, data_dir = located(data, as_path(data_dir), teacher)
    torch.set_num_threads(choose_threads(threads))
    model, config = get_preset(preset)
    chosen = get_task(_data_for(preset, data))
    by = recipe_for(model.name, chosen) if recipe is None else get_recipe(recipe)
    check_recipe(by, chosen)
    by = dataclasses.replace(
        by,
        seed=seed,
        precision=precision,
        teacher=by.teacher.changed(epochs=teacher_epochs, batch_size=batch_size, accumulate=accumulate),
        sandwich=by.sandwich.changed(epochs=epochs, steps=steps, batch_size=batch_size, accumulate=accumulate),
        order=_order_of(by, order, teacher),
        match=_match_of(by, match),
    )
    where = choose_device(device)
    check_precision(precision, where)
    config = changed(model, config, settings)
    listener = listener if is_first_process() else SILENT
    for line in exceptions(precision, where, model, config):
        listener.warning(line)
    with holding(out) if is_first_process() else contextlib.nullcontext():
        if is_first_process():
            check_place(out, is_forced=is_forced)
        task = _open(chosen, data_dir, teacher)
        config = fitted(model, config, task, teacher)
        plan = Plan(
            space=_space(space, model, config),
            family=model,
            config=config,
            task=task,
            recipe=by,
            out=out,
            device=where,
            teacher=teacher,
            origin=teacher or (Path(preset) if Path(preset).is_dir() else None),
            is_forced=is_forced,
        )
        return _run(plan, listener)


def _order_of(recipe: Recipe, order: str | None, teacher: Path | None) -> str | None:
    """How units are ordered: as asked for, else as the recipe says; UsageError where that cannot be."""
    if order not in (None, *ORDERS):
        raise UsageError(f"unknown order {shown(order)}; choose one of {', '.join(ORDERS)}")
    if order == IMPORTANCE and teacher is None:
        raise UsageError("--order importance is for pretrained weights; give the folder that holds them with --teacher")
    found = order or recipe.order
    if found == IMPORTANCE and process_count() > 1:
        raise UsageError("each of several processes would find an order of its own; give --order none")
    return None if found == NO_ORDER else found


def _match_of(recipe: Recipe, match: str | None) -> str | None:
    """What is held against the teacher's: as asked for, else as the recipe says; UsageError where that cannot be."""
    if match not in (None, *MATCHES):
        raise UsageError(f"unknown match {shown(match)}; choose one of {', '.join(MATCHES)}")
    found = match or recipe.match
    return None if found == OUTPUTS else found


def _space(name: str, family: Family, config: Config) -> Space:
    """The space to train; InputError where a share of a size is no whole number, such as part of a head."""
    space = trainable(name, family.space(config), family.token_shares(config))
    with parsing(name):
        family.check(config, space)
    return space


def _run(plan: Plan, listener: Listener) -> dict[str, Any]:
    with joined(plan.device) as processes:
        supernet, work = _train(plan, processes, listener)
    if not processes.is_first:
        return {}
    metrics = _measure(plan, supernet, processes, listener)
    _finish(plan, work, supernet, metrics)
    return metrics


def _data_for(preset: str, data: str | type[Task] | None) -> str | type[Task]:
    """`data`, or the task that the preset is named after; UsageError where there is none."""
    found = data or data_of_preset(preset)
    if found is None:
        raise UsageError(f"preset {preset} is not named after a data set; say which with --data NAME")
    return found


def _open(task: type[Task], data_dir: Path | None, teacher: Path | None) -> Task:
    """The task as the teacher knows it, above all its token ids; without a teacher, the task built from the data."""
    check_folder(task, data_dir)
    if teacher is None:
        return task.build(data_dir)
    if (known := trained_for(teacher)) not in (None, task.name):
        raise InputError(f"teacher {teacher} is for {known}, not {task.name}; see --data")
    return task.load(teacher, data_dir)


def _train(plan: Plan, processes: Processes, listener: Listener) -> tuple[Supernet, Path]:
    """The trained supernet, and the folder with its checkpoints and logs. What can be refused is refused first."""
    split = plan.split("train")
    if plan.teacher is None and not split.has_targets:
        raise UsageError(f"{plan.task.name} has no targets to train a teacher on; give one with --teacher DIR")
    torch.manual_seed(plan.recipe.seed)
    teacher, supernet = _models(plan, split, listener)
    for settings in ([plan.recipe.teacher] if plan.teacher is None else []) + [plan.recipe.sandwich]:
        first_position(settings, len(split), processes)
    identity = plan.identity(supernet)
    processes.wait()  # until the first one has looked after the folder
    work = work_folder(plan.out, is_forced=plan.is_forced)
    if processes.is_first:
        make_room(work, made_by(plan.recipe, identity), is_forced=plan.is_forced)
        if work.parent != plan.out:
            listener.note(f"{plan.out} stays as it is until the new supernet is complete; it is made in {work.parent}")
    processes.wait()
    options: dict[str, Any] = {"processes": processes, "task": plan.task, "identity": identity}
    if plan.teacher is None:
        _run_stage(teacher_stage(teacher, plan.recipe, work, **options), split, plan.task.metric, listener)
    _run_stage(sandwich_stage(supernet, teacher, plan.recipe, work, **options), split, plan.task.metric, listener)
    return supernet, work


def _models(plan: Plan, split: Split, listener: Listener) -> tuple[Supernet, Supernet]:
    """The teacher, which is trained yet or given, and the supernet, on their device."""
    if plan.teacher is None:
        new, supernet = (Supernet(plan.family, plan.config, plan.space).to(plan.device) for _ in range(2))
        return new, supernet
    supernet = Supernet(plan.family, plan.config, plan.space).to(plan.device)
    teacher = _load_teacher(plan.teacher, supernet).to(plan.device)
    if plan.recipe.order is None:
        return teacher, supernet
    teacher = ordered(teacher, split, plan.task.distance, listener)
    return teacher, Supernet(plan.family, teacher.config, plan.space).to(plan.device)


def _load_teacher(path: Path, supernet: Supernet) -> Supernet:
    """The supernet in `path`; InputError where it is not the same model as `supernet`."""
    teacher = Supernet.load(path)
    if teacher.family.name != supernet.family.name:
        raise InputError(f"teacher {path} is a {teacher.family.name}; the preset is a {supernet.family.name}")
    found, expected = all_sizes(teacher.config), all_sizes(supernet.config)
    for name in {**expected, **found}:
        one, other = found.get(name), expected.get(name)
        if one != other:
            raise InputError(f"teacher {path} has {name}={one}, the preset {other}; choose the preset of its sizes")
    return teacher


def _run_stage(stage: Stage, split: Split, metric: Metric, listener: Listener) -> None:
    for progress in stage.run(split):
        listener.progress(progress.stage, progress.step, progress.steps, _running(progress, metric))


def _running(progress: Progress, metric: Metric) -> str:
    figures = [f"{name} {metric.words(value)}" for name, value in progress.running.items()]
    return f"running {metric.name}: {', '.join(figures)}" if figures else ""


def _measure(plan: Plan, supernet: Supernet, processes: Processes, listener: Listener) -> dict[str, Any]:
    loaded = {name: plan.split(name) for name in ("validation", "test")}
    splits = {name: split for name, split in loaded.items() if split.has_targets}
    space, submodels = supernet.space, list(supernet.space.grid())
    scores: dict[str, dict[str, Any]] = {name: {} for name in splits}
    for done, (name, submodel) in enumerate(itertools.product(splits, submodels)):
        listener.progress("scoring", done, len(splits) * len(submodels))
        scores[name][submodel.id] = _record(evaluate(supernet, submodel, splits[name]))
    order = _order(plan, supernet, splits.get("validation"), listener)
    return {
        "recipe": _settings(plan),
        "data": plan.task.name,
        "space": {"size": space.size, "words": describe(space)},
        **({} if order is None else {"order": order.to_json()}),
        **({} if plan.task.metric == ACCURACY else {"metric": plan.task.metric.to_json()}),
        "bstsearch": bstsearch.__version__,
        "commit": _commit(),
        "torch": torch.__version__,
        "machine": _machine(plan.device, processes),
        **scores,
    }


def _order(plan: Plan, supernet: Supernet, split: Split | None, listener: Listener) -> Order | None:
    return None if split is None else measure_order(supernet, split, plan.task.metric, listener)


def _record(score: Score) -> dict[str, Any]:
    """A score as `metrics.json` holds it: of an accuracy the counts, of any other its interval."""
    if isinstance(score, Accuracy):
        return dataclasses.asdict(score)
    low, high = score.interval
    return {"value": score.value, "low": low, "high": high, "total": score.total}


def _settings(plan: Plan) -> dict[str, Any]:
    """The recipe's settings; of a teacher that was given, what it is in place of how it was trained."""
    settings = plan.recipe.settings()
    if plan.teacher is None:
        return settings
    rest = {name: value for name, value in settings.items() if not name.startswith("teacher.")}
    return {**rest, "teacher": f"given, {read_folder(plan.teacher).digest()}"}


def _machine(device: torch.device, processes: Processes) -> str:
    together = f", {processes.count} processes" if processes.count > 1 else ""
    return f"{platform.system()} {platform.machine()}, {device.type}, {torch.get_num_threads()} threads{together}"


def _finish(plan: Plan, work: Path, supernet: Supernet, metrics: dict[str, Any]) -> None:
    """Puts the finished supernet into its place, whole, and removes the checkpoints."""
    with finishing(plan.out, work) as folder:
        save_task(plan.task, folder)
        write_json(folder / METRICS, metrics)
        write_card(folder, supernet, metrics, is_vqa=has_vocabulary(folder))
        supernet.save(folder)
        if plan.origin is not None:
            carry_beside(plan.origin, folder)


def _commit() -> str | None:
    """The commit of the checkout that this package runs from; None where it is installed from elsewhere."""
    root = Path(bstsearch.__file__).parents[1]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None
