"""front.json: the scored submodels of a search, the front within a budget, the recommended row (no torch)."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import html
import itertools
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from bstsearch import __version__
from bstsearch.errors import InputError
from bstsearch.model.stack_shape import StackShape
from bstsearch.reading import Finite, Line, Whole, checked, parsing, read_format, shown
from bstsearch.score import Score
from bstsearch.searching.apart import find_not_apart
from bstsearch.searching.budget import Budget
from bstsearch.searching.costs import DEFAULT, Objectives
from bstsearch.searching.floor import check_reached, keeps_to
from bstsearch.searching.pareto import Candidate, Front, Written, find_front, hypervolume, recommend, reference, rule
from bstsearch.searching.provenance import Provenance
from bstsearch.space import Submodel
from bstsearch.writing import write_json

if TYPE_CHECKING:
    import pandas

FORMAT = 1
NAME = "front.json"
RECOMMENDED = "recommended"  # in place of a row number


@dataclass(frozen=True, kw_only=True)
class FrontFile:
    """What front.json holds.

    `candidates` are all scored submodels and, unscored where nothing admitted them, the smallest, middle and largest
    one (of a small space: all there are) and the full model. `searched` is the budget under which the search ran, and
    `aimed_at` the objectives for which; of that budget `is_exact` says that every submodel within it was scored, or
    beaten by one that costs no more.
    `searched_on` names the device for which it ran, where that was another one. `budget`, `objectives` and `floor` (the
    worst score that is good enough; None: any) are those asked for now, and `front`, its `hypervolume` and
    `recommended` what they leave.
    `stacks` tell which layers a submodel keeps; files of older versions have none. `not_apart` are the neighbours on
    the front, by their ids, whose scores differ by no more than chance makes likely.
    """

    origin: Provenance
    sampler: str
    is_exact: bool
    trials: int
    searched: Budget
    candidates: tuple[Candidate, ...]
    budget: Budget
    front: Front
    recommended: Candidate
    hypervolume: float
    created: str
    objectives: Objectives = DEFAULT
    aimed_at: Objectives = DEFAULT
    stacks: tuple[StackShape, ...] = ()
    not_apart: tuple[tuple[str, str], ...] = ()
    floor: float | None = None
    searched_on: str | None = None

    @classmethod
    def solve(
        cls,
        candidates: Sequence[Candidate],
        budget: Budget,
        *,
        origin: Provenance,
        sampler: str,
        is_exact: bool,
        trials: int,
        searched: Budget,
        objectives: Objectives = DEFAULT,
        aimed_at: Objectives | None = None,
        stacks: tuple[StackShape, ...] = (),
        floor: float | None = None,
        searched_on: str | None = None,
    ) -> FrontFile:
        """The front of the scored `candidates` within `budget`, made now; `aimed_at` is what was searched for, if else.

        InfeasibleBudgetError where none of them is as good as `floor`. Loads numpy.
        """
        within = [candidate for candidate in candidates if budget.admits(candidate)]
        check_reached(floor, within, budget, objectives)
        front = find_front((one for one in within if keeps_to(floor, one, objectives.metric)), objectives)
        full = next(candidate for candidate in candidates if candidate.submodel == Submodel())
        return cls(
            origin=origin,
            sampler=sampler,
            is_exact=is_exact,
            trials=trials,
            searched=searched,
            candidates=tuple(candidates),
            budget=budget,
            front=front,
            recommended=recommend(front, objectives, has_budget=bool(budget), floor=floor),
            hypervolume=hypervolume(front, full, objectives),
            created=_now(),
            objectives=objectives,
            aimed_at=aimed_at or objectives,
            stacks=stacks,
            not_apart=find_not_apart(itertools.pairwise(front)),
            floor=floor,
            searched_on=searched_on,
        )

    def tested(self, scores: Mapping[str, Score]) -> FrontFile:
        """The same front with these scores on the test part, by id."""
        by_id = {one.id: dataclasses.replace(one, test=scores.get(one.id, one.test)) for one in self.candidates}
        return dataclasses.replace(
            self,
            candidates=tuple(by_id.values()),
            front=tuple(by_id[one.id] for one in self.front),
            recommended=by_id[self.recommended.id],
        )

    @property
    def has_tests(self) -> bool:
        """Whether a row of the front has a score on the test part."""
        return any(one.test is not None for one in self.front)

    @property
    def apart(self) -> tuple[bool, ...]:
        """For each row whether its score is significantly apart from that of the row before; the first one is."""
        later = {after for _, after in self.not_apart}
        return tuple(one.id not in later for one in self.front)

    def resolve(self, budget: Budget, objectives: Objectives | None = None, floor: float | None = None) -> FrontFile:
        """The same scores, asked for another budget, other objectives (None: the same) or another floor (None: none).

        InfeasibleBudgetError where none of them is as good as `floor`.
        """
        objectives = objectives or self.objectives
        if (budget, objectives, floor) == (self.budget, self.objectives, self.floor):
            return dataclasses.replace(self, created=_now())
        names = ("origin", "sampler", "is_exact", "trials", "searched", "aimed_at", "stacks", "searched_on")
        fields = {name: getattr(self, name) for name in names}
        return FrontFile.solve(self.candidates, budget, objectives=objectives, floor=floor, **fields)

    def answers(self, budget: Budget, trials: int) -> bool:
        """Whether nothing is left to score for `budget` and that many trials."""
        inside = [candidate for candidate in self.candidates if candidate.submodel in self.origin.space]
        lacks_some = any(budget.admits(one) and one.found is None for one in inside)
        if len(inside) == self.origin.space.size and not lacks_some:
            return True
        return self.searched.covers(budget) and ((self.is_exact and not lacks_some) or self.trials >= trials)

    def get(self, submodel_id: str) -> Candidate:
        """The candidate of that id, which the file holds."""
        return next(candidate for candidate in self.candidates if candidate.id == submodel_id)

    @property
    def full(self) -> Candidate:
        """The full model, which may be outside the space; then it has no score."""
        return self.get(Submodel().id)

    @property
    def corners(self) -> tuple[Candidate, Candidate, Candidate]:
        """The smallest, the middle and the largest submodel."""
        space = self.origin.space
        return self.get(space.smallest.id), self.get(space.middle.id), self.get(space.largest.id)

    def is_on_front(self, submodel_id: str) -> bool:
        """Whether a row of the front has that id."""
        return any(one.id == submodel_id for one in self.front)

    def admits(self, one: Candidate) -> bool:
        """Whether the scored candidate is within the budget and as good as was asked for."""
        return self.budget.admits(one) and keeps_to(self.floor, one, self.objectives.metric)

    @property
    def asked(self) -> str:
        """What the rows keep to, in words; empty where nothing was asked of them."""
        metric = self.objectives.metric
        within = f"within {self.budget}" if self.budget else ""
        floor = "" if self.floor is None else f"{metric.name} {metric.bound(self.floor)}"
        return ", ".join(filter(None, [within, floor]))

    @property
    def rule(self) -> str:
        """How the recommended row was chosen, and where its interval does not keep to the floor how far it reaches."""
        words, metric = rule(self.objectives, has_budget=bool(self.budget), floor=self.floor), self.objectives.metric
        end = max(self.recommended.interval, key=metric.loss)
        if self.floor is None or metric.loss(end) <= metric.loss(self.floor):
            return words
        return f"{words} (its 95 % interval reaches {metric.words(end)})"

    def pick(self, name: str) -> Candidate:
        """The candidate named by a row of the front, counted from 1, by id, or as the recommended one.

        InputError lists the choices.
        """
        if name == RECOMMENDED:
            return self.recommended
        if name.isdecimal():
            if 1 <= int(name) <= len(self.front):
                return self.front[int(name) - 1]
            raise InputError(f"the front has rows 1 to {len(self.front)}, no row {name}")
        scored = {candidate.id: candidate for candidate in self.candidates if candidate.accuracy is not None}
        if name not in scored:
            ids = ", ".join(candidate.id for candidate in self.front)
            raise InputError(f"the front has no submodel {shown(name)}; its ids: {ids}; 'bstsearch pareto' shows them")
        return scored[name]

    def to_frame(self) -> pandas.DataFrame:
        """All candidates as a pandas frame by id, with their rows on the front; what was not scored has no accuracy."""
        import pandas

        rows = {one.id: number for number, one in enumerate(self.front, start=1)}
        frame = pandas.DataFrame([one.row() for one in self.candidates]).set_index("id")
        frame.insert(0, "row", [rows.get(name) for name in frame.index])
        frame["row"] = frame["row"].astype("Int64")
        frame["is_recommended"] = frame.index == self.recommended.id
        return frame

    def _repr_html_(self) -> str:
        """The front as a notebook shows it."""
        objectives = self.objectives
        score = f"{objectives.metric.name}, {objectives.metric.unit}".removesuffix(", ")
        heads = ("row", "id", score, *(cost.caption for cost in objectives.costs))
        rows = [
            (
                f"* {number}" if one == self.recommended else number,
                one.id,
                objectives.score_text(one),
                *(cost.text(one) for cost in objectives.costs),
            )
            for number, one in enumerate(self.front, start=1)
        ]
        title = f"Pareto front on {self.origin.device['name']}; * is {self.rule}"
        lines = [_html_row("th", heads), *(_html_row("td", row) for row in rows)]
        return f"<table><caption>{html.escape(title)}</caption>{''.join(lines)}</table>"

    def to_json(self) -> dict[str, Any]:
        """Plain data, derived numbers included; `from_json` reads it back."""
        return {
            "format": FORMAT,
            "created": self.created,
            "bstsearch": __version__,
            **self.origin.to_json(),
            "stacks": msgspec.to_builtins(self.stacks),
            "sampler": self.sampler,
            "is_exact": self.is_exact,
            "trials": self.trials,
            "searched": self.searched.to_json(),
            "searched_on": self.searched_on,
            "budget": self.budget.to_json(),
            "min_accuracy": self.floor,
            **self.objectives.to_json(),
            "aimed_at": list(self.aimed_at.keys),
            "hypervolume": {
                "value": self.hypervolume,
                "reference": reference(self.front, self.full, self.objectives),
            },
            "candidates": [candidate.to_json() for candidate in self.candidates],
            "front": [candidate.id for candidate in self.front],
            "not_apart": [list(pair) for pair in self.not_apart],
            "recommended": self.recommended.id,
            "rule": self.rule,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FrontFile:
        """The file written by `to_json`, its format aside; InputError says what is missing or malformed."""
        found = checked(data, _Written, "front")
        candidates = {one.id: one.candidate for one in found.candidates}
        origin, objectives = Provenance.from_json(data), Objectives.from_json(data)
        _check_complete(found, candidates, origin)
        front = tuple(candidates[name] for name in found.front)
        not_apart = find_not_apart(itertools.pairwise(front)) if found.not_apart is None else found.not_apart
        return cls(
            origin=origin,
            sampler=found.sampler,
            is_exact=found.is_exact,
            trials=found.trials,
            searched=Budget.from_json(found.searched),
            candidates=tuple(candidates.values()),
            budget=Budget.from_json(found.budget),
            front=front,
            recommended=candidates[found.recommended],
            hypervolume=found.hypervolume.value,
            created=found.created,
            objectives=objectives,
            aimed_at=Objectives.from_json({**data, "objectives": found.aimed_at or objectives.keys}),
            stacks=found.stacks,
            not_apart=not_apart,
            floor=found.min_accuracy,
            searched_on=found.searched_on,
        )


class _Hypervolume(msgspec.Struct):
    value: Annotated[float, Meta(ge=0, le=1 + 1e-9)]


class _Written(msgspec.Struct):
    """A front as plain data; what it rests on and trades is read elsewhere."""

    created: Line
    sampler: Line
    is_exact: bool
    trials: Whole
    searched: dict[str, Any]
    candidates: list[Written]
    budget: dict[str, Any]
    front: list[str]
    recommended: str
    hypervolume: _Hypervolume
    stacks: tuple[StackShape, ...] = ()
    aimed_at: tuple[str, ...] = ()
    not_apart: tuple[tuple[str, str], ...] | None = None
    min_accuracy: Finite | None = None
    searched_on: Line | None = None


def read_front(path: Path) -> FrontFile:
    """The front file at `path`; InputError where it is missing, malformed or of another format version."""
    if not path.exists():
        raise InputError(f"{path} does not exist; 'bstsearch pareto --out {shlex.quote(str(path.parent))}' makes one")
    try:
        with parsing(path):
            return FrontFile.from_json(read_format(path, dict[str, Any], FORMAT))
    except InputError as error:
        raise InputError(f"{error}; 'bstsearch pareto --force' makes it anew") from error


def write_front(file: FrontFile, path: Path) -> None:
    """Replaces the front file at `path`."""
    write_json(path, file.to_json())


def _html_row(tag: str, cells: Iterable[object]) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(str(cell))}</{tag}>' for cell in cells)}</tr>"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _check_complete(found: _Written, candidates: Mapping[str, Candidate], origin: Provenance) -> None:
    space, rows = origin.space, [*found.front, found.recommended]
    for what, names in (("candidates", [one.id for one in found.candidates]), ("front", found.front)):
        if len(set(names)) < len(names):
            twice = collections.Counter(names).most_common(1)[0][0]
            raise InputError(f"{what} has {shown(twice)} twice")
    if found.recommended not in found.front:
        raise InputError("front holds no row of 'recommended'")
    needed = (space.smallest, space.middle, space.largest, Submodel())
    if lost := [name for name in (*rows, *(one.id for one in needed)) if name not in candidates]:
        raise InputError(f"candidates lack {shown(lost[0])}")
    if unscored := [name for name in rows if candidates[name].accuracy is None]:
        raise InputError(f"front holds {shown(unscored[0])}, which has no accuracy")
    if found.stacks and tuple(len(stack.keep_order) for stack in found.stacks) != space.stacks:
        raise InputError(f"stacks must have {shown(space.stacks)} layers, as space says")
