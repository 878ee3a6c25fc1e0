"""From a preset to a finished supernet folder: teacher, sandwich, the accuracy of every submodel, the card."""

from __future__ import annotations

import dataclasses
import itertools
import platform
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

import bstsearch
from bstsearch.errors import InputError, UsageError
from bstsearch.files import refuse_existing, write_json
from bstsearch.model.family import Config, Family, changed, config_to_json, find_preset
from bstsearch.model.supernet import Supernet
from bstsearch.model.supernet_folder import CONFIG, METRICS, read_folder
from bstsearch.tasks import PACKAGED, build_vocabulary, data_of_preset, load_split
from bstsearch.tasks.evaluation import evaluate
from bstsearch.tasks.split import Split
from bstsearch.tasks.vocabulary import FILE, Vocabulary
from bstsearch.training.card import write_card
from bstsearch.training.device import choose_device
from bstsearch.training.distributed import Processes, is_first_process, joined
from bstsearch.training.loop import Progress, Stage, sandwich_stage, teacher_stage
from bstsearch.training.precision import check_precision
from bstsearch.training.recipes import Recipe

WORK = "training"  # subfolder of the output with checkpoints and logs
SIZES = ("vocab", "answers", "question_length")  # of a config, that a vocabulary decides
Report = Callable[[str, int, int, str], None]  # what is done, how much, of how much, and running accuracies


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What to train and where.

    `data` is the data set's name, `folder` where the user's files of it lie, `teacher` a supernet
    folder whose full model teaches; with none, a teacher is trained first.
    """

    family: Family
    config: Config
    data: str
    recipe: Recipe
    out: Path
    device: torch.device
    folder: Path | None = None
    teacher: Path | None = None


def data_for(preset: str, data: str | None) -> str:
    """The data set's name: `data`, or the one that the preset is named after; UsageError where there is none."""
    found = data or data_of_preset(preset)
    if found is None:
        raise UsageError(f"preset {preset} is not named after a data set; say which with --data NAME")
    return found


def plan_run(
    preset: str,
    recipe: Recipe,
    out: Path,
    device: str,
    *,
    settings: Sequence[str] = (),
    data: str | None = None,
    folder: Path | None = None,
    teacher: Path | None = None,
) -> Plan:
    """The plan for a preset such as "mcan-easy-vqa"; InputError or DeviceError where there is no such thing.

    `settings` change sizes of the preset ("dropout=0.2"). DeviceError, too, where the device cannot do what the recipe
    asks of it.
    """
    family, config = find_preset(preset)
    chosen = choose_device(device)
    check_precision(recipe.precision, chosen)
    return Plan(
        family=family,
        config=changed(family, config, settings),
        data=data_for(preset, data),
        recipe=recipe,
        out=out,
        device=chosen,
        folder=folder,
        teacher=teacher,
    )


def train(plan: Plan, report: Report, *, is_forced: bool = False) -> dict[str, Any]:
    """Trains, going on from a checkpoint in `plan.out` if there is one; returns what `metrics.json` holds.

    Where torchrun started several processes, they train together; the first one alone writes, reports, and
    scores the submodels. The others return nothing.
    """
    if is_first_process():
        _prepare(plan.out, is_forced)
    vocabulary = _vocabulary(plan)
    plan = dataclasses.replace(plan, config=fitted(plan, vocabulary))
    with joined(plan.device) as processes:
        processes.wait()  # until the folder is prepared
        supernet = _train(plan, vocabulary, processes, report)
    if not processes.is_first:
        return {}
    metrics = _measure(plan, supernet, vocabulary, processes, report)
    _finish(plan, supernet, vocabulary, metrics)
    return metrics


def fitted(plan: Plan, vocabulary: Vocabulary) -> Config:
    """The plan's config with the vocabulary's sizes; InputError where they are not to be changed.

    Published data sets come as the user has them, and so do their numbers of words and answers. A data set in a
    package is always the same, and a teacher is as it is: there another size is a mistake.
    """
    found = {"vocab": vocabulary.size, "answers": len(vocabulary.answers)}
    found["question_length"] = vocabulary.question_length
    known = {field.name for field in dataclasses.fields(plan.config)}
    other = {name: size for name, size in found.items() if name in known and size != getattr(plan.config, name)}
    if other and plan.data in PACKAGED:
        name, size = next(iter(other.items()))
        raise InputError(
            f"the preset has {name}={getattr(plan.config, name)}, but {plan.data} has {size}; "
            f"choose a preset that is named after {plan.data}"
        )
    return dataclasses.replace(plan.config, **other)


