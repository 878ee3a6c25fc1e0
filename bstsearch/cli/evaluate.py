"""`bstsearch eval`: the score of submodels, or of an exported file, on any split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bstsearch.cli.options import (
    DataDirOption,
    DataOption,
    FamilyOption,
    JsonOption,
    ModelOption,
    PrecisionOption,
    SpaceOption,
    SplitName,
)
from bstsearch.cli.output import Column, Output
from bstsearch.model.supernet_folder import DEMO
from bstsearch.score import PERCENT, Accuracy, Metric
from bstsearch.space_names import TRAINED, parse_precisions

if TYPE_CHECKING:
    from bstsearch.answering.evaluation import Evaluation, Scored


def evaluate(
    model: ModelOption = DEMO,
    submodel: Annotated[
        list[str] | None, typer.Option("--submodel", metavar="ID", help="Submodel to score; may be given again.")
    ] = None,
    is_all: Annotated[
        bool, typer.Option("--all", help="Score every submodel; of an elastic space those whose layers are alike.")
    ] = False,
    space: SpaceOption = TRAINED,
    precision: PrecisionOption = None,
    split: Annotated[SplitName, typer.Option("--split", help="Which part of the data.")] = SplitName.validation,
    data: DataOption = None,
    data_dir: DataDirOption = None,
    results: Annotated[
        Path | None,
        typer.Option(
            "--results", metavar="FILE", help="Write the answers of one submodel as the evaluation servers take them."
        ),
    ] = None,
    _family: FamilyOption = None,
    is_json: JsonOption = False,
) -> None:
    """Score submodels of a supernet, or an exported model, on a split.

    Without --submodel and --all, a supernet's full model is scored, or the largest one of --space. A split without
    answers (VQA-v2's test part) can only be answered: give --results.

    \b
    Examples:
      bstsearch eval --all
      bstsearch eval --all --space bst --split test
      bstsearch eval --submodel w1of2-d1 --precision float32,float16,int8
      bstsearch eval --model export/w1of2-d1 --split test
      bstsearch eval --submodel w1of2-d1 --split test --results answers.json
    """
    from bstsearch.answering.evaluation import evaluate as run

    output = Output(is_json)
    with output.listening("loading data") as listener:
        found = run(
            model,
            submodel or (),
            space=space,
            is_all=is_all,
            precisions=parse_precisions(precision),
            split=split.value,
            data=data,
            data_dir=data_dir,
            results=results,
            listener=listener,
        )
    _show(output, found)
    output.json(found.to_json())


def _show(output: Output, found: Evaluation) -> None:
    """One row per submodel: its score, and the data set's further figures."""
    if not found.submodels:
        return
    metric = found.metric
    further = list(dict.fromkeys(name for one in found.submodels for name in one.details))
    head = columns(metric, further, is_counted=_counts_correct(found))
    output.table(head, [_row(found, one, further) for one in found.submodels])


def columns(metric: Metric, further: Sequence[str], *, is_counted: bool) -> list[Column]:
    """The table's columns; `further` are the names of a data set's own figures."""
    return [
        Column("id"),
        Column(metric.name, metric.unit, is_number=True),
        Column("95 % interval", metric.unit, is_number=True),
        *([Column("correct", is_number=True, rank=3)] if is_counted else []),
        Column("questions" if is_counted else "examples", is_number=True, rank=2),
        *(Column(name, PERCENT if metric.unit == PERCENT else "", is_number=True, rank=1) for name in further),
    ]


def _counts_correct(found: Evaluation) -> bool:
    """Whether the scores are shares of right answers."""
    return all(isinstance(one.score, Accuracy) for one in found.submodels)


def _row(found: Evaluation, one: Scored, further: list[str]) -> list[str | None]:
    score, text = one.score, found.metric.text
    low, high = score.interval
    correct = [f"{score.correct:,.10g}"] if isinstance(score, Accuracy) and _counts_correct(found) else []
    details = [f"{one.details[name]:.2f}" if name in one.details else None for name in further]
    return [one.id, text(score.value), f"{text(low)}-{text(high)}", *correct, f"{score.total:,}", *details]
