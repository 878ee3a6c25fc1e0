"""Does bf16 change how training goes? A small UNITER trained three times: float32, bf16, float32 with another seed.

Losses are averaged over WINDOW steps. "difference" is the mean, over all windows, of how far a curve lies from that of
float32, as a share of it. The other seed's is the noise to hold bf16's against.
"""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
from pathlib import Path

import torch

from bstsearch.model.lookup import get_preset
from bstsearch.model.supernet import Supernet
from bstsearch.tasks import get_task
from bstsearch.tasks.evaluation import evaluate
from bstsearch.training.loop import sandwich_stage, teacher_stage
from bstsearch.training.recipes import DEMO, Recipe
from timing import report

PRESET, DATA = "uniter-easy-vqa", "easy-vqa"
RUNS = {"float32": ("float32", 0), "bf16": ("bf16", 0), "other_seed": ("float32", 1)}
WINDOW = 66  # eight in an epoch


def main() -> None:
    torch.set_num_threads(1)
    found = {name: train(*settings) for name, settings in RUNS.items()}
    curve = found["float32"][0]
    differences = {
        name: round(statistics.fmean(abs(a - b) / b for a, b in zip(other, curve, strict=True)), 4)
        for name, (other, _) in found.items()
        if name != "float32"
    }
    report(
        "bf16_curve",
        {
            "steps": len(curve) * WINDOW,
            "difference": differences,
            "last_loss": {name: round(losses[-1], 4) for name, (losses, _) in found.items()},
            "accuracy": {name: accuracies for name, (_, accuracies) in found.items()},
            "curves": {name: [round(loss, 4) for loss in losses] for name, (losses, _) in found.items()},
        },
    )


def train(precision: str, seed: int) -> tuple[list[float], dict[str, float]]:
    """The mean loss of each window of steps, teacher and then sandwich, and validation accuracies in percent."""
    recipe = little(precision, seed)
    family, config = get_preset(PRESET)
    task = get_task(DATA).build(None)
    splits = {part: task.split(part, family.reader(config)) for part in ("train", "validation")}
    torch.manual_seed(seed)
    teacher, supernet = Supernet(family, config), Supernet(family, config)
    losses: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for make in (
            lambda: teacher_stage(teacher, recipe, work),
            lambda: sandwich_stage(supernet, teacher, recipe, work),
        ):
            losses += [statistics.fmean(progress.losses.values()) for progress in make().run(splits["train"])]
    windows = [statistics.fmean(losses[first : first + WINDOW]) for first in range(0, len(losses), WINDOW)]
    space = supernet.space
    ends = {
        submodel.id: evaluate(supernet, submodel, splits["validation"]) for submodel in (space.smallest, space.largest)
    }
    return windows, {name: round(100 * accuracy.value, 2) for name, accuracy in ends.items()}


def little(precision: str, seed: int) -> Recipe:
    teacher, sandwich = dataclasses.replace(DEMO.teacher, epochs=2), dataclasses.replace(DEMO.sandwich, epochs=1)
    return dataclasses.replace(DEMO, teacher=teacher, sandwich=sandwich, precision=precision, seed=seed)


if __name__ == "__main__":
    main()
