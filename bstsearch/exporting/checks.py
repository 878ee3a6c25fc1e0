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
from bstsearch.holding import scratch
from bstsearch.measuring.driver import Run, Visit
from bstsearch.measuring.estimator import Rounds, Timing
from bstsearch.measuring.rounds import time_in_rounds
from bstsearch.measuring.runner import Runner
from bstsearch.score import Accuracy, Score
from bstsearch.tasks.evaluation import check_finite, count_not_finite
from bstsearch.tasks.task import Split

OLD_SUMS = 1e-7  # of a right answer for each question: what sums in float32 made of tenths, in fronts of version 0.1
FAR_SCORE = 1e-3  # of a score that is no count: what the order of sums may change of it
TOLERANCE = 1e-4  # of float32 logits between torch and ONNX Runtime; they differ by the order of sums only
BATCH_SIZE = 256

Progress = Callable[[str, int, int], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answers:
    """How a file answers held-out questions, beside torch.

    `near_ties` counts questions whose two best logits lie so close that rounding decides between them.
    """

    max_difference: float
    accuracy: Score
    near_ties: int

    def check_same_answers(self, name: str, expected: Score) -> None:
        """Passes where logits agree to rounding and answers are those of the search; else BstsearchError."""
        if not self.max_difference <= TOLERANCE:
            raise BstsearchError(
                f"{name} differs from torch by {self.max_difference:.1e} on held-out inputs (at most "
                f"{TOLERANCE:.0e} is rounding); nothing was written"
            )
        if self.accuracy.total != expected.total:
            raise InputError(
                f"the front was scored on {expected.total} questions, this data set has {self.accuracy.total}; "
                "run 'bstsearch pareto --force' again"
            )
        if not (isinstance(self.accuracy, Accuracy) and isinstance(expected, Accuracy)):
            self._check_same_score(name, expected)
        elif abs(self.accuracy.correct - expected.correct) > self.near_ties + OLD_SUMS * self.accuracy.total:
            raise BstsearchError(
                f"{name} answers {self.accuracy.correct} questions right, the search found {expected.correct} "
                f"({self.near_ties} are close enough for rounding to decide); nothing was written"
            )

    def _check_same_score(self, name: str, expected: Score) -> None:
        if abs(self.accuracy.value - expected.value) > FAR_SCORE * max(1.0, abs(expected.value)):
            raise BstsearchError(
                f"{name} scores {self.accuracy.value:.6g}, the search found {expected.value:.6g}; nothing was written"
            )


def compare_answers(
    files: Mapping[str, Path], model: nn.Module, split: Split, *, progress: Progress | None = None
) -> dict[str, Answers]:
    """The answers of every ONNX file by name on all of `split`, held against those of `model`."""
    sessions = {name: open_session(path) for name, path in files.items()}
    tallies = {name: _Tally() for name in files}
    batches = -(-len(split) // BATCH_SIZE)
    for done, batch in enumerate(split.batches(BATCH_SIZE), start=1):
        feed = {name: tensor.numpy() for name, tensor in batch.inputs.items()}
        with torch.inference_mode():
            expected = model(**batch.inputs)
        check_finite(count_not_finite(expected), len(expected), "the submodel")
        for name, session in sessions.items():
            outputs = torch.from_numpy(session.run(None, feed)[0])
            tallies[name].add(outputs, expected, split.kept(outputs, batch.targets))
        if progress:
            progress("comparing answers", done, batches)
    return {name: tally.answers(split) for name, tally in tallies.items()}


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
        self.max_difference, self.near_ties = 0.0, 0
        self.kept: list[Tensor] = []

    def add(self, outputs: Tensor, expected: Tensor, kept: Tensor) -> None:
        difference = float((outputs - expected).abs().max())
        # Not max(): a NaN must stay.
        self.max_difference = difference if not difference <= self.max_difference else self.max_difference
        self.kept.append(kept)
        if expected.shape[-1] > 1:
            best, second = expected.topk(2).values.unbind(-1)
            self.near_ties += int((best - second < 2 * TOLERANCE).sum())

    def answers(self, split: Split) -> Answers:
        accuracy = split.score(torch.cat(self.kept))
        return Answers(max_difference=self.max_difference, accuracy=accuracy, near_ties=self.near_ties)
