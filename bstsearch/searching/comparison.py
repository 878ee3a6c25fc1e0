"""Several fronts over each other: what each gets for its cost, which leads where, one hypervolume (no torch)."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bstsearch.errors import BstsearchError, InputError, UsageError
from bstsearch.reading import shown
from bstsearch.searching.apart import is_apart
from bstsearch.searching.costs import SCORE, Objectives
from bstsearch.searching.front_file import NAME, FrontFile, read_front
from bstsearch.searching.pareto import Candidate, share_of_box, worst_and_best
from bstsearch.space_names import size_text


@dataclass(frozen=True, kw_only=True)
class Level:
    """A value of the first cost at which a front gets better, and the best row for it of each front (None: none yet).

    `leader` is the index of the front with the best of them, `is_apart` whether that is significantly better than all
    others.
    """

    cost: float
    best: tuple[Candidate | None, ...]
    leader: int
    is_apart: bool


@dataclass(frozen=True, kw_only=True)
class Lead:
    """The front that leads from a value of the first cost on, and whether it somewhere does so beyond doubt."""

    name: str
    begin: float
    is_apart: bool


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Fronts that trade the same, by their names here, and the paths that they were read from, in the same order."""

    files: Mapping[str, FrontFile]
    paths: tuple[Path, ...]

    @classmethod
    def of(cls, files: Mapping[Path, FrontFile]) -> Comparison:
        """These fronts, by path, under names that tell them apart."""
        return cls(files=dict(zip(names(files), files.values(), strict=True)), paths=tuple(files))

    @property
    def by_path(self) -> dict[Path, FrontFile]:
        """The fronts by their paths."""
        return dict(zip(self.paths, self.files.values(), strict=True))

    @property
    def objectives(self) -> Objectives:
        """What all of them trade."""
        return next(iter(self.files.values())).objectives

    @property
    def has_same_scores(self) -> bool:
        """Whether a submodel has one score in all of them: they are of one supernet, on devices of their own."""
        first, *others = [file.origin for file in self.files.values()]
        devices = {str(file.origin.device["name"]) for file in self.files.values()}
        return all(first.has_same_scores(other) for other in others) and len(devices) == len(self.files)

    @cached_property
    def reference(self) -> dict[str, float]:
        """The worst corner of the box of all their trade-offs, by name: the worst score at the costliest full model."""
        worst, _ = worst_and_best(self._rows, self.objectives)
        fulls = [file.full for file in self.files.values()]
        return {SCORE: worst, **{cost.name: max(cost.of(one).value for one in fulls) for cost in self.objectives.costs}}

    @cached_property
    def hypervolumes(self) -> dict[str, float]:
        """How much of that one box each front dominates, between 0 and 1, by name. Loads numpy."""
        ends = worst_and_best(self._rows, self.objectives)
        limits = [self.reference[cost.name] for cost in self.objectives.costs]
        return {name: share_of_box(file.front, limits, ends, self.objectives) for name, file in self.files.items()}

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """All values of the first cost at which some front gets better, least first."""
        return tuple(find_levels([file.front for file in self.files.values()], self.objectives))

    @property
    def leads(self) -> tuple[Lead, ...]:
        """Which front leads from where; where one follows another, they cross."""
        names, runs = list(self.files), itertools.groupby(self.levels, key=lambda level: level.leader)
        found = []
        for leader, run in runs:
            first, *rest = run
            is_apart = any(level.is_apart for level in (first, *rest))
            found.append(Lead(name=names[leader], begin=first.cost, is_apart=is_apart))
        return tuple(found)

    @property
    def _rows(self) -> list[Candidate]:
        return [one for file in self.files.values() for one in file.front]

    def to_json(self) -> dict[str, Any]:
        """Plain data: the front files by name, and what they are beside each other."""
        return {
            "fronts": {name: file.to_json() for name, file in self.files.items()},
            "paths": dict(zip(self.files, map(str, self.paths), strict=True)),
            "hypervolumes": {"values": self.hypervolumes, "reference": self.reference},
            "leads": [{"from": lead.begin, "front": lead.name, "is_apart": lead.is_apart} for lead in self.leads],
            "on_all_fronts": list(on_all_fronts(list(self.files.values()))) if self.has_same_scores else None,
        }


