"""Which submodels are worth having: dominance, the front, its hypervolume, the recommended one (no torch)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from bstsearch.errors import UsageError
from bstsearch.model.phase import Phase
from bstsearch.profiles.latency import Latency, Memory, Source
from bstsearch.reading import Amount, Count, Finite, Name, Positive, Whole, checked
from bstsearch.score import ACCURACY, Accuracy, Score, Value
from bstsearch.searching.costs import COSTS, DEFAULT, SCORE, Objectives, known_costs
from bstsearch.space import Submodel

MEASURED = "measured"
PARTIAL, TEST = "partial_", "test_"  # before the fields of a score that is not the one on the whole split
_SCORE_FIELDS = ("accuracy", "accuracy_low", "accuracy_high", "correct", "questions")


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A submodel with what one example costs (batch 1), and its score once it has one.

    The score is called accuracy here and in files, also where a task's metric is another one. `partial` is that of a
    submodel that was dropped while it was scored, on the rows looked at till then; `beaten_by` is the id of the one
    that is better beyond doubt, and costs no more. `test` is the score on the test part, of a member of a front.
    `phases` are latencies of parts of its work, where they were measured.
    `rights` hold the value of each row, as text of `racing.write_rights`.
    """

    submodel: Submodel
    parameters: int
    macs: int
    latency: Latency
    memory: Memory
    size_bytes: int
    phases: Mapping[Phase, Latency] = dataclasses.field(default_factory=dict, hash=False)
    accuracy: Score | None = None
    partial: Score | None = None
    beaten_by: str | None = None
    test: Score | None = None
    rights: str | None = None

    @property
    def id(self) -> str:
        """The submodel's stable name."""
        return self.submodel.id

    @property
    def gflops(self) -> float:
        """Two per multiply-accumulate, in 1e9."""
        return 2 * self.macs / 1e9

    @property
    def score(self) -> float:
        """Its value on the questions; an unscored candidate has none and raises."""
        return self._scored().value

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of `score`."""
        return self._scored().interval

    @property
    def found(self) -> Score | None:
        """Its score, or where it was dropped that on the rows looked at; None where it has not been scored."""
        return self.accuracy or self.partial

    def _scored(self) -> Score:
        if self.accuracy is None:
            raise ValueError(f"{self.id} has not been scored")
        return self.accuracy

    def to_json(self) -> dict[str, Any]:
        """Plain data, the value of every cost under its name included; `from_json` reads it back."""
        held = {
            "id": self.id,
            "width": str(self.submodel.width),
            "depth": str(self.submodel.depth),
            "parameters": self.parameters,
            "macs": self.macs,
            "gflops": self.gflops,
            "latency_ms": self.latency.ms,
            "latency_low_ms": self.latency.low_ms,
            "latency_high_ms": self.latency.high_ms,
            "latency_source": self.latency.source,
            "memory_bytes": self.memory.bytes,
            "memory_low_bytes": self.memory.low_bytes,
            "memory_high_bytes": self.memory.high_bytes,
            "memory_source": self.memory.source,
            "size_bytes": self.size_bytes,
            **_score_json(self.accuracy),
        }
        for phase, latency in self.phases.items():
            held |= _phase_json(phase, latency)
        costs = {cost.name: cost.of(self).value for cost in known_costs([self]) if cost.name not in held}
        others = {part: score for part, score in ((PARTIAL, self.partial), (TEST, self.test)) if score is not None}
        rest = {name: value for part, score in others.items() for name, value in _score_json(score, part).items()}
        words = {name: text for name in ("beaten_by", "rights") if (text := getattr(self, name)) is not None}
        return {**held, **costs, **rest, **words}

    def row(self) -> dict[str, Any]:
        """What `to_json` has for a table: without the value of each row, and without what a dropped one has."""
        return dataclasses.replace(self, partial=None, beaten_by=None, rights=None).to_json()

    @classmethod
    def from_json(cls, data: object) -> Candidate:
        """The candidate written by `to_json`; InputError says what is missing or no such number."""
        return checked(data, Written, "candidate").candidate


def _phase_json(phase: Phase, latency: Latency) -> dict[str, Any]:
    """The latency of a part of the work as plain data."""
    return {
        f"{phase}_ms": latency.ms,
        f"{phase}_low_ms": latency.low_ms,
        f"{phase}_high_ms": latency.high_ms,
        f"{phase}_source": latency.source,
    }


def _score_json(score: Score | None, part: str = "") -> dict[str, Any]:
    """The score as plain data, `part` before the name of each field."""
    values: list[float | None] = [None] * len(_SCORE_FIELDS)
    if score is not None:
        values = [score.value, *score.interval, score.correct if isinstance(score, Accuracy) else None, score.total]
    return {f"{part}{name}": value for name, value in zip(_SCORE_FIELDS, values, strict=True)}


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate as plain data; what follows from the rest is not read."""

    id: str
    parameters: Count
    macs: Count
    latency_ms: Positive
    latency_low_ms: Positive
    latency_high_ms: Positive
    latency_source: Source
    memory_bytes: Count
    memory_low_bytes: Count
    memory_high_bytes: Count
    memory_source: Source
    size_bytes: Count
    prefill_ms: Positive | None = None
    prefill_low_ms: Positive | None = None
    prefill_high_ms: Positive | None = None
    prefill_source: Source | None = None
    decode_ms: Positive | None = None
    decode_low_ms: Positive | None = None
    decode_high_ms: Positive | None = None
    decode_source: Source | None = None
    accuracy: Finite | None
    accuracy_low: Finite | None
    accuracy_high: Finite | None
    correct: Whole | Amount | None  # a whole number stays one
    questions: Count | None
    partial_accuracy: Finite | None = None
    partial_accuracy_low: Finite | None = None
    partial_accuracy_high: Finite | None = None
    partial_correct: Whole | Amount | None = None
    partial_questions: Count | None = None
    test_accuracy: Finite | None = None
    test_accuracy_low: Finite | None = None
    test_accuracy_high: Finite | None = None
    test_correct: Whole | Amount | None = None
    test_questions: Count | None = None
    beaten_by: Name | None = None
    rights: str | None = None

    def __post_init__(self) -> None:
        """ValueError, which names the place, where the numbers do not go together."""
        try:
            _ = self.candidate
        except UsageError as error:
            raise ValueError(error) from None

    @property
    def candidate(self) -> Candidate:
        """The candidate itself."""
        source, low, high = self.latency_source, self.latency_low_ms, self.latency_high_ms
        peak, least, most = self.memory_bytes, self.memory_low_bytes, self.memory_high_bytes
        return Candidate(
            submodel=Submodel.from_id(self.id),
            parameters=self.parameters,
            macs=self.macs,
            latency=Latency(ms=self.latency_ms, source=source, low_ms=low, high_ms=high),
            memory=Memory(bytes=peak, source=self.memory_source, low_bytes=least, high_bytes=most),
            size_bytes=self.size_bytes,
            phases=self._phases(),
            accuracy=self._score(),
            partial=self._score(PARTIAL),
            beaten_by=self.beaten_by,
            test=self._score(TEST),
            rights=self.rights,
        )

    def _phases(self) -> dict[Phase, Latency]:
        found: dict[Phase, Latency] = {}
        for phase in (cost.phase for cost in COSTS.values() if cost.phase is not None):
            ms, low, high, source = (getattr(self, f"{phase}_{what}") for what in ("ms", "low_ms", "high_ms", "source"))
            if ms is not None:
                if None in (low, high, source):
                    raise ValueError(f"{phase}_low_ms, {phase}_high_ms and {phase}_source belong to {phase}_ms")
                found[phase] = Latency(ms=ms, source=source, low_ms=low, high_ms=high)
        return found

    def _score(self, part: str = "") -> Score | None:
        fields = [f"{part}{name}" for name in _SCORE_FIELDS]
        value, low, high, correct, total = (getattr(self, field) for field in fields)
        if value is None and correct is None:
            return None
        if total is None:
            raise ValueError(f"a scored candidate has {fields[-1]}")
        if correct is not None:
            return Accuracy(correct=correct, total=total)
        if value is None or low is None or high is None:
            raise ValueError(f"{fields[1]} and {fields[2]} belong to an accuracy")
        return Value(value=value, low=low, high=high, total=total)


