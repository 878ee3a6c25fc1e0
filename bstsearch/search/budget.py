"""Upper bounds on what a submodel may cost: as asked for, in numbers, and which submodels they admit (no torch)."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bstsearch.errors import InfeasibleBudgetError, InputError, UsageError
from bstsearch.search.pareto import Candidate


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A cost that can be bounded: its option, its words, its unit, and how to read it off a candidate."""

    option: str
    label: str
    unit: str
    of: Callable[[Candidate], float]
    middle: Callable[[Candidate], float]


HIGH, MIDDLE = "high", "middle"

# By field of `Budget`. MB are 1e6 bytes; what was not measured counts with its upper end.
COSTS: Mapping[str, Quantity] = {
    "latency_ms": Quantity(
        option="--budget-ms",
        label="latency",
        unit="ms",
        of=lambda one: one.safe_ms,
        middle=lambda one: one.latency.ms,
    ),
    "gflops": Quantity(
        option="--budget-gflops",
        label="compute",
        unit="GFLOPs",
        of=lambda one: one.gflops,
        middle=lambda one: one.gflops,
    ),
    "memory_mb": Quantity(
        option="--budget-mb",
        label="peak memory",
        unit="MB",
        of=lambda one: one.safe_memory_bytes / 1e6,
        middle=lambda one: one.memory.bytes / 1e6,
    ),
}

_BOUND = re.compile(r"\s*(\d+\.?\d*(?:e-?\d+)?|\.\d+)\s*(%?)\s*", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Bound:
    """An upper bound as it was asked for: a number, or a share of the full model's cost.

    >>> Bound.parse("50%", "--budget-ms")
    Bound(value=0.5, is_share=True)
    """

    value: float
    is_share: bool = False

    @classmethod
    def parse(cls, text: str, option: str) -> Bound:
        """The bound that `text` says; UsageError where it says none."""
        match = _BOUND.fullmatch(text)
        value = float(match[1]) if match else math.nan
        if match is None or not 0 < value < math.inf:
            raise UsageError(f"{option} {text!r} is no budget; write a number above 0, or a share such as 50%")
        return cls(value=value / 100 if match[2] else value, is_share=bool(match[2]))


def parse_bounds(texts: Mapping[str, str | None]) -> dict[str, Bound]:
    """The bounds that were asked for, by field of `Budget`; UsageError names the option of a malformed one."""
    return {name: Bound.parse(text, COSTS[name].option) for name, text in texts.items() if text is not None}


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Upper bounds in numbers; None leaves a cost free.

    `at` tells which end of a range must keep to a bound where a cost was not measured: "high", its upper end,
    or "middle", the value itself.
    """

    latency_ms: float | None = None
    gflops: float | None = None
    memory_mb: float | None = None
    at: str = HIGH

    @classmethod
    def resolve(cls, bounds: Mapping[str, Bound], full: Candidate, at: str = HIGH) -> Budget:
        """`bounds` by field name, shares taken of `full`, the full model."""
        free = cls(at=at)
        limits = {
            name: bound.value * free.cost(name, full) if bound.is_share else bound.value
            for name, bound in bounds.items()
        }
        return cls(**limits, at=at)

    def cost(self, name: str, candidate: Candidate) -> float:
        """What of `candidate` is held against the bound of that name."""
        quantity = COSTS[name]
        return quantity.of(candidate) if self.at == HIGH else quantity.middle(candidate)

    @property
    def limits(self) -> dict[str, float]:
        """Field -> upper bound, of the costs that are bounded."""
        return {name: limit for name in COSTS if (limit := getattr(self, name)) is not None}

    def __bool__(self) -> bool:
        return bool(self.limits)

    def __str__(self) -> str:
        return ", ".join(f"{COSTS[name].label} {limit:.4g} {COSTS[name].unit}" for name, limit in self.limits.items())

    def admits(self, candidate: Candidate) -> bool:
        """Whether every bounded cost of `candidate` is within its bound."""
        return self.overrun(candidate) <= 1

    def overrun(self, candidate: Candidate) -> float:
        """The largest cost of `candidate` as a share of its bound; 0 where nothing is bounded."""
        return max((self.cost(name, candidate) / limit for name, limit in self.limits.items()), default=0)

    def covers(self, other: Budget) -> bool:
        """Whether this budget admits all that `other` admits, whatever the candidates."""
        is_as_lenient = self.at in (MIDDLE, other.at) or not self.limits
        return is_as_lenient and all(other.limits.get(name, math.inf) <= limit for name, limit in self.limits.items())

    def refuse_infeasible(self, candidates: Iterable[Candidate]) -> None:
        """InfeasibleBudgetError, naming the nearest candidate and its cost, where none is admitted."""
        nearest = min(candidates, key=self.overrun)
        if self.admits(nearest):
            return
        costs = ", ".join(f"{self.cost(name, nearest):.4g} {COSTS[name].unit}" for name in self.limits)
        raise InfeasibleBudgetError(
            f"no submodel fits within {self}; the nearest is {nearest.id} with {costs}; raise the budget"
        )

    def to_json(self) -> dict[str, float | str | None]:
        """Plain data; `from_json` reads it back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> Budget:
        """The budget written by `to_json`; InputError where it is malformed."""
        keys = {*COSTS, "at"}
        if not isinstance(data, Mapping) or data.keys() | {"at"} != keys or data.get("at", HIGH) not in (HIGH, MIDDLE):
            raise InputError(f"malformed budget {data!r}; expected the keys {', '.join(COSTS)} and at: high or middle")
        for name in COSTS:
            if (limit := data[name]) is not None and not (isinstance(limit, int | float) and 0 < limit < math.inf):
                raise InputError(f"malformed budget: {name} must be null or a number above 0, not {limit!r}")
        return cls(**data)
