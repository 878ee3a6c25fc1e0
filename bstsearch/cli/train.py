"""`bstsearch train`: a supernet from a preset."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bstsearch.cli.options import DataDirOption, ForceOption, JsonOption, SeedOption, SetOption
from bstsearch.cli.output import Column, Output

if TYPE_CHECKING:
    from bstsearch.cli.output import Progress as Bar
    from bstsearch.recipes import Recipe
    from bstsearch.training import Progress


OF_RECIPE = "the recipe's"
SPLITS = ("validation", "test")


class TrainingDevice(StrEnum):
    """Where to train."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Precision(StrEnum):
    """What matrix products are computed in; weights, losses and optimiser stay in float32."""

    float32 = "float32"
    bf16 = "bf16"


def train(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the supernet.")],
    preset: Annotated[str, typer.Option(metavar="NAME", help="Named configuration.")] = "mcan-easy-vqa",
    settings: SetOption = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Data set.", show_default="the one in the preset's name"),
    ] = None,
    data_dir: DataDirOption = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="How to train: demo, curriculum, bst, bst-gqa, uniter or clip-vil.",
            show_default="the published one; demo or curriculum for small data sets",
        ),
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Supernet whose full model teaches; none is trained then.")
    ] = None,
    teacher_epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of the full model alone.", show_default=OF_RECIPE)
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of the sandwich.", show_default=OF_RECIPE)] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Questions a step, all processes together.", show_default=OF_RECIPE)
    ] = None,
    accumulate: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Parts to compute a batch in, to save memory.", show_default=OF_RECIPE),
    ] = None,
    precision: Annotated[Precision, typer.Option(help="Of matrix products.")] = Precision.float32,
    device: Annotated[TrainingDevice, typer.Option(help="Where to train.")] = TrainingDevice.auto,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads; default: cores it may use.")] = None,
    seed: SeedOption = 0,
    is_forced: ForceOption = False,
    is_json: JsonOption = False,
) -> None:
    """Train a supernet: a teacher, then submodels of all sizes.

    Stopped in any way, the same command goes on from the last checkpoint, to the same weights as without the stop.
    Several processes train together when torchrun starts them; each takes its share of every batch.

    \b
    Examples:
      bstsearch train --out runs/easy-vqa
      bstsearch train --out runs/vqa --preset mcan-vqa-v2 --data-dir vqa-v2 --teacher imported/mcan
    """
    import torch

    from bstsearch.distributed import is_first_process
    from bstsearch.training_run import data_for, plan_run
    from bstsearch.training_run import train as run

    if threads is not None:
        torch.set_num_threads(threads)
    data = data_for(preset, data)
    changes = {"epochs": epochs, "batch_size": batch_size, "accumulate": accumulate}
    chosen = _recipe(recipe, preset, data, seed, precision.value, teacher_epochs, changes)
    plan = plan_run(
        preset, chosen, out, device.value, settings=settings or (), data=data, folder=data_dir, teacher=teacher
    )
    output = Output(is_json)
    with output.progress("loading data") as bar:
        metrics = run(plan, _Reporter(output, bar), is_forced=is_forced)
    if is_first_process():
        _show(output, metrics)
        output.hint(f"next: bstsearch profile --supernet {out}")


def _recipe(
    name: str | None,
    preset: str,
    data: str,
    seed: int,
    precision: str,
    teacher_epochs: int | None,
    changes: dict[str, int | None],
) -> Recipe:
    """The recipe of that name, or the one for preset and data, with what the user wants otherwise."""
    import dataclasses

    from bstsearch.family import find_preset
    from bstsearch.recipes import find_recipe, recipe_for

    recipe = recipe_for(find_preset(preset)[0].name, data) if name is None else find_recipe(name)
    teacher = recipe.teacher.changed(**{**changes, "epochs": teacher_epochs})
    return dataclasses.replace(
        recipe, seed=seed, precision=precision, teacher=teacher, sandwich=recipe.sandwich.changed(**changes)
    )


def _show(output: Output, metrics: dict[str, Any]) -> None:
    """One row per submodel; a split whose answers are kept back has no column."""
    splits = [split for split in SPLITS if split in metrics]
    rows = [[name, *(_percent(metrics[split][name]) for split in splits)] for name in metrics[splits[0]]]
    output.table([Column("id"), *(Column(split, "%", is_number=True) for split in splits)], rows)
    output.json(metrics)


def _percent(accuracy: dict[str, float]) -> str:
    return f"{100 * accuracy['correct'] / accuracy['total']:.2f}"


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
