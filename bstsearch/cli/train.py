"""`bstsearch train`: a supernet from a preset."""

from __future__ import annotations

import contextlib
import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from bstsearch.cli.options import (
    DataDirOption,
    DataOption,
    FamilyOption,
    ForceOption,
    JsonOption,
    SeedOption,
    SetOption,
    SpaceOption,
)
from bstsearch.cli.output import Column, Output
from bstsearch.listener import SILENT
from bstsearch.space_names import BST

OF_RECIPE = "the recipe's"
SPLITS = ("validation", "test")


class TrainingDevice(StrEnum):
    """Where to train."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class UnitOrder(StrEnum):
    """In what order the teacher's heads, FFN units, channels and layers are kept."""

    importance = "importance"
    none = "none"


class Match(StrEnum):
    """What of a submodel is held against the teacher's."""

    outputs = "outputs"
    layers = "layers"


class Precision(StrEnum):
    """What matrix products are computed in; weights, losses and optimiser stay in float32."""

    float32 = "float32"
    bf16 = "bf16"


def train(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the supernet.")],
    preset: Annotated[str, typer.Option(metavar="NAME", help="Named configuration.")] = "mcan-easy-vqa",
    settings: SetOption = None,
    space: SpaceOption = BST,
    data: DataOption = None,
    data_dir: DataDirOption = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="How to train: demo, curriculum, shapes, bst, bst-gqa, uniter, clip-vil, task or distil.",
            show_default="the data set's own: the published one, where there is one",
        ),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Supernet whose full model is the teacher; no teacher is trained then."),
    ] = None,
    teacher_epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of the full model alone.", show_default=OF_RECIPE)
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of the sandwich.", show_default=OF_RECIPE)] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of the sandwich, in place of epochs.", show_default=OF_RECIPE)
    ] = None,
    order: Annotated[
        UnitOrder | None,
        typer.Option(
            help="Before the sandwich, put what matters most of the teacher's weights first.", show_default=OF_RECIPE
        ),
    ] = None,
    match: Annotated[
        Match | None,
        typer.Option(
            help="Hold outputs against the teacher's alone, or the layers that a submodel keeps, too.",
            show_default=OF_RECIPE,
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Examples per step, of all processes together.", show_default=OF_RECIPE)
    ] = None,
    accumulate: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="In how many parts a batch is computed, to save memory.", show_default=OF_RECIPE
        ),
    ] = None,
    precision: Annotated[Precision, typer.Option(help="Precision of matrix products.")] = Precision.float32,
    device: Annotated[TrainingDevice, typer.Option(help="Where to train.")] = TrainingDevice.auto,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads; default: cores it may use.")] = None,
    seed: SeedOption = 0,
    is_forced: ForceOption = False,
    _family: FamilyOption = None,
    is_json: JsonOption = False,
) -> None:
    """Train a supernet: a teacher, then submodels of all sizes.

    If training is stopped, the same command goes on from the last checkpoint. It ends with the same weights as without
    the stop. When torchrun starts several processes, they train together: each takes its share of every batch.

    --space says which submodels are trained, and only these can be searched later: BST's, whose layers are alike; with
    elastic those whose layers choose for themselves, too.

    \b
    Examples:
      bstsearch train --out runs/easy-vqa
      bstsearch train --out runs/elastic --space elastic
      bstsearch train --out runs/vqa --preset mcan-vqa-v2 --data-dir vqa-v2 --teacher imported/mcan
      bstsearch train --out runs/slim --preset runs/minilm --teacher runs/minilm --data texts
    """
    from bstsearch.training.distributed import is_first_process
    from bstsearch.training.run import train as run

    output = Output(is_json)
    # Other processes do the same at the same time, and have nothing to tell.
    telling = output.listening("loading data") if is_first_process() else contextlib.nullcontext(SILENT)
    with telling as listener:
        metrics = run(
            out,
            preset=preset,
            settings=settings or (),
            space=space,
            data=data,
            data_dir=data_dir,
            recipe=recipe,
            teacher=teacher,
            teacher_epochs=teacher_epochs,
            epochs=epochs,
            steps=steps,
            order=order and order.value,
            match=match and match.value,
            batch_size=batch_size,
            accumulate=accumulate,
            precision=precision.value,
            device=device.value,
            threads=threads,
            seed=seed,
            is_forced=is_forced,
            listener=listener,
        )
    if metrics:
        _show(output, metrics)
        output.hint(f"next: bstsearch profile --supernet {shlex.quote(str(out))}")


def _show(output: Output, metrics: dict[str, Any]) -> None:
    """One row per submodel; a split whose targets are kept back has no column."""
    from bstsearch.training.card import metric_of, score_of

    metric, splits = metric_of(metrics), [split for split in SPLITS if split in metrics]
    if splits:
        columns = [Column("id"), *(Column(split, metric.unit, is_number=True) for split in splits)]
        names = metrics[splits[0]]
        scores = {name: [metric.text(score_of(metrics[split][name]).value) for split in splits] for name in names}
        output.table(columns, [[name, *texts] for name, texts in scores.items()])
    if "order" in metrics:
        from bstsearch.training.order import Order

        output.text(Order(**metrics["order"]).words)
    output.json(metrics)