def read_runs(runs: Iterable[Path]) -> dict[Path, FrontFile]:
    """The front files at `runs`, or in these folders, each once; InputError says which is missing or malformed."""
    paths = {path.resolve(): path for path in (run if run.suffix == ".json" else run / NAME for run in runs)}
    if len(paths) < 2:
        raise UsageError("--compare lays fronts over each other; give two or more, as folders or front.json files")
    return {path: read_front(path) for path in paths.values()}


def compare(files: Mapping[Path, FrontFile]) -> Comparison:
    """These fronts, by path, beside each other; InputError where one has other objectives, metric or data."""
    (first, one), *others = files.items()
    for path, other in others:
        if differences := list(_differences(one, other)):
            raise InputError(f"{path} cannot be compared with {first}: {', '.join(differences)}; leave one of them out")
    return Comparison.of(files)


def names(files: Mapping[Path, FrontFile]) -> list[str]:
    """The fewest of device, supernet and number of submodels that tell these fronts apart; else their paths."""
    kinds = list(zip(*map(_facets, files.values()), strict=True))
    for count in range(1, len(kinds) + 1):
        for some in itertools.combinations(kinds, count):
            found = [", ".join(words) for words in zip(*some, strict=True)]
            if len(set(found)) == len(files):
                return found
    return [str(path.parent if path.name == NAME else path) for path in files]


def find_levels(fronts: Sequence[Sequence[Candidate]], objectives: Objectives) -> Iterator[Level]:
    """The levels of fronts that are ordered by the first cost. Of equals the front leads that led before."""
    loss, cost = objectives.metric.loss, objectives.first
    best: list[Candidate | None] = [None] * len(fronts)
    leader = -1
    for level in sorted({cost.of(one).value for front in fronts for one in front}):
        before = list(best)
        for index, front in enumerate(fronts):
            for one in front:
                found = best[index]
                if cost.of(one).value == level and (found is None or loss(one.score) < loss(found.score)):
                    best[index] = one
        if best == before:
            continue
        there = {index: one for index, one in enumerate(best) if one is not None}
        leader = min(there, key=lambda index: (loss(there[index].score), index != leader))
        others = [one for index, one in there.items() if index != leader]
        is_clear = all(is_apart(there[leader], one) for one in others)
        yield Level(cost=level, best=tuple(best), leader=leader, is_apart=is_clear)


def on_all_fronts(files: Sequence[FrontFile]) -> tuple[str, ...]:
    """The ids that every front has, in the order of the first one's."""
    return tuple(one.id for one in files[0].front if all(file.is_on_front(one.id) for file in files))


def _facets(file: FrontFile) -> tuple[str, str, str]:
    origin = file.origin
    return str(origin.device["name"]), Path(origin.supernet["path"]).name, f"{size_text(origin.space.size)} submodels"


def _differences(one: FrontFile, other: FrontFile) -> Iterator[str]:
    """Why the second front's scores say nothing beside the first one's."""
    if one.objectives.metric != other.objectives.metric:
        yield f"its metric is {other.objectives.metric.title}, not {one.objectives.metric.title}"
    if one.objectives.keys != other.objectives.keys:
        yield f"it trades {other.objectives}, not {one.objectives}"
    if one.origin.split != other.origin.split:
        yield f"its split is {shown(other.origin.split)}, not {shown(one.origin.split)}"
    data, counts = (_data(one), _data(other)), (_examples(one), _examples(other))
    if None not in data and data[0] != data[1]:
        yield f"its data set is {shown(data[1])}, not {shown(data[0])}"
    elif counts[0] != counts[1]:
        yield f"it was scored on {counts[1]:,} examples, not {counts[0]:,}"


def _examples(file: FrontFile) -> int:
    assert file.recommended.accuracy is not None
    return file.recommended.accuracy.total


def _data(file: FrontFile) -> str | None:
    """The name of the data set that a front was scored on; None where its supernet is not there to tell."""
    from bstsearch.tasks import trained_for

    if file.origin.data_set is None:
        with contextlib.suppress(BstsearchError, OSError):
            return trained_for(Path(file.origin.supernet["path"]))
    return file.origin.data_set