Front = tuple[Candidate, ...]  # non-dominated, least of the first cost first; its rows are numbered from 1


def dominates(one: Candidate, other: Candidate, objectives: Objectives = DEFAULT) -> bool:
    """Whether `one` is nowhere worse than `other` and somewhere better."""
    return _is_less(objectives.losses(one), objectives.losses(other))


def find_front(candidates: Iterable[Candidate], objectives: Objectives = DEFAULT) -> Front:
    """The scored candidates that no other one dominates, those with less of the first cost first."""
    scored = [(objectives.losses(one), one) for one in candidates if one.accuracy is not None]
    front: list[tuple[tuple[float, ...], Candidate]] = []
    # In this order whatever dominates a candidate comes before it, so looking back at the front is enough.
    for losses, one in sorted(scored, key=lambda pair: (*pair[0], pair[1].id)):
        if not any(_is_less(member, losses) for member, _ in front):
            front.append((losses, one))
    return tuple(one for _, one in front)


def recommend(
    front: Front, objectives: Objectives = DEFAULT, *, has_budget: bool, floor: float | None = None
) -> Candidate:
    """Where all rows are as good as a `floor`, the first one; else within a budget the one of the best score.

    Of equals it is the first. Without either it is the first one that is as good as the best row, which means that its
    score lies within the 95 % interval of that row's.
    """
    if floor is not None:
        return front[0]
    loss = objectives.metric.loss
    best = min(front, key=lambda one: (loss(one.score), objectives.first.of(one).value))
    if has_budget:
        return best
    least = max(map(loss, best.interval))
    return next(one for one in front if loss(one.score) <= least)


