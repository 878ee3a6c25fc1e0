"""From a preset to a finished supernet folder: teacher, sandwich, the accuracy of every submodel, the card."""

from __future__ import annotations

import dataclasses
import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import bstsearch
from bstsearch.data import build_vocabulary, load_split
from bstsearch.data.split import Split
from bstsearch.data.vocabulary import Vocabulary
from bstsearch.errors import DeviceError, InputError
from bstsearch.evaluation import evaluate
from bstsearch.family import Config, Family, get_family
from bstsearch.files import refuse_existing, write_json
from bstsearch.folder import CONFIG, METRICS
from bstsearch.supernet import Supernet
from bstsearch.supernet_card import write_card
from bstsearch.training import Progress, Recipe, Stage, sandwich_stage, teacher_stage

WORK = "training"  # subfolder of the output with checkpoints and logs
Report = Callable[[Progress], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What to train and where; `data` is the data set's name."""

    family: Family
    config: Config
    data: str
    recipe: Recipe
    out: Path
    device: torch.device


def plan_run(preset: str, recipe: Recipe, out: Path, device: str) -> Plan:
    """The plan for a preset such as "mcan-easy-vqa"; InputError or DeviceError where there is no such thing."""
    family_name, _, data = preset.partition("-")
    family = get_family(family_name)
    if preset not in family.presets:
        raise InputError(f"unknown preset {preset!r}; {family_name} has {', '.join(family.presets)}")
    return Plan(
        family=family, config=family.presets[preset], data=data, recipe=recipe, out=out, device=choose_device(device)
    )


def choose_device(name: str) -> torch.device:
    """ "auto" is a GPU where there is one; DeviceError where the one asked for is not there."""
    has_cuda = torch.cuda.is_available()
    if name == "auto":
        return torch.device("cuda" if has_cuda else "cpu")
    if name == "cuda" and not has_cuda:
        raise DeviceError("no CUDA device is available; --device cpu trains on the processor")
    return torch.device(name)


def train(plan: Plan, report: Report, *, is_forced: bool = False) -> dict[str, Any]:
    """Trains, going on from a checkpoint in `plan.out` if there is one; returns what `metrics.json` holds."""
    work = plan.out / WORK
    is_unfinished = work.exists() and not (plan.out / CONFIG).exists()
    if not is_unfinished:
        refuse_existing(plan.out, marker=WORK, is_forced=is_forced)
    if is_forced:
        shutil.rmtree(work, ignore_errors=True)
        (plan.out / CONFIG).unlink(missing_ok=True)  # from here on the old supernet is gone
    vocabulary = build_vocabulary(plan.data)
    split = load_split(vocabulary, "train")
    torch.manual_seed(plan.recipe.seed)
    teacher, supernet = (Supernet(plan.family, plan.config).to(plan.device) for _ in range(2))
    _run(teacher_stage(teacher, plan.recipe, work), split, report)
    _run(sandwich_stage(supernet, teacher, plan.recipe, work), split, report)
    metrics = _measure(plan, supernet, vocabulary)
    _finish(plan, supernet, vocabulary, metrics)
    return metrics


def _run(stage: Stage, split: Split, report: Report) -> None:
    for progress in stage.run(split):
        report(progress)


def _measure(plan: Plan, supernet: Supernet, vocabulary: Vocabulary) -> dict[str, Any]:
    splits = {name: load_split(vocabulary, name) for name in ("validation", "test")}
    accuracies = {
        name: {
            submodel.id: dataclasses.asdict(evaluate(supernet, submodel, split)) for submodel in supernet.space.grid()
        }
        for name, split in splits.items()
    }
    return {
        "recipe": dataclasses.asdict(plan.recipe),
        "data": plan.data,
        "bstsearch": bstsearch.__version__,
        "commit": _commit(),
        "torch": torch.__version__,
        "machine": f"{platform.system()} {platform.machine()}, {plan.device.type}, {torch.get_num_threads()} threads",
        **accuracies,
    }


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
