"""`bstsearch train`: a supernet from a preset."""

from __future__ import annotations

import contextlib
import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bstsearch.cli.options import DataDirOption, FamilyOption, ForceOption, JsonOption, SeedOption, SetOption
from bstsearch.cli.output import Column, Output
from bstsearch.cli.progress import Progress

if TYPE_CHECKING:
    from bstsearch.training.recipes import Recipe


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
    _family: FamilyOption = None,
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

    from bstsearch.training.device import choose_threads, exceptions
    from bstsearch.training.distributed import is_first_process
    from bstsearch.training.run import data_for, plan_run
    from bstsearch.training.run import train as run

    torch.set_num_threads(choose_threads(threads))
    data = data_for(preset, data)
    changes = {"epochs": epochs, "batch_size": batch_size, "accumulate": accumulate}
    chosen = _recipe(recipe, preset, data, seed, precision.value, teacher_epochs, changes)
    plan = plan_run(
        preset, chosen, out, device.value, settings=settings or (), data=data, folder=data_dir, teacher=teacher
    )
    output = Output(is_json)
    if is_first_process():
        for line in exceptions(chosen.precision, plan.device, plan.family, plan.config):
            output.warning(line)
    # The other processes do the same at the same time, and have nothing to tell.
    with output.progress("loading data") if is_first_process() else contextlib.nullcontext(Progress()) as bar:
        metrics = run(plan, bar.report, is_forced=is_forced)
    if is_first_process():
        _show(output, metrics)
        output.hint(f"next: bstsearch profile --supernet {shlex.quote(str(out))}")


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

    from bstsearch.model.family import find_preset
    from bstsearch.training.recipes import find_recipe, recipe_for

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
