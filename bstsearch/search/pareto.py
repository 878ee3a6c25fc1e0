"""Which submodels are worth having: dominance, the front, its hypervolume, the recommended one (no torch)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from bstsearch.errors import InputError, UsageError
from bstsearch.profiles.latency import Latency, Memory, Source
from bstsearch.score import Accuracy
from bstsearch.space import Submodel

MEASURED = "measured"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A submodel with what one example costs (batch 1), and its accuracy once it has been scored."""

    submodel: Submodel
    parameters: int
    macs: int
    latency: Latency
    memory: Memory
    size_bytes: int
    accuracy: Accuracy | None = None

    @property
    def id(self) -> str:
        """The submodel's stable name."""
        return self.submodel.id

    @property
    def gflops(self) -> float:
        """Two per multiply-accumulate, in 1e9."""
        return 2 * self.macs / 1e9

    @property
    def share(self) -> float:
        """The share of questions answered right; an unscored candidate has none and raises."""
        return self._scored().value

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of `share`."""
        return self._scored().interval

    @property
    def safe_ms(self) -> float:
        """The latency to hold against a budget: an estimate counts with its upper end."""
        return self.latency.safe_ms

    @property
    def safe_memory_bytes(self) -> int:
        """The peak memory to hold against a budget, likewise."""
        return self.memory.safe_bytes

    def _scored(self) -> Accuracy:
        if self.accuracy is None:
            raise ValueError(f"{self.id} has not been scored")
        return self.accuracy

    def to_json(self) -> dict[str, Any]:
        """Plain data, derived numbers included; `from_json` reads it back."""
        low, high = self.accuracy.interval if self.accuracy else (None, None)
        return {
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
            "correct": self.accuracy.correct if self.accuracy else None,
            "questions": self.accuracy.total if self.accuracy else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Candidate:
        """The candidate written by `to_json`; InputError says what is missing or no such number."""
        try:
            is_scored = data["correct"] is not None
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
                accuracy=_accuracy(data) if is_scored else None,
            )
        except (KeyError, TypeError, UsageError) as error:
            raise InputError(f"malformed candidate: {error}; expected what Candidate.to_json writes") from error


Front = tuple[Candidate, ...]  # non-dominated, fastest first; its rows are numbered from 1


def dominates(one: Candidate, other: Candidate) -> bool:
    """Whether `one` is nowhere worse than `other` and somewhere better: accuracy up, MACs and latency down."""
    a, b = _losses(one), _losses(other)
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def find_front(candidates: Iterable[Candidate]) -> Front:
    """The scored candidates that no other one dominates, fastest first."""
    front: list[Candidate] = []
    scored = (candidate for candidate in candidates if candidate.accuracy is not None)
    # In this order whatever dominates a candidate comes before it, so looking back at the front is enough.
    for candidate in sorted(scored, key=lambda candidate: (*_losses(candidate), candidate.id)):
        if not any(dominates(member, candidate) for member in front):
            front.append(candidate)
    return tuple(front)


def recommend(front: Front, *, has_budget: bool) -> Candidate:
    """Within a budget the most accurate row (the fastest of equals); else the fastest as good as the best.

    "As good" means that its accuracy lies within the 95 % interval of the most accurate row's.
    """
    best = max(front, key=lambda candidate: (candidate.share, -candidate.latency.ms))
    if has_budget:
        return best
    return next(candidate for candidate in front if candidate.share >= best.interval[0])


def rule(*, has_budget: bool) -> str:
    """How `recommend` chose, in words."""
    if has_budget:
        return "the most accurate within the budget"
    return "the fastest whose accuracy lies within the most accurate row's 95 % interval"


def hypervolume(candidates: Iterable[Candidate], reference: Candidate) -> float:
    """How much of the box of possible trade-offs the scored candidates dominate, between 0 and 1.

    The box reaches from no right answer at `reference`'s MACs and latency (usually the full model's) to
    all answers right at no cost.
    """
    points = []
    for candidate in candidates:
        saved_macs = 1 - candidate.macs / reference.macs
        saved_ms = 1 - candidate.latency.ms / reference.latency.ms
        if candidate.accuracy is not None and saved_macs > 0 and saved_ms > 0:
            points.append((candidate.share, saved_macs, saved_ms))
    points.sort(key=lambda point: point[2], reverse=True)
    depths = [depth for _, _, depth in points] + [0.0]
    slabs = (_area(points[: n + 1]) * (depths[n] - depths[n + 1]) for n in range(len(points)))
    return math.fsum(slabs)


def _area(points: Sequence[tuple[float, float, float]]) -> float:
    """The area that the boxes from the origin to the points' first two coordinates cover together."""
    corners = sorted(((x, y) for x, y, _ in points), reverse=True)
    heights = itertools.accumulate((y for _, y in corners), max)
    widths = [x for x, _ in corners] + [0.0]
    return math.fsum(height * (widths[n] - widths[n + 1]) for n, height in enumerate(heights))


def _losses(candidate: Candidate) -> tuple[float, float, float]:
    return candidate.latency.ms, candidate.macs, -candidate.share


def _count(data: Mapping[str, Any], key: str) -> int:
    value = data[key]
    if type(value) is not int or value < 0:
        raise TypeError(f"{key} must be a whole number of at least 0, not {value!r}")
    return value


def _amount(data: Mapping[str, Any], key: str) -> float:
    value = data[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise TypeError(f"{key} must be a number of at least 0, not {value!r}")
    return value


def _source(data: Mapping[str, Any], key: str) -> Source:
    value: Source = data[key]
    if value not in get_args(Source):
        raise TypeError(f"{key} must be one of {', '.join(get_args(Source))}, not {value!r}")
    return value


def _accuracy(data: Mapping[str, Any]) -> Accuracy:
    accuracy = Accuracy(correct=_amount(data, "correct"), total=_count(data, "questions"))
    if not accuracy.correct <= accuracy.total or accuracy.total == 0:
        raise TypeError(f"correct must be at most questions, not {accuracy.correct!r} of {accuracy.total}")
    return accuracy
