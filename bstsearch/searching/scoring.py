"""What scores submodels: the supernet on a split of its data, each submodel once, or what earlier searches found."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bstsearch.errors import BstsearchError
from bstsearch.listener import Listener
from bstsearch.score import Metric, Score

if TYPE_CHECKING:
    from bstsearch.model.supernet import Supernet
    from bstsearch.searching.costs import Objectives
    from bstsearch.searching.pareto import Candidate
    from bstsearch.searching.provenance import Provenance
    from bstsearch.searching.racer import Racer
    from bstsearch.space import Submodel
    from bstsearch.tasks.task import Split, Task

NO_RIVALS: Mapping[str, str] = {}
TEST = "test"  # the part of the data that nothing is chosen by


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """How good a submodel is: its score, on the whole split unless a rival beat it before.

    `rights` hold the value of each row of the whole split as short text; None where the task has no such values, or
    `beaten_by` names the rival.
    """

    score: Score
    rights: str | None = None
    beaten_by: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the score is that on the whole split."""
        return self.beaten_by is None

    def of(self, candidate: Candidate) -> Candidate:
        """`candidate` with what was found of it."""
        if self.is_whole:
            return dataclasses.replace(candidate, accuracy=self.score, rights=self.rights)
        return dataclasses.replace(candidate, partial=self.score, beaten_by=self.beaten_by)


class Scorer(Protocol):
    """Scores submodels, all by one metric."""

    @property
    def metric(self) -> Metric:
        """What kind of number its scores are."""

    def load(self) -> None:
        """Reads what scoring takes, so that what is wrong with it is told now."""

    def score(self, submodel: Submodel, rivals: Mapping[str, str] = NO_RIVALS) -> Outcome:
        """How good the submodel is; it is dropped as soon as one of the rivals is better beyond doubt.

        Rivals are submodels that have a whole score and cost no more, by id, with their `rights`: see
        `racing.find_rivals`.
        """

    def test(self, submodel: Submodel) -> Score | None:
        """The score on the test part; None where that has no targets, or is what submodels are scored on already."""


def make_scorer(
    supernet: Path, split: str, data_dir: Path | None = None, data: str | type[Task] | None = None
) -> Scorer:
    """Scores submodels of the supernet folder, each once; weights and data are read by `load`, or for the first one."""
    return _SupernetScorer(supernet, split, data_dir, data)


class _SupernetScorer:
    def __init__(self, supernet: Path, split: str, data_dir: Path | None, data: str | type[Task] | None) -> None:
        self._path, self._split, self._data_dir, self._data = supernet, split, data_dir, data
        self._outcomes: dict[Submodel, Outcome] = {}
        self._tests: dict[Submodel, Score] = {}

    @property
    def metric(self) -> Metric:
        """As `Scorer.metric`."""
        from bstsearch.tasks import read_metric

        return read_metric(self._path, self._data)

    def load(self) -> None:
        """As `Scorer.load`: weights and data."""
        assert self._racer is not None

    def score(self, submodel: Submodel, rivals: Mapping[str, str] = NO_RIVALS) -> Outcome:
        """As `Scorer.score`."""
        known = self._outcomes.get(submodel)
        if known is None or not known.is_whole:  # who was dropped before may have other rivals now
            self._outcomes[submodel] = known = self._racer.score(submodel, rivals)
        return known

    def test(self, submodel: Submodel) -> Score | None:
        """As `Scorer.test`."""
        if submodel not in self._tests and self._tester is not None:
            self._tests[submodel] = self._tester.score(submodel).score
        return self._tests.get(submodel)

    @functools.cached_property
    def _supernet(self) -> Supernet:
        from bstsearch.model.supernet import Supernet

        return Supernet.load(self._path)

    @functools.cached_property
    def _racer(self) -> Racer:
        return self._on(self._supernet, self._load_split(self._split))

    @functools.cached_property
    def _tester(self) -> Racer | None:
        if self._split == TEST:
            return None
        part = self._load_split(TEST)
        return self._on(self._supernet, part) if part.has_targets else None

    def _load_split(self, name: str) -> Split:
        from bstsearch.tasks import load_split

        return load_split(self._path, name, data=self._data, data_dir=self._data_dir)

    def _on(self, supernet: Supernet, split: Split) -> Racer:
        from bstsearch.searching.racer import Racer

        return Racer(supernet, split, self.metric, str(self._path))


class KnownScores:
    """Scores submodels, each once whatever the device: what earlier searches have scored is taken over, and said.

    Those are the studies in `folders`, in a file of the name `study`, and the `fronts`, which are front files.
    """

    def __init__(
        self,
        score: Scorer,
        origin: Provenance,
        folders: Iterable[Path],
        study: str,
        fronts: Iterable[Path],
        listener: Listener,
    ) -> None:
        self._score, self._origin, self._listener = score, origin, listener
        self._fronts = fronts
        self._studies = [place for folder in folders for name in (study, f"*/{study}") for place in folder.glob(name)]
        self._is_said = False

    @property
    def metric(self) -> Metric:
        """As `Scorer.metric`."""
        return self._score.metric

    def load(self) -> None:
        """As `Scorer.load`, where no score is known."""
        if not self._known:
            self._score.load()

    def score(self, submodel: Submodel, rivals: Mapping[str, str] = NO_RIVALS) -> Outcome:
        """As `Scorer.score`."""
        return self.known(submodel) or self._score.score(submodel, rivals)

    def known(self, submodel: Submodel) -> Outcome | None:
        """What an earlier search found; None where none has scored the submodel."""
        known = self._known.get(submodel)
        if known is None or known.accuracy is None:
            return None
        if not self._is_said:
            self._listener.note(
                "accuracies that an earlier search found are taken over: they are the same on any device"
            )
            self._is_said = True
        return Outcome(score=known.accuracy, rights=known.rights)

    @property
    def earlier(self) -> Iterable[Submodel]:
        """The submodels that earlier searches have scored on the whole split."""
        return self._known

    def test(self, submodel: Submodel) -> Score | None:
        """As `Scorer.test`."""
        known = self._known.get(submodel)
        return (known and known.test) or self._score.test(submodel)

    @functools.cached_property
    def _known(self) -> dict[Submodel, Candidate]:
        known: dict[Submodel, Candidate] = {}
        for origin, objectives, candidates in self._found():
            if self._origin.has_same_scores(origin) and objectives.metric == self.metric:
                known |= {one.submodel: one for one in candidates if one.accuracy is not None}
        return known

    def _found(self) -> Iterator[tuple[Provenance, Objectives, Iterable[Candidate]]]:
        """What earlier searches hold; a file that cannot be read is passed over, since scoring anew is always right."""
        from bstsearch.searching import study_file
        from bstsearch.searching.front_file import read_front

        for path in sorted(self._studies):
            with contextlib.suppress(BstsearchError):
                yield study_file.read_study(path)
        for path in self._fronts:  # which hold scores on the test part, too
            with contextlib.suppress(BstsearchError, OSError):
                front = read_front(path)
                yield front.origin, front.objectives, front.candidates
