"""Upper bounds on what a submodel may cost: as asked for, in numbers, and which submodels they admit (no torch)."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from bstsearch.errors import InfeasibleBudgetError, UsageError
from bstsearch.reading import Positive, checked, shown
from bstsearch.searching.costs import COSTS, by_name
from bstsearch.searching.pareto import Candidate

HIGH, MIDDLE = "high", "middle"
TINY, HUGE = 1e-100, 1e100  # bounds between them stay numbers above 0 as shares of any cost, too

_BOUND = re.compile(r"\s*(\d+\.?\d*(?:e-?\d+)?|\.\d+)\s*(%?)\s*", re.IGNORECASE | re.ASCII)


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
        if match is None or not TINY < value < HUGE:
            raise UsageError(f"{option} {shown(text)} is no budget; write a number above 0, or a share such as 50%")
        return cls(value=value / 100 if match[2] else value, is_share=bool(match[2]))


def parse_bounds(texts: Mapping[str, str | None], others: Iterable[str] = ()) -> dict[str, Bound]:
    """The bounds that were asked for, by the costs' names.

    `texts` are by cost; `others` are of the form KEY=LIMIT. UsageError names the option of a malformed one, or lists
    the costs.
    """
    bounds = {COSTS[key].name: Bound.parse(text, COSTS[key].option) for key, text in texts.items() if text is not None}
    for other in others:
        key, _, text = other.partition("=")
        if key not in COSTS:
            raise UsageError(f"--budget {shown(other)} bounds no cost; write COST=LIMIT with one of {', '.join(COSTS)}")
        if COSTS[key].name in bounds:
            raise UsageError(f"{key} is bounded twice; give one budget for it")
        bounds[COSTS[key].name] = Bound.parse(text, f"--budget {key}")
    return bounds


@dataclass(frozen=True, init=False)
class Budget:
    """Upper bounds in numbers, by the names of costs; what is not named is free.

    `at` tells which end of a range must keep to a bound where a cost was not measured: "high", its upper end,
    or "middle", the value itself.

    >>> Budget(latency_ms=2.5).limits
    {'latency_ms': 2.5}
    """

    limits: Mapping[str, float]
    at: str

    def __init__(self, *, at: str = HIGH, **limits: float | None) -> None:
        """Bounds the costs of these names; None leaves one free."""
        given = {name: limit for name in by_name() if (limit := limits.get(name)) is not None}
        object.__setattr__(self, "limits", given)
        object.__setattr__(self, "at", at)

    @classmethod
    def resolve(cls, bounds: Mapping[str, Bound], full: Candidate, at: str = HIGH) -> Budget:
        """`bounds` by the costs' names, shares taken of `full`, the full model."""
        free = cls(at=at)
        limits = {
            name: bound.value * free.cost(name, full) if bound.is_share else bound.value
            for name, bound in bounds.items()
        }
        return cls(**limits, at=at)

    def cost(self, name: str, candidate: Candidate) -> float:
        """What of `candidate` is held against the bound of that name."""
        amount = by_name()[name].of(candidate)
        return amount.high if self.at == HIGH else amount.value

    def __bool__(self) -> bool:
        return bool(self.limits)

    def __str__(self) -> str:
        return ", ".join(f"{by_name()[name].label} {_with_unit(name, limit)}" for name, limit in self.limits.items())

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

    def check_feasible(self, candidates: Iterable[Candidate]) -> None:
        """Passes where a candidate is admitted; else InfeasibleBudgetError names the nearest one and its cost."""
        nearest = min(candidates, key=self.overrun)
        if self.admits(nearest):
            return
        costs = ", ".join(_with_unit(name, self.cost(name, nearest)) for name in self.limits)
        raise InfeasibleBudgetError(
            f"no submodel fits within {self}; the nearest is {nearest.id} with {costs}; raise the budget"
        )

    def to_json(self) -> dict[str, float | str | None]:
        """Plain data; `from_json` reads it back."""
        always = [name for name, cost in by_name().items() if cost.phase is None or name in self.limits]
        return {**{name: self.limits.get(name) for name in always}, "at": self.at}

    @classmethod
    def from_json(cls, data: object) -> Budget:
        """The budget written by `to_json`; InputError where it is malformed. A cost that it does not name is free."""
        return cls(**msgspec.structs.asdict(checked(data, _written(tuple(by_name())), "budget")))


@functools.cache
def _written(names: tuple[str, ...]) -> type[msgspec.Struct]:
    """A budget of these costs as plain data."""
    limits = [(name, Positive | None, None) for name in names]
    return msgspec.defstruct("Written", [*limits, ("at", Literal["high", "middle"], HIGH)], forbid_unknown_fields=True)


def _with_unit(name: str, value: float) -> str:
    return f"{value:.4g} {by_name()[name].unit}".rstrip()
