"""`bstsearch train`: a supernet from a preset."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bstsearch.cli.options import ForceOption, JsonOption, SeedOption
from bstsearch.cli.output import Column, Output

if TYPE_CHECKING:
    from bstsearch.cli.output import Progress as Bar
    from bstsearch.training import Progress


class TrainingDevice(StrEnum):
    """Where to train."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


def train(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the supernet.")],
    preset: Annotated[str, typer.Option(help="Named configuration; the part after the first dash is the data.")] = (
        "mcan-easy-vqa"
    ),
    teacher_epochs: Annotated[int, typer.Option(min=1, help="Epochs of the full model alone.")] = 16,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of the sandwich.")] = 9,
    batch_size: Annotated[int, typer.Option(min=1, help="Questions a step.")] = 64,
    device: Annotated[TrainingDevice, typer.Option(help="Where to train.")] = TrainingDevice.auto,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads; default: all cores.")] = None,
    seed: SeedOption = 0,
    is_forced: ForceOption = False,
    is_json: JsonOption = False,
) -> None:
    """Train a supernet: a teacher, then submodels of all sizes.

    Stopped in any way, the same command goes on from the last checkpoint, to the same weights as without the stop.

    Example: bstsearch train --out runs/easy-vqa
    """
    import torch

    from bstsearch.training import Recipe
    from bstsearch.training_run import plan_run
    from bstsearch.training_run import train as run

    if threads is not None:
        torch.set_num_threads(threads)
    recipe = Recipe(seed=seed, batch_size=batch_size, teacher_epochs=teacher_epochs, epochs=epochs)
    output = Output(is_json)
    with output.progress("loading data") as bar:
        metrics = run(plan_run(preset, recipe, out, device.value), _Reporter(output, bar), is_forced=is_forced)
    rows = [
        [name, *(f"{100 * metrics[split][name]['correct'] / metrics[split][name]['total']:.2f}" for split in SPLITS)]
        for name in metrics["validation"]
    ]
    output.table([Column("id"), *(Column(split, "%", is_number=True) for split in SPLITS)], rows)
    output.json(metrics)
    output.hint(f"next: bstsearch profile --supernet {out}")


SPLITS = ("validation", "test")


class _Reporter:
    """Shows the bar at every step, and a line for logs at every tenth of a stage."""

    def __init__(self, output: Output, bar: Bar) -> None:
        self.output, self.bar = output, bar

    def __call__(self, progress: Progress) -> None:
        shown = {name: f"{value:.1%}" for name, value in progress.accuracies.items()}
        self.bar.report(progress.stage, progress.step, progress.steps)
        self.bar.advance(0, **shown)
        if progress.step % max(1, progress.steps // 10) == 0 or progress.step == progress.steps:
            text = ", ".join(f"{name} {value}" for name, value in shown.items())
            self.output.note(f"{progress.stage}: step {progress.step} of {progress.steps}, running accuracy {text}")
