"""A question about an image, answered by an exported folder (no torch) or by a submodel of a supernet."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bstsearch.answering.exported_folder import PREPROCESSOR, ExportedFolder, open_session
from bstsearch.errors import InputError, UsageError
from bstsearch.files import read_json
from bstsearch.inputs.pictures import PictureReader
from bstsearch.model.supernet_folder import SupernetFolder
from bstsearch.space import Submodel
from bstsearch.tasks.vocabulary import Vocabulary

RUNS = 5  # for the time per answer, after one that warms up

Inputs = Mapping[str, NDArray[Any]]
Timer = Callable[[], float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reply:
    """Answers with their probabilities, most probable first, and the median time of a forward pass in `runtime`."""

    answers: tuple[tuple[str, float], ...]
    time_ms: float
    runtime: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """A question and the picture it is about, as a model reads them."""

    inputs: Inputs
    vocabulary: Vocabulary


def read_question(text: str, image: Path, folder: SupernetFolder) -> Question:
    """The model inputs; UsageError for an empty question, InputError for unknown words or no image."""
    if not text.strip():
        raise UsageError('the question is empty; write one such as "what color is the circle?"')
    picture = picture_reader(folder)
    if picture is None:
        raise InputError(f"{folder.path} reads no pictures; it cannot be asked about an image file")
    pixels, vocabulary = picture.read(image), Vocabulary.load(folder.path)
    inputs: Inputs = {"question": vocabulary.encode(text)[None], picture.input: pixels[None]}
    return Question(inputs=inputs, vocabulary=vocabulary)


def picture_reader(folder: SupernetFolder) -> PictureReader | None:
    """How the folder's model reads pictures; None where it reads none.

    An exported folder says it itself. Other folders ask the family, which loads torch.
    """
    if (path := folder.path / PREPROCESSOR).is_file():
        data = read_json(path, "preprocessor").get("picture")
        return PictureReader.from_json(data) if data else None
    from bstsearch.model.family import restored

    family, config = restored(folder.family, folder.config)
    return family.reader(config).picture


def ask_exported(question: Question, folder: ExportedFolder, *, top: int, timer: Timer = time.perf_counter) -> Reply:
    """What the exported float32 ONNX file answers."""
    session = open_session(folder.onnx, threads=folder.threads)
    answers, time_ms = _answer(question, lambda: session.run(None, question.inputs)[0], top, timer)
    return Reply(answers=answers, time_ms=time_ms, runtime="ONNX Runtime")


def ask_supernet(
    question: Question, path: Path, submodel: Submodel, *, top: int, timer: Timer = time.perf_counter
) -> Reply:
    """What `submodel` answers, computing with slices of the weights of the supernet at `path`."""
    import torch

    from bstsearch.model.supernet import Supernet

    supernet = Supernet.load(path)
    inputs = {name: torch.tensor(array) for name, array in question.inputs.items()}
    with torch.inference_mode(), supernet.bind(submodel) as model:
        answers, time_ms = _answer(question, lambda: model(**inputs).numpy(), top, timer)
    return Reply(answers=answers, time_ms=time_ms, runtime="PyTorch")


def _answer(
    question: Question, run: Callable[[], NDArray[Any]], top: int, timer: Timer
) -> tuple[tuple[tuple[str, float], ...], float]:
    logits = run()[0].astype(np.float64)
    weights = np.exp(logits - logits.max())
    shares = weights / weights.sum()
    order = np.argsort(-shares, kind="stable")[:top]
    answers = tuple((question.vocabulary.answers[index], float(shares[index])) for index in order)
    return answers, statistics.median(_milliseconds(run, timer) for _ in range(RUNS))


def _milliseconds(run: Callable[[], object], timer: Timer) -> float:
    start = timer()
    run()
    return 1000 * (timer() - start)