def _prepare(out: Path, is_forced: bool) -> None:
    """Refuses to touch what may not be replaced; with force, removes the old supernet."""
    is_unfinished = (out / WORK).exists() and not (out / CONFIG).exists()
    if not is_unfinished:
        refuse_existing(out, marker=WORK, is_forced=is_forced)
    if is_forced:
        shutil.rmtree(out / WORK, ignore_errors=True)
        (out / CONFIG).unlink(missing_ok=True)  # from here on the old supernet is gone


def _vocabulary(plan: Plan) -> Vocabulary:
    """The teacher's vocabulary, whose token ids it knows, where it has one; else the data set's."""
    if plan.teacher is None or not (plan.teacher / FILE).exists():
        return build_vocabulary(plan.data, plan.folder)
    vocabulary = Vocabulary.load(plan.teacher)
    if vocabulary.data != plan.data:
        raise InputError(f"teacher {plan.teacher} is for {vocabulary.data}, not {plan.data}; see --data")
    return vocabulary


def _train(plan: Plan, vocabulary: Vocabulary, processes: Processes, report: Report) -> Supernet:
    split = load_split(vocabulary, "train", like=_like(plan), folder=plan.folder)
    options: dict[str, Any] = {"processes": processes, "unknown_id": vocabulary.unknown_id}
    options["identity"] = {"model": config_to_json(plan.config)}
    torch.manual_seed(plan.recipe.seed)
    work = plan.out / WORK
    if plan.teacher is None:
        teacher, supernet = (Supernet(plan.family, plan.config).to(plan.device) for _ in range(2))
        _run(teacher_stage(teacher, plan.recipe, work, **options), split, report)
    else:
        supernet = Supernet(plan.family, plan.config).to(plan.device)
        teacher = _load_teacher(plan.teacher, supernet).to(plan.device)
        options["identity"]["teacher"] = read_folder(plan.teacher).digest()
    _run(sandwich_stage(supernet, teacher, plan.recipe, work, **options), split, report)
    return supernet


def _load_teacher(path: Path, supernet: Supernet) -> Supernet:
    """The supernet in `path`; InputError where it is not the same model as `supernet`."""
    teacher = Supernet.load(path)
    if teacher.family.name != supernet.family.name:
        raise InputError(f"teacher {path} is a {teacher.family.name}; the preset is a {supernet.family.name}")
    for field in dataclasses.fields(supernet.config):
        found, expected = getattr(teacher.config, field.name), getattr(supernet.config, field.name)
        if found != expected:
            raise InputError(
                f"teacher {path} has {field.name}={found}, the preset {expected}; choose the preset of its sizes"
            )
    return teacher


def _like(plan: Plan) -> dict[str, torch.Tensor]:
    return plan.family.example_inputs(plan.config, 1)


def _run(stage: Stage, split: Split, report: Report) -> None:
    for progress in stage.run(split):
        if stage.processes.is_first:
            report(progress.stage, progress.step, progress.steps, _running(progress))


def _running(progress: Progress) -> str:
    accuracies = ", ".join(f"{name} {100 * share:.1f} %" for name, share in progress.accuracies.items())
    return f"running accuracy: {accuracies}"


def _measure(
    plan: Plan, supernet: Supernet, vocabulary: Vocabulary, processes: Processes, report: Report
) -> dict[str, Any]:
    loaded = {
        name: load_split(vocabulary, name, like=_like(plan), folder=plan.folder) for name in ("validation", "test")
    }
    splits, submodels = (
        {name: split for name, split in loaded.items() if split.has_answers},
        list(supernet.space.grid()),
    )
    accuracies: dict[str, dict[str, Any]] = {name: {} for name in splits}
    for done, (name, submodel) in enumerate(itertools.product(splits, submodels)):
        report("scoring", done, len(splits) * len(submodels), "")
        accuracies[name][submodel.id] = dataclasses.asdict(evaluate(supernet, submodel, splits[name]))
    return {
        "recipe": _settings(plan),
        "data": plan.data,
        "bstsearch": bstsearch.__version__,
        "commit": _commit(),
        "torch": torch.__version__,
        "machine": _machine(plan.device, processes),
        **accuracies,
    }


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


def _finish(plan: Plan, supernet: Supernet, vocabulary: Vocabulary, metrics: dict[str, Any]) -> None:
    # config.json comes last: a folder without it is no supernet, so an interrupted finish can be repeated.
    vocabulary.save(plan.out)
    write_json(plan.out / METRICS, metrics)
    write_card(plan.out, supernet, metrics)
    (plan.out / CONFIG).unlink(missing_ok=True)
    supernet.save(plan.out)
    for checkpoint in (plan.out / WORK).glob("*.safetensors"):
        checkpoint.unlink()


def _commit() -> str | None:
    """The commit of the checkout that this package runs from; None where it is installed from elsewhere."""
    root = Path(bstsearch.__file__).parents[1]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None
