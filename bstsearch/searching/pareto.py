"""Which submodels are worth having: dominance, the front, its hypervolume, the recommended one (no torch)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from bstsearch.errors import InputError, UsageError
from bstsearch.profiles.latency import Latency, Memory, Source
from bstsearch.score import ACCURACY, Accuracy, Score, Value
from bstsearch.searching.costs import COSTS, DEFAULT, SCORE, Objectives
from bstsearch.space import Submodel

MEASURED = "measured"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A submodel with what one example costs (batch 1), and its score once it has one.

    The score is called accuracy here and in files, also where a task's metric is another one.
    """

    submodel: Submodel
    parameters: int
    macs: int
    latency: Latency
    memory: Memory
    size_bytes: int
    accuracy: Score | None = None

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

    def _scored(self) -> Score:
        if self.accuracy is None:
            raise ValueError(f"{self.id} has not been scored")
        return self.accuracy

    def to_json(self) -> dict[str, Any]:
        """Plain data, the value of every cost under its name included; `from_json` reads it back."""
        low, high = self.accuracy.interval if self.accuracy else (None, None)
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
            "accuracy": self.accuracy.value if self.accuracy else None,
            "accuracy_low": low,
            "accuracy_high": high,
            "correct": self.accuracy.correct if isinstance(self.accuracy, Accuracy) else None,
            "questions": self.accuracy.total if self.accuracy else None,
        }
        return {**held, **{cost.name: cost.of(self).value for cost in COSTS.values() if cost.name not in held}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Candidate:
        """The candidate written by `to_json`; InputError says what is missing or no such number."""
        try:
            return cls(
                submodel=Submodel.from_id(data["id"]),
                parameters=_count(data, "parameters"),
                macs=_count(data, "macs"),
                latency=Latency(
                    ms=_amount(data, "latency_ms"),
                    source=_source(data, "latency_source"),
                    low_ms=_amount(data, "latency_low_ms"),
                    high_ms=_amount(data, "latency_high_ms"),
                ),
                memory=Memory(
                    bytes=_count(data, "memory_bytes"),
                    source=_source(data, "memory_source"),
                    low_bytes=_count(data, "memory_low_bytes"),
                    high_bytes=_count(data, "memory_high_bytes"),
                ),
                size_bytes=_count(data, "size_bytes"),
                accuracy=_score(data),
            )
        except (KeyError, TypeError, UsageError) as error:
            raise InputError(f"malformed candidate: {error}; expected what Candidate.to_json writes") from error


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


def recommend(front: Front, objectives: Objectives = DEFAULT, *, has_budget: bool) -> Candidate:
    """Within a budget the row of the best score (of equals the first); else the first one that is as good.

    "As good" means that its score lies within the 95 % interval of the best row's.
    """
    loss = objectives.metric.loss
    best = min(front, key=lambda one: (loss(one.score), objectives.first.of(one).value))
    if has_budget:
        return best
    least = max(map(loss, best.interval))
    return next(one for one in front if loss(one.score) <= least)


def rule(objectives: Objectives = DEFAULT, *, has_budget: bool) -> str:
    """How `recommend` chose, in words."""
    metric = objectives.metric
    best = "most accurate" if metric == ACCURACY else f"best by {metric.name}"
    if has_budget:
        return f"the {best} within the budget"
    owner = "the most accurate row's" if metric == ACCURACY else "the best row's"
    return f"{objectives.first.first} whose {metric.name} lies within {owner} 95 % interval"


def reference(candidates: Iterable[Candidate], full: Candidate, objectives: Objectives = DEFAULT) -> dict[str, float]:
    """The worst corner of the box of possible trade-offs, by name: the worst score at the costs of the full model."""
    worst, _ = _ends(candidates, objectives)
    return {SCORE: worst, **{cost.name: cost.of(full).value for cost in objectives.costs}}


def hypervolume(candidates: Iterable[Candidate], full: Candidate, objectives: Objectives = DEFAULT) -> float:
    """How much of the box of possible trade-offs the scored candidates dominate, between 0 and 1.

    The box reaches from the worst score at the costs of `full` (the full model) to the best score at no cost. Where a
    metric has no worst or no best, that of the candidates stands in.
    """
    scored = [one for one in candidates if one.accuracy is not None]
    worst, best = map(objectives.metric.loss, _ends(scored, objectives))
    whole = [cost.of(full).value for cost in objectives.costs]
    points = []
    for one in scored:
        *costs, score = objectives.losses(one)
        shares = [cost / limit for cost, limit in zip(costs, whole, strict=True)]
        points.append([*shares, (score - best) / (worst - best) if worst > best else 1.0])
    if not points:
        return 0.0
    import moocore  # here: it needs numpy, and what is answered from a file needs neither

    return float(moocore.hypervolume(points, ref=[1.0] * len(objectives.keys)))


def _ends(candidates: Iterable[Candidate], objectives: Objectives) -> tuple[float, float]:
    """The worst and the best score that there can be, or that there is."""
    metric = objectives.metric
    scores = sorted((one.score for one in candidates if one.accuracy is not None), key=metric.loss) or [0.0]
    return (scores[-1] if metric.worst is None else metric.worst), (scores[0] if metric.best is None else metric.best)


def _is_less(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(x <= y for x, y in zip(one, other, strict=True))


def _count(data: Mapping[str, Any], key: str) -> int:
    value = data[key]
    if type(value) is not int or value < 0:
        raise TypeError(f"{key} must be a whole number of at least 0, not {value!r}")
    return value


def _number(data: Mapping[str, Any], key: str) -> float:
    value = data[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{key} must be a number, not {value!r}")
    return value


def _amount(data: Mapping[str, Any], key: str) -> float:
    value = _number(data, key)
    if value < 0:
        raise TypeError(f"{key} must be a number of at least 0, not {value!r}")
    return value


def _source(data: Mapping[str, Any], key: str) -> Source:
    value: Source = data[key]
    if value not in get_args(Source):
        raise TypeError(f"{key} must be one of {', '.join(get_args(Source))}, not {value!r}")
    return value


def _score(data: Mapping[str, Any]) -> Score | None:
    if data["accuracy"] is None and data["correct"] is None:
        return None
    total = _count(data, "questions")
    if total == 0:
        raise TypeError("questions must be at least 1")
    if data["correct"] is None:
        value, low, high = (_number(data, key) for key in ("accuracy", "accuracy_low", "accuracy_high"))
        if not low <= value <= high:
            raise TypeError(f"accuracy must lie between accuracy_low and accuracy_high, not {value} in {low} to {high}")
        return Value(value=value, low=low, high=high, total=total)
    accuracy = Accuracy(correct=_amount(data, "correct"), total=total)
    if not accuracy.correct <= accuracy.total:
        raise TypeError(f"correct must be at most questions, not {accuracy.correct!r} of {accuracy.total}")
    return accuracy
