"""A supernet and a split on which its submodels are scored, part after part, until one is beaten."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping

import torch
from torch import Tensor

from bstsearch.graphs.onnx_precision import example_rows
from bstsearch.model.supernet import Supernet
from bstsearch.score import PERCENT, Accuracy, Metric, Score, Value
from bstsearch.searching.at_precision import Model, model_of
from bstsearch.searching.racing import Race, Values, order, part_ends, write_rights
from bstsearch.searching.scoring import NO_RIVALS, Outcome
from bstsearch.space import FLOAT32, Submodel
from bstsearch.tasks.evaluation import BATCH_SIZE, Kept
from bstsearch.tasks.prepared import PreparedSplit, placed, row_values
from bstsearch.tasks.task import Split


class Racer:
    """Scores submodels; `where` is what errors call the supernet."""

    def __init__(self, supernet: Supernet, split: Split, metric: Metric, where: str = "the supernet") -> None:
        self._supernet, self._split, self._metric, self._where = supernet, split, metric, where

    def score(self, submodel: Submodel, rivals: Mapping[str, str] = NO_RIVALS) -> Outcome:
        """As `Scorer.score`."""
        self._split.check_scorable()
        race = Race.of(rivals, len(self._split), self._metric)
        kept = Kept(self._split, f"{self._where}, submodel {submodel.id}")
        parts = self._prepared.rows
        with model_of(self._supernet, submodel) as model:
            for part in range(len(parts)):
                self._run(submodel, model, part, kept)
                if beaten := self._beaten(race, kept, torch.cat(parts[: part + 1])):
                    return beaten
        return self._whole(placed(kept.all(), torch.cat(parts), len(self._split)))

    def _run(self, submodel: Submodel, model: Model, part: int, kept: Kept) -> None:
        if submodel.precision == FLOAT32:
            self._prepared.run(model, part, kept)
        else:
            self._prepared.run_whole(model, part, kept, example_rows(submodel.precision, BATCH_SIZE))

    def _beaten(self, race: Race, kept: Kept, rows: Tensor) -> Outcome | None:
        """The score on these rows where a rival is better beyond doubt, else None; None where they are all rows."""
        if not race.rivals or kept.broken or len(rows) == len(self._split):
            return None
        values = row_values(self._split, placed(kept.so_far(), rows, len(self._split)))
        if values is None:
            return None
        looked_at = rows.numpy()
        name = race.winner(values[looked_at], looked_at)
        return None if name is None else Outcome(score=self._partial(values[looked_at]), beaten_by=name)

    def _partial(self, values: Values) -> Score:
        """The score on some rows, from their values."""
        if self._metric.unit == PERCENT and values.min() >= 0 and values.max() <= 1:
            return Accuracy.of(values.tolist())
        return Value.mean(values.tolist())

    def _whole(self, kept: Tensor) -> Outcome:
        """The score on all rows, with their values where it is the mean of them: a split's own score may be another."""
        score, values = self._split.score(kept), row_values(self._split, kept)
        if values is None or not math.isclose(values.mean(), score.value, rel_tol=1e-6, abs_tol=1e-9):
            return Outcome(score=score)
        return Outcome(score=score, rights=write_rights(values))

    @functools.cached_property
    def _prepared(self) -> PreparedSplit:
        rows, ends = torch.from_numpy(order(len(self._split))), part_ends(len(self._split))
        return PreparedSplit(self._supernet, self._split, rows.tensor_split(ends[:-1]), where=self._where)
