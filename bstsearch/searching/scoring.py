"""What scores submodels: the supernet on a split of its data, each submodel once, or what earlier searches found."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bstsearch.errors import BstsearchError
from bstsearch.listener import Listener
from bstsearch.score import Metric, Score

if TYPE_CHECKING:
    from bstsearch.model.supernet import Supernet
    from bstsearch.searching.provenance import Provenance
    from bstsearch.space import Submodel
    from bstsearch.tasks.task import Split, Task


class Scorer(Protocol):
    """Scores submodels, all by one metric."""

    @property
    def metric(self) -> Metric:
        """What kind of number its scores are."""

    def load(self) -> None:
        """Reads what scoring takes, so that what is wrong with it is told now."""

    def __call__(self, submodel: Submodel) -> Score:
        """How good the submodel is."""


def make_scorer(
    supernet: Path, split: str, data_dir: Path | None = None, data: str | type[Task] | None = None
) -> Scorer:
    """Scores submodels of the supernet folder, each once; weights and data are read by `load`, or for the first one."""
    return _SupernetScorer(supernet, split, data_dir, data)


class _SupernetScorer:
    def __init__(self, supernet: Path, split: str, data_dir: Path | None, data: str | type[Task] | None) -> None:
        self._path, self._split, self._data_dir, self._data = supernet, split, data_dir, data
        self._scores: dict[Submodel, Score] = {}

    @property
    def metric(self) -> Metric:
        """As `Scorer.metric`."""
        from bstsearch.tasks import read_metric

        return read_metric(self._path, self._data)

    def load(self) -> None:
        """As `Scorer.load`: weights and data."""
        assert self._loaded

    def __call__(self, submodel: Submodel) -> Score:
        """As `Scorer.__call__`."""
        from bstsearch.tasks.evaluation import evaluate

        if submodel not in self._scores:
            supernet, part = self._loaded
            self._scores[submodel] = evaluate(supernet, submodel, part, where=str(self._path))
        return self._scores[submodel]

    @functools.cached_property
    def _loaded(self) -> tuple[Supernet, Split]:
        from bstsearch.model.supernet import Supernet
        from bstsearch.tasks import load_split

        return Supernet.load(self._path), load_split(self._path, self._split, data=self._data, data_dir=self._data_dir)


class KnownScores:
    """Scores submodels, each once whatever the device: what a study in `folders` has scored is taken over, and said.

    `study` is the name of its file.
    """

    def __init__(
        self, score: Scorer, origin: Provenance, folders: Iterable[Path], study: str, listener: Listener
    ) -> None:
        self._score, self._origin, self._folders, self._listener = score, origin, folders, listener
        self._names = (study, f"*/{study}")
        self._is_said = False

    @property
    def metric(self) -> Metric:
        """As `Scorer.metric`."""
        return self._score.metric

    def load(self) -> None:
        """As `Scorer.load`, where no score is known."""
        if not self._known:
            self._score.load()

    def __call__(self, submodel: Submodel) -> Score:
        """As `Scorer.__call__`."""
        known = self.known(submodel)
        return self._score(submodel) if known is None else known

    def known(self, submodel: Submodel) -> Score | None:
        """What an earlier search found; None where none has scored the submodel."""
        known = self._known.get(submodel)
        if known is not None and not self._is_said:
            self._listener.note(
                "accuracies that an earlier search found are taken over: they are the same on any device"
            )
            self._is_said = True
        return known

    @functools.cached_property
    def _known(self) -> dict[Submodel, Score]:
        from bstsearch.searching import study_file

        known: dict[Submodel, Score] = {}
        for path in sorted(place for folder in self._folders for name in self._names for place in folder.glob(name)):
            try:
                origin, objectives, candidates = study_file.read_study(path)
            except BstsearchError:
                continue  # scoring anew is always right
            if self._origin.has_same_scores(origin) and objectives.metric == self.metric:
                known |= {one.submodel: one.accuracy for one in candidates if one.accuracy is not None}
        return known
