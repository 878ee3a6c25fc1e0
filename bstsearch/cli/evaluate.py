"""`bstsearch eval`: accuracy of submodels, or of an exported file, on any split."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bstsearch.cli.options import JsonOption, ModelOption
from bstsearch.cli.output import Column, Output
from bstsearch.data.answers import Accuracy
from bstsearch.errors import UsageError
from bstsearch.folder import DEMO, read_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bstsearch.data.split import Split


class SplitName(StrEnum):
    """The parts of a data set."""

    train = "train"
    validation = "validation"
    test = "test"


def evaluate(
    model: ModelOption = DEMO,
    submodel: Annotated[
        list[str] | None, typer.Option("--submodel", metavar="ID", help="Submodel to score; may be given again.")
    ] = None,
    is_all: Annotated[bool, typer.Option("--all", help="Score every submodel of the supernet.")] = False,
    split: Annotated[SplitName, typer.Option("--split", help="Which questions.")] = SplitName.validation,
    is_json: JsonOption = False,
) -> None:
    """Score submodels of a supernet, or an exported model, on a split.

    Without --submodel and --all, a supernet's full model is scored.

    \b
    Examples:
      bstsearch eval --all
      bstsearch eval --model export/w1of2-d1 --split test
    """
    from bstsearch.data import load_split
    from bstsearch.data.vocabulary import Vocabulary
    from bstsearch.exported import is_exported

    output = Output(is_json)
    read_folder(model)
    if is_exported(model) and (submodel or is_all):
        raise UsageError(f"{model} is an exported folder, which holds one submodel; leave out --submodel, --all")
    scores = _score_exported if is_exported(model) else _score_supernet
    vocabulary = Vocabulary.load(model)
    with output.progress("Loading questions") as bar:
        questions = load_split(vocabulary, split.value)
        results = {}
        for done, total, name, accuracy in scores(model, submodel or [], is_all, questions):
            bar.report("Scoring", done, total)
            results[name] = accuracy
    output.table(COLUMNS, [_row(name, accuracy) for name, accuracy in results.items()])
    output.json({"model": str(model), "split": split.value, "submodels": [_json(*pair) for pair in results.items()]})


COLUMNS = (
    Column("id"),
    Column("accuracy", "%", is_number=True),
    Column("95 % interval", "%", is_number=True),
    Column("correct", is_number=True),
    Column("questions", is_number=True),
)


def _score_supernet(path: Path, names: list[str], is_all: bool, questions: Split) -> Iterator[Any]:
    from bstsearch.adaptive import named
    from bstsearch.evaluation import evaluate as accuracy_of
    from bstsearch.supernet import Supernet

    supernet = Supernet.load(path)
    chosen = [named(read_folder(path), name) for name in names] or [supernet.space.largest]
    submodels = list(supernet.space.grid()) if is_all else chosen
    for done, submodel in enumerate(submodels, start=1):
        yield done, len(submodels), submodel.id, accuracy_of(supernet, submodel, questions)


def _score_exported(path: Path, _: list[str], __: bool, questions: Split) -> Iterator[Any]:
    import torch

    from bstsearch.evaluation import evaluate_model
    from bstsearch.exported import open_session, read_exported

    exported = read_exported(path)
    session = open_session(exported.onnx)

    def model(**inputs: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(session.run(["logits"], {name: array.numpy() for name, array in inputs.items()})[0])

    yield 1, 1, exported.submodel_id, evaluate_model(model, questions)


def _row(name: str, accuracy: Accuracy) -> list[str]:
    low, high = accuracy.interval
    shares = [f"{100 * accuracy.value:.2f}", f"{100 * low:.2f}-{100 * high:.2f}"]
    return [name, *shares, f"{accuracy.correct:,}", f"{accuracy.total:,}"]


def _json(name: str, accuracy: Accuracy) -> dict[str, Any]:
    low, high = accuracy.interval
    return {
        "id": name,
        "accuracy": accuracy.value,
        "accuracy_low": low,
        "accuracy_high": high,
        "correct": accuracy.correct,
        "questions": accuracy.total,
    }
