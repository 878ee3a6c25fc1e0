"""`bstsearch eval`: accuracy of submodels, or of an exported file, on any split."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bstsearch.cli.options import DataDirOption, FamilyOption, JsonOption, ModelOption, SplitName
from bstsearch.cli.output import Column, Output
from bstsearch.errors import UsageError
from bstsearch.files import refuse_existing, write_json
from bstsearch.model.supernet_folder import DEMO, read_folder
from bstsearch.score import Accuracy

if TYPE_CHECKING:
    from torch import Tensor

    from bstsearch.tasks.split import Split


def evaluate(
    model: ModelOption = DEMO,
    submodel: Annotated[
        list[str] | None, typer.Option("--submodel", metavar="ID", help="Submodel to score; may be given again.")
    ] = None,
    is_all: Annotated[bool, typer.Option("--all", help="Score every submodel of the supernet.")] = False,
    split: Annotated[SplitName, typer.Option("--split", help="Which questions.")] = SplitName.validation,
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

    Without --submodel and --all, a supernet's full model is scored. A split without answers (VQA-v2's
    test part) can only be answered: give --results.

    \b
    Examples:
      bstsearch eval --all
      bstsearch eval --model export/w1of2-d1 --split test
      bstsearch eval --submodel w1of2-d1 --split test --results answers.json
    """
    from bstsearch.answering.exported_folder import is_exported
    from bstsearch.tasks.vocabulary import Vocabulary

    output = Output(is_json)
    read_folder(model)
    names = submodel or []
    if is_exported(model) and (names or is_all):
        raise UsageError(f"{model} is an exported folder, which holds one submodel; leave out --submodel, --all")
    if results is not None:
        if is_all or len(names) > 1:
            raise UsageError("--results holds the answers of one submodel; name one, and leave out --all")
        refuse_existing(results, marker="", is_forced=False)
    vocabulary = Vocabulary.load(model)
    with output.progress("loading questions") as bar:
        questions, predictors = (_of_exported if is_exported(model) else _of_supernet)(
            model, names, is_all, lambda like: _load(vocabulary, split.value, like, data_dir)
        )
        scored = []
        for done, predictor in enumerate(predictors):
            bar.report("scoring", done * len(questions), predictor.of * len(questions))
            predicted = predictor.predict(on_batch=bar.advance)
            if results is not None:
                write_json(results, questions.results(predicted))
                if not questions.has_answers:
                    break
            scored.append(_Scored(predictor.name, questions.score(predicted), dict(questions.details(predicted))))
    if results is not None:
        output.note(f"wrote {len(questions):,} answers to {results}")
    _show(output, scored)
    output.json({"model": str(model), "split": split.value, "submodels": [_json(one) for one in scored]})


COLUMNS = (
    Column("id"),
    Column("accuracy", "%", is_number=True),
    Column("95 % interval", "%", is_number=True),
    Column("correct", is_number=True, rank=3),
    Column("questions", is_number=True, rank=2),
)


@dataclasses.dataclass(frozen=True)
class _Predictor:
    """A named way of answering all questions, one of `of`, which tells after each batch how many it has answered."""

    name: str
    of: int
    predict: Callable[..., Tensor]


@dataclasses.dataclass(frozen=True)
class _Scored:
    name: str
    accuracy: Accuracy
    details: dict[str, float]


Load = Callable[[Any], "Split"]


def _load(vocabulary: Any, split: str, like: Any, folder: Path | None) -> Split:
    from bstsearch.tasks import load_split

    return load_split(vocabulary, split, like=like, folder=folder)


def _of_supernet(path: Path, names: list[str], is_all: bool, load: Load) -> tuple[Split, Iterator[_Predictor]]:
    from bstsearch.answering.choice import named
    from bstsearch.model.supernet import Supernet
    from bstsearch.tasks.evaluation import predict

    supernet = Supernet.load(path)
    chosen = [named(read_folder(path), name) for name in names] or [supernet.space.largest]
    submodels = list(supernet.space.grid()) if is_all else chosen
    questions = load(supernet.family.example_inputs(supernet.config, 1))
    return questions, (
        _Predictor(submodel.id, len(submodels), functools.partial(predict, supernet, submodel, questions))
        for submodel in submodels
    )


def _of_exported(path: Path, _: list[str], __: bool, load: Load) -> tuple[Split, Iterator[_Predictor]]:
    import torch

    from bstsearch.answering.exported_folder import open_session, read_exported
    from bstsearch.model.family import restored
    from bstsearch.tasks.evaluation import predict_with

    exported = read_exported(path)
    session = open_session(exported.onnx)
    family, config = restored(exported.folder.family, exported.folder.config)
    questions = load(family.example_inputs(config, 1))

    def model(**inputs: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(session.run(["logits"], {name: array.numpy() for name, array in inputs.items()})[0])

    return questions, iter([_Predictor(exported.submodel_id, 1, functools.partial(predict_with, model, questions))])


def _show(output: Output, scored: list[_Scored]) -> None:
    if not scored:
        return
    further = list(dict.fromkeys(name for one in scored for name in one.details))
    columns = (*COLUMNS, *(Column(name, "%", is_number=True, rank=1) for name in further))
    output.table(columns, [_row(one, further) for one in scored])


def _row(one: _Scored, further: list[str]) -> list[str | None]:
    accuracy = one.accuracy
    low, high = accuracy.interval
    shares = [f"{100 * accuracy.value:.2f}", f"{100 * low:.2f}-{100 * high:.2f}"]
    details = [f"{one.details[name]:.2f}" if name in one.details else None for name in further]
    return [one.name, *shares, f"{accuracy.correct:,.10g}", f"{accuracy.total:,}", *details]


def _json(one: _Scored) -> dict[str, Any]:
    low, high = one.accuracy.interval
    return {
        "id": one.name,
        "accuracy": one.accuracy.value,
        "accuracy_low": low,
        "accuracy_high": high,
        "correct": one.accuracy.correct,
        "questions": one.accuracy.total,
        "details": one.details,
    }
