"""What an export wrote, held against what it was made from: logits, answers, milliseconds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bstsearch.answering.exported_folder import open_session
from bstsearch.errors import BstsearchError, InputError
from bstsearch.graphs.onnx_precision import example_rows
from bstsearch.holding import scratch
from bstsearch.measuring.driver import Run, Visit
from bstsearch.measuring.estimator import Rounds, Timing
from bstsearch.measuring.rounds import time_in_rounds
from bstsearch.measuring.runner import Runner
from bstsearch.score import Accuracy, Score
from bstsearch.searching.at_precision import session_model
from bstsearch.space import FLOAT32, Precision
from bstsearch.tasks.evaluation import check_finite, count_not_finite
from bstsearch.tasks.task import Split

OLD_SUMS = 1e-7  # of a right answer for each question: what sums in float32 made of tenths, in fronts of version 0.1
FAR_SCORE = 1e-3  # of a score that is no count: what the order of sums may change of it
TOLERANCE = 1e-4  # of float32 logits between torch and ONNX Runtime; they differ by the order of sums only
FLOAT16_TOLERANCE = 1e-2  # of float16 outputs, as a share of the largest: ten roundings (2^-10) in a row, all one way
FAR_ANSWERS = 2e-3  # of the questions: what int8 and float16 may answer otherwise in another batch
BATCH_SIZE = 256

Progress = Callable[[str, int, int], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answers:
    """How a file answers held-out questions, beside torch.

    `near_ties` counts questions whose two best logits lie so close that rounding decides between them. `largest` is
    the largest output of torch, without its sign.
    """

    max_difference: float
    accuracy: Score
    near_ties: int
    largest: float = 0.0

    def check_outputs(self, name: str, precision: Precision) -> None:
        """Passes where outputs agree with torch's to the rounding of `precision`; else BstsearchError.

        Of int8 nothing can be said: its outputs may lie anywhere, and its score tells what they are worth.
        """
        if precision == "int8":
            return
        limit = TOLERANCE if precision == FLOAT32 else FLOAT16_TOLERANCE * self.largest
        if not self.max_difference <= limit:
            raise BstsearchError(
                f"{name} differs from torch by {self.max_difference:.1e} on held-out inputs (at most "
                f"{limit:.0e} is rounding); nothing was written"
            )

    def check_score(self, name: str, precision: Precision, expected: Score) -> None:
        """Passes where answers are those of the search, made in that precision, too; else BstsearchError."""
        if self.accuracy.total != expected.total:
            raise InputError(
                f"the front was scored on {expected.total} questions, this data set has {self.accuracy.total}; "
                "run 'bstsearch pareto --force' again"
            )
        if not (isinstance(self.accuracy, Accuracy) and isinstance(expected, Accuracy)):
            self._check_same_score(name, expected)
        elif abs(self.accuracy.correct - expected.correct) > self._allowed(precision):
            raise BstsearchError(
                f"{name} answers {self.accuracy.correct} questions right, the search found {expected.correct} "
                f"({self.near_ties} are close enough for rounding to decide); nothing was written"
            )

    def _allowed(self, precision: Precision) -> float:
        """How many answers rounding may change."""
        return self.near_ties + (OLD_SUMS if precision == FLOAT32 else FAR_ANSWERS) * self.accuracy.total

    def _check_same_score(self, name: str, expected: Score) -> None:
        if abs(self.accuracy.value - expected.value) > FAR_SCORE * max(1.0, abs(expected.value)):
            raise BstsearchError(
                f"{name} scores {self.accuracy.value:.6g}, the search found {expected.value:.6g}; nothing was written"
            )


def compare_answers(
    files: Mapping[Precision, Path], model: nn.Module, split: Split, *, progress: Progress | None = None
) -> dict[Precision, Answers]:
    """The answers of every ONNX file by precision on all of `split`, held against those of `model`."""
    runs = {precision: _runner(precision, path) for precision, path in files.items()}
    tallies = {precision: _Tally() for precision in files}
    batches = -(-len(split) // BATCH_SIZE)
    for done, batch in enumerate(split.batches(BATCH_SIZE), start=1):
        with torch.inference_mode():
            expected = model(**batch.inputs)
        check_finite(count_not_finite(expected), len(expected), "the submodel")
        for precision, run in runs.items():
            outputs = run(batch.inputs)
            tallies[precision].add(outputs, expected, split.kept(outputs, batch.targets))
        if progress:
            progress("comparing answers", done, batches)
    return {precision: tally.answers(split) for precision, tally in tallies.items()}


def _runner(precision: Precision, path: Path) -> Callable[[Mapping[str, Tensor]], Tensor]:
    """The outputs of an ONNX file for a batch, as `example_rows` has it."""
    model, rows = session_model(open_session(path)), example_rows(precision, BATCH_SIZE)

    def run(inputs: Mapping[str, Tensor]) -> Tensor:
        parts = zip(*(torch.split(tensor, rows) for tensor in inputs.values()), strict=True)
        return torch.cat([model(**dict(zip(inputs, part, strict=True))) for part in parts])

    return run


def time_files(
    files: Mapping[str, Path], inputs: Mapping[str, Tensor], threads: int, *, progress: Progress | None = None
) -> dict[str, Timing]:
    """The timing of every ONNX file by name on `inputs`, taken as a device profile's rows are."""
    arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in inputs.items()}

    def report(_rounds: Rounds, share: float) -> None:
        if progress:
            progress("timing", round(100 * share), 100)

    with scratch() as folder:
        feed = folder / "inputs.npz"
        np.savez(feed, **arrays)
        runner = Runner(threads, feed)
        runner.open(files)

        def time(visits: Sequence[Visit]) -> list[tuple[Run, ...]]:
            return [tuple(runner.time(visit.name, visit.count)) for visit in visits]

        return time_in_rounds([list(files)], time, on_round=report)


class _Tally:
    """Counts over batches."""

    def __init__(self) -> None:
        self.max_difference, self.near_ties, self.largest = 0.0, 0, 0.0
        self.kept: list[Tensor] = []

    def add(self, outputs: Tensor, expected: Tensor, kept: Tensor) -> None:
        difference = float((outputs - expected).abs().max())
        # Not max(): a NaN must stay.
        self.max_difference = difference if not difference <= self.max_difference else self.max_difference
        self.largest = max(self.largest, float(expected.abs().max()))
        self.kept.append(kept)
        if expected.shape[-1] > 1:
            best, second = expected.topk(2).values.unbind(-1)
            self.near_ties += int((best - second < 2 * TOLERANCE).sum())

    def answers(self, split: Split) -> Answers:
        accuracy = split.score(torch.cat(self.kept))
        return Answers(
            max_difference=self.max_difference, accuracy=accuracy, near_ties=self.near_ties, largest=self.largest
        )
