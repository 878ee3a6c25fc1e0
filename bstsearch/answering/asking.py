"""A question about an image, answered by an exported folder (no torch) or by a submodel of a supernet."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bstsearch.answering.bundle_folder import BundleFolder, Member, is_bundle, read_bundle
from bstsearch.answering.choice import choose
from bstsearch.answering.exported_folder import ExportedFolder, is_exported, open_session, read_exported
from bstsearch.answering.questions import Inputs, QuestionReader
from bstsearch.errors import InputError, UsageError
from bstsearch.inputs.pictures import open_rgb
from bstsearch.listener import SILENT, Listener
from bstsearch.model.supernet_folder import DEMO, SupernetFolder, read_folder
from bstsearch.profiles.stored import LOCAL
from bstsearch.reading import parsing, shown
from bstsearch.searching.budget import Bound
from bstsearch.searching.pricing import get_profile, make_table
from bstsearch.space import FLOAT32, Submodel
from bstsearch.tasks.vocabulary import Vocabulary

RUNS = 5  # for the time per answer, after one that warms up

Timer = Callable[[], float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reply:
    """Answers with their probabilities, most probable first, and the median time of a forward pass in `runtime`.

    `submodel` is the id of the one that answered.
    """

    submodel: str
    answers: tuple[tuple[str, float], ...]
    time_ms: float
    runtime: str

    def to_json(self) -> dict[str, Any]:
        """What `bstsearch ask --json` prints."""
        answers = [{"answer": answer, "probability": probability} for answer, probability in self.answers]
        return {**dataclasses.asdict(self), "answers": answers}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """A question and the picture it is about, as a model reads them."""

    inputs: Inputs
    vocabulary: Vocabulary


def ask(
    question: str,
    image: Path | str,
    *,
    model: Path | str = DEMO,
    submodel: str | None = None,
    budget_ms: float | str | None = None,
    device: str | None = None,
    profiles: Path | None = None,
    top: int = 3,
    listener: Listener = SILENT,
) -> Reply:
    """The `top` answers to a question about the picture `image`, by an exported folder, a bundle or a supernet `model`.

    A supernet answers with the `submodel` of that id. With `budget_ms` (a number, or a share such as "50%") it answers
    with the most accurate submodel within it, by the profile of `device` (None: of this machine); the listener hears
    which one. Without both, the full model answers. A bundle chooses by the latencies that it holds (`device` None:
    those of its first device), and without both its most accurate submodel answers. UsageError or InputError where the
    request cannot be; InfeasibleBudgetError where no submodel is so fast.
    """
    model = Path(model)
    folder, picture = read_folder(model), Path(image)
    if is_exported(model):
        if submodel is not None or budget_ms is not None:
            raise UsageError(
                f"{model} is an exported folder, which holds one submodel; leave out --submodel, --budget-ms"
            )
        exported = read_exported(model)  # first, so that nothing reads a file that is not the exported one
        return ask_exported(read_question(question, picture, folder), exported, top=top)
    if submodel is not None and budget_ms is not None:
        raise UsageError("--submodel and --budget-ms exclude each other; give one of them")
    bound = None if budget_ms is None else Bound.parse(str(budget_ms), "--budget-ms")
    if is_bundle(model):
        bundle = read_bundle(model)
        member = _member(bundle, submodel, bound, device, listener)
        return ask_bundle(read_question(question, picture, folder), bundle, member, top=top)
    asked = read_question(question, picture, folder)
    if bound is not None:
        chosen = _within(folder, bound, device or LOCAL, profiles, listener)
    else:
        chosen = folder.space.largest if submodel is None else folder.get_submodel(submodel)
    return ask_supernet(asked, model, chosen, top=top)


def _member(
    bundle: BundleFolder, name: str | None, bound: Bound | None, device: str | None, listener: Listener
) -> Member:
    """The submodel of a bundle that was asked for; of one chosen by a budget is told which it is."""
    if bound is None:
        return bundle.most_accurate if name is None else bundle.get(name)
    chosen, device = bundle.choose(bound, device)
    listener.note(f"took {chosen.id}: {chosen.latencies[device].ms:.3g} ms on {device}")
    return chosen


def _within(folder: SupernetFolder, bound: Bound, device: str, profiles: Path | None, listener: Listener) -> Submodel:
    """The most accurate submodel within that latency on the device, which is told."""
    _, profile = get_profile(folder, device, profiles)
    chosen, latency = choose(folder, make_table(folder, profile), bound)
    listener.note(f"took {chosen.id}: {latency} on {device} with {profile.runtime.name}")
    return chosen


def read_question(text: str, image: Path, folder: SupernetFolder) -> Question:
    """The model inputs; UsageError for an empty question, InputError for unknown words or no image."""
    if not text.strip():
        raise UsageError('the question is empty; write one such as "what color is the circle?"')
    reader = QuestionReader.of(folder)
    if reader is None:
        raise InputError(f"{folder.path} reads no pictures; it cannot be asked about an image file")
    return Question(inputs=reader.inputs(text, open_rgb(image)), vocabulary=reader.vocabulary)


def ask_exported(question: Question, folder: ExportedFolder, *, top: int, timer: Timer = time.perf_counter) -> Reply:
    """What the exported ONNX file answers, in the precision that it was picked in."""
    return _ask_file(question, folder.onnx, folder.submodel_id, folder.threads, top, timer)


def ask_bundle(
    question: Question, bundle: BundleFolder, member: Member, *, top: int, timer: Timer = time.perf_counter
) -> Reply:
    """What that submodel of a bundle answers."""
    return _ask_file(question, bundle.path / member.file, member.id, bundle.bundle.threads, top, timer)


def _ask_file(question: Question, file: Path, name: str, threads: int, top: int, timer: Timer) -> Reply:
    session = open_session(file, threads=threads)
    with parsing(file):
        answers, time_ms = _answer(question, lambda: session.run(None, question.inputs)[0], top, timer)
    return Reply(submodel=name, answers=answers, time_ms=time_ms, runtime="ONNX Runtime")


def ask_supernet(
    question: Question, path: Path, submodel: Submodel, *, top: int, timer: Timer = time.perf_counter
) -> Reply:
    """What `submodel` answers, computing with slices of the weights of the supernet at `path`.

    In another precision than float32 it is an ONNX file for the moment.
    """
    import torch

    from bstsearch.model.supernet import Supernet
    from bstsearch.searching.at_precision import model_of

    supernet = Supernet.load(path)
    inputs = {name: torch.tensor(array) for name, array in question.inputs.items()}
    with parsing(path), model_of(supernet, submodel) as model, torch.inference_mode():
        answers, time_ms = _answer(question, lambda: model(**inputs).numpy(), top, timer)
    runtime = "PyTorch" if submodel.precision == FLOAT32 else "ONNX Runtime"
    return Reply(submodel=submodel.id, answers=answers, time_ms=time_ms, runtime=runtime)


def _answer(
    question: Question, run: Callable[[], NDArray[Any]], top: int, timer: Timer
) -> tuple[tuple[tuple[str, float], ...], float]:
    answers = best_answers(run()[0], question.vocabulary, top)
    return answers, statistics.median(_milliseconds(run, timer) for _ in range(RUNS))


def best_answers(logits: NDArray[Any], vocabulary: Vocabulary, top: int) -> tuple[tuple[str, float], ...]:
    """The `top` answers with their probabilities, most probable first; InputError where the logits are none of them."""
    known = vocabulary.answers
    if logits.shape != (len(known),) or not np.isfinite(logits).all():
        raise InputError(f"its outputs are {shown(logits)}; expected a finite number for each of {len(known)} answers")
    weights = np.exp(logits.astype(np.float64) - logits.max())
    shares = weights / weights.sum()
    order = np.argsort(-shares, kind="stable")[:top]
    return tuple((known[index], float(shares[index])) for index in order)


def _milliseconds(run: Callable[[], object], timer: Timer) -> float:
    start = timer()
    run()
    return 1000 * (timer() - start)