def rule(objectives: Objectives = DEFAULT, *, has_budget: bool, floor: float | None = None) -> str:
    """How `recommend` chose, in words."""
    metric = objectives.metric
    if floor is not None:
        within = " within the budget" if has_budget else ""
        return f"{objectives.first.first}{within} whose {metric.name} is {metric.bound(floor)}"
    best = "most accurate" if metric == ACCURACY else f"best by {metric.name}"
    if has_budget:
        return f"the {best} within the budget"
    owner = "the most accurate row's" if metric == ACCURACY else "the best row's"
    return f"{objectives.first.first} whose {metric.name} lies within {owner} 95 % interval"


def reference(candidates: Iterable[Candidate], full: Candidate, objectives: Objectives = DEFAULT) -> dict[str, float]:
    """The worst corner of the box of possible trade-offs, by name: the worst score at the costs of the full model."""
    worst, _ = worst_and_best(candidates, objectives)
    return {SCORE: worst, **{cost.name: cost.of(full).value for cost in objectives.costs}}


def hypervolume(candidates: Iterable[Candidate], full: Candidate, objectives: Objectives = DEFAULT) -> float:
    """How much of the box of possible trade-offs the scored candidates dominate, between 0 and 1.

    The box reaches from the worst score at the costs of `full` (the full model) to the best score at no cost. Where a
    metric has no worst or no best, that of the candidates stands in.
    """
    scored = [one for one in candidates if one.accuracy is not None]
    limits = [cost.of(full).value for cost in objectives.costs]
    return share_of_box(scored, limits, worst_and_best(scored, objectives), objectives)


def share_of_box(
    scored: Iterable[Candidate], limits: Iterable[float], ends: tuple[float, float], objectives: Objectives
) -> float:
    """The same share for a box that reaches from `limits` of the costs at the worst score of `ends` to the best one."""
    worst, best = map(objectives.metric.loss, ends)
    whole, points = list(limits), []
    for one in scored:
        *costs, score = objectives.losses(one)
        shares = [cost / limit for cost, limit in zip(costs, whole, strict=True)]
        points.append([*shares, (score - best) / (worst - best) if worst > best else 1.0])
    if not points:
        return 0.0
    import moocore  # here: it needs numpy, and what is answered from a file needs neither

    return float(moocore.hypervolume(points, ref=[1.0] * len(objectives.keys)))


def worst_and_best(candidates: Iterable[Candidate], objectives: Objectives) -> tuple[float, float]:
    """The worst and the best score that there can be, or that there is."""
    metric = objectives.metric
    scores = sorted((one.score for one in candidates if one.accuracy is not None), key=metric.loss) or [0.0]
    return (scores[-1] if metric.worst is None else metric.worst), (scores[0] if metric.best is None else metric.best)


def _is_less(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(x <= y for x, y in zip(one, other, strict=True))
