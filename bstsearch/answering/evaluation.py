"""Submodels of a supernet, or an exported model, scored on a split of their data."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from bstsearch.answering.bundle_folder import BundleFolder, is_bundle, read_bundle
from bstsearch.answering.exported_folder import is_exported, open_session, read_exported
from bstsearch.errors import DeviceError, UsageError
from bstsearch.graphs.onnx_precision import example_rows
from bstsearch.holding import holding
from bstsearch.listener import SILENT, Listener
from bstsearch.model.supernet import Supernet
from bstsearch.model.supernet_folder import DEMO, SupernetFolder, read_folder
from bstsearch.reading import parsing
from bstsearch.score import ACCURACY, Accuracy, Metric, Score
from bstsearch.searching.at_precision import outputs_of, session_model
from bstsearch.space import Precision, Submodel
from bstsearch.space_names import TRAINED
from bstsearch.tasks import open_task, split_for
from bstsearch.tasks.evaluation import BATCH_SIZE, outputs_with
from bstsearch.tasks.task import Split, Task
from bstsearch.writing import as_path, check_writable, write_json

if TYPE_CHECKING:
    import pandas

MOST = 64  # of a larger space, all submodels are more than anybody waits for, or reads


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scored:
    """A submodel's score, and further figures by name, as they are shown."""

    id: str
    score: Score
    details: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """Plain data; `correct` is null where the score is no share of right answers."""
        low, high = self.score.interval
        return {
            "id": self.id,
            "accuracy": self.score.value,
            "accuracy_low": low,
            "accuracy_high": high,
            "correct": self.score.correct if isinstance(self.score, Accuracy) else None,
            "questions": self.score.total,
            "details": dict(self.details),
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The scores of a model's submodels on one split, and what kind of number they are."""

    model: Path
    split: str
    metric: Metric
    submodels: tuple[Scored, ...]

    def to_json(self) -> dict[str, Any]:
        """What `bstsearch eval --json` prints."""
        metric = {} if self.metric == ACCURACY else {"metric": self.metric.to_json()}
        submodels = [one.to_json() for one in self.submodels]
        return {"model": str(self.model), "split": self.split, **metric, "submodels": submodels}

    def to_frame(self) -> pandas.DataFrame:
        """The submodels as a pandas frame by id, with a column for each further figure."""
        import pandas

        rows = [one.to_json() for one in self.submodels]
        return pandas.DataFrame([{**row.pop("details"), **row} for row in rows]).set_index("id")

    def _repr_html_(self) -> str:
        """The frame, as a notebook shows it."""
        return str(self.to_frame().to_html())


def evaluate(
    model: Path | str = DEMO,
    submodels: Sequence[str] = (),
    *,
    space: str = TRAINED,
    is_all: bool = False,
    precisions: Sequence[Precision] = (),
    split: str = "validation",
    data: str | type[Task] | None = None,
    data_dir: Path | str | None = None,
    results: Path | str | None = None,
    listener: Listener = SILENT,
) -> Evaluation:
    """Scores these submodels (by default the largest one) of a supernet, or an exported model, on a split.

    Of a bundle they are those that it holds, by default the most accurate one. With `is_all` they are all of the space,
    or of one with more than `MOST` submodels the uniform ones. Each is scored in each of the `precisions`; without
    them, in the one that its id names. In another one than float32 it is an ONNX file, which ONNX Runtime computes on
    the processor, in int8 one example at a time. The options are those of `bstsearch eval`. With `results` the answers
    of the one submodel are written to that file; a split whose targets are kept back can only be answered so.
    UsageError or InputError where the request cannot be.
    """
    model, data_dir, results = Path(model), as_path(data_dir), as_path(results)
    folder = read_folder(model).part(space, precisions)
    if is_bundle(model):
        chosen = _chosen_members(read_bundle(model), submodels, is_all=is_all)
    else:
        chosen = _chosen(folder, submodels, precisions, is_all=is_all)
    with contextlib.nullcontext() if results is None else holding(results, "--results"):
        _check_request(model, submodels, precisions, results, is_all=is_all)
        task = open_task(model, data, data_dir)
        part = split_for(model, task, split)
        if results is None:
            part.check_scorable()
        scored: list[Scored] = []
        for name, total, outputs in _models(folder, chosen, precisions, part):
            kept = outputs(on_batch=_counting(listener, len(scored) * len(part), total * len(part)))
            if results is not None:
                _write_results(results, part, kept, listener)
                if not part.has_targets:
                    break
            scored.append(Scored(id=name, score=part.score(kept), details=part.details(kept)))
        return Evaluation(model=model, split=split, metric=task.metric, submodels=tuple(scored))


def _write_results(path: Path, part: Split, kept: Tensor, listener: Listener) -> None:
    """Writes the answers, whole or not at all; where that fails, the score of a split that has one is worth more."""
    try:
        write_json(path, list(part.results(kept)))
    except DeviceError as error:
        if not part.has_targets:
            raise
        listener.warning(str(error))
    else:
        listener.note(f"wrote {len(part):,} answers to {path}")


def _check_request(
    model: Path, submodels: Sequence[str], precisions: Sequence[Precision], results: Path | None, *, is_all: bool
) -> None:
    """Passes where the options go together; else UsageError."""
    if is_exported(model) and (submodels or is_all):
        raise UsageError(f"{model} is an exported folder, which holds one submodel; leave out --submodel, --all")
    if is_bundle(model) and precisions:
        raise UsageError(f"{model} is a bundle, whose submodels have a precision each; name some with --submodel")
    if results is not None:
        if is_all or len(submodels) > 1 or len(precisions) > 1:
            raise UsageError("--results holds the answers of one submodel; name one, and leave out --all")
        if os.path.lexists(results):
            raise UsageError(f"{results} exists; give another name with --results")
        check_writable(results)


Outputs = Callable[..., Tensor]  # what a split keeps of a model's outputs; tells `on_batch` how far it is


def _chosen(
    folder: SupernetFolder, names: Sequence[str], precisions: Sequence[Precision], *, is_all: bool
) -> list[Submodel]:
    """The submodels to score, each once; UsageError where the space has none of that name."""
    space = folder.space
    listed = [] if not is_all else list(space) if space.size <= MOST else list(space.grid())
    chosen = [*listed, *map(folder.get_submodel, names)] or [space.largest]
    return list(dict.fromkeys(one.at(each) for one in chosen for each in precisions or (one.precision,)))


def _chosen_members(bundle: BundleFolder, names: Sequence[str], *, is_all: bool) -> list[Submodel]:
    """The submodels of a bundle to score, each once, by default the most accurate one; UsageError for another id."""
    listed = bundle.bundle.submodels if is_all else []
    chosen = [*listed, *map(bundle.get, names)] or [bundle.most_accurate]
    return list(dict.fromkeys(Submodel.from_id(one.id) for one in chosen))


def _models(
    folder: SupernetFolder, submodels: Sequence[Submodel], precisions: Sequence[Precision], split: Split
) -> Iterator[tuple[str, int, Outputs]]:
    """For each model to score: its id, how many there are, and a way to get its outputs."""
    path = folder.path
    if is_bundle(path):
        bundle = read_bundle(path)
        for submodel in submodels:
            file = path / bundle.get(submodel.id).file
            yield submodel.id, len(submodels), _file_outputs(file, submodel.precision, split, path)
        return
    if is_exported(path):
        exported = read_exported(path)
        picked = Submodel.from_id(exported.submodel_id)
        for one in [picked.at(precision) for precision in precisions or (picked.precision,)]:
            file = exported.get_onnx(one.precision)
            yield one.id, max(1, len(precisions)), _file_outputs(file, one.precision, split, path)
        return
    supernet = Supernet.load(path)
    for submodel in submodels:
        yield submodel.id, len(submodels), functools.partial(outputs_of, supernet, submodel, split, where=str(path))


def _file_outputs(file: Path, precision: Precision, split: Split, folder: Path) -> Outputs:
    """A way to get the outputs of an ONNX file in that precision, which lies in `folder`."""
    run, rows = session_model(open_session(file)), example_rows(precision, BATCH_SIZE)

    def model(**inputs: Tensor) -> Tensor:
        with parsing(file):
            return run(**inputs)

    return functools.partial(outputs_with, model, split, batch_size=rows, where=str(folder))


def _counting(listener: Listener, done: int, total: int) -> Callable[[int], None]:
    """Tells the listener how many rows are scored, beginning with `done`, each time it hears of more."""
    listener.progress("scoring", done, total)

    def count(rows: int) -> None:
        nonlocal done
        done += rows
        listener.progress("scoring", done, total)

    return count
