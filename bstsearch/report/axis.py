"""A cost along x, as plots of a front draw it: what decides is what is drawn, and the points choose the ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bstsearch.report.table import cost_kind, digits
from bstsearch.searching.budget import HIGH
from bstsearch.searching.costs import Cost
from bstsearch.searching.front_file import FrontFile
from bstsearch.searching.pareto import Candidate

DECADE = 10  # an axis over more than one is logarithmic: else the small half of a front is one dot at the edge
MARGIN = 0.07  # of the axis, left and right of the points


@dataclass(frozen=True, kw_only=True)
class CostAxis:
    """Where candidates lie, from `low` to `high`; `budget` is the limit of this cost, which may lie outside."""

    label: str
    of: Callable[[Candidate], float]
    low: float
    high: float
    is_log: bool
    budget: float | None
    unit: str

    def share(self, value: float) -> float:
        """How far along the axis `value` lies: 0 at the low end, 1 at the high one."""
        low, high, value = (
            (map(math.log, (self.low, self.high, value))) if self.is_log else (self.low, self.high, value)
        )
        return (value - low) / (high - low)

    @property
    def is_budget_inside(self) -> bool:
        """Whether there is a budget, and the axis reaches it."""
        return self.budget is not None and self.low <= self.budget <= self.high

    @property
    def budget_words(self) -> str:
        """The budget, and where it lies if not on the axis: "budget 60.0 ms >"; nothing where there is none."""
        if self.budget is None:
            return ""
        words = f"budget {digits(self.budget)} {self.unit}".rstrip()
        if self.is_budget_inside:
            return words
        return f"{words}, beyond this axis >" if self.budget > self.high else f"< {words}, below this axis"

    def ticks(self, most: int) -> list[float]:
        """At most that many round numbers from `low` to `high`."""
        if self.is_log:
            return log_ticks(self.low, self.high, most)
        return linear_ticks(self.low, self.high, most)


def cost_axis(file: FrontFile, cost: Cost) -> CostAxis:
    """The axis for that cost: every scored candidate, and of the front's rows the ranges."""

    def of(one: Candidate) -> float:
        return file.budget.cost(cost.name, one)

    scored = [of(one) for one in file.candidates if one.accuracy is not None]
    drawn = [*scored, *(end for one in file.front for end in cost_range(cost, one))]
    low, high, is_log = _ends(drawn)
    return CostAxis(
        label=_label(file, cost, is_log=is_log),
        of=of,
        low=low,
        high=high,
        is_log=is_log,
        budget=file.budget.limits.get(cost.name),
        unit=cost.unit,
    )


def fronts_axis(files: Sequence[FrontFile], cost: Cost) -> CostAxis:
    """The axis for that cost over the rows of several fronts, each at its value, whatever their budgets."""
    rows = [one for file in files for one in file.front]
    low, high, is_log = _ends(cost.of(one).value for one in rows)
    facts = [*filter(None, [cost_kind(rows, cost)]), *(["log scale"] if is_log else [])]
    return CostAxis(
        label=_with_facts(cost, facts),
        of=lambda one: cost.of(one).value,
        low=low,
        high=high,
        is_log=is_log,
        budget=None,
        unit=cost.unit,
    )


def cost_range(cost: Cost, one: Candidate) -> tuple[float, float]:
    """The lowest and the highest that the cost may be."""
    amount = cost.of(one)
    return amount.low, amount.high


def _ends(values: Iterable[float]) -> tuple[float, float, bool]:
    """The ends of an axis for these values, which leave a margin, and whether it is logarithmic."""
    values = list(values)
    low, high = min(values), max(values)
    if low > 0 and high / low > DECADE:
        factor = (high / low) ** MARGIN
        return low / factor, high * factor, True
    margin = MARGIN * (high - low) or MARGIN * high or 1.0
    return low - margin, high + margin, False


def _label(file: FrontFile, cost: Cost, *, is_log: bool) -> str:
    facts = [kind] if (kind := cost_kind(file.front, cost)) else []
    if file.budget.at == HIGH and any(cost.of(one).has_range for one in file.front):
        facts.append("the upper end of each range")
    if is_log:
        facts.append("log scale")
    return _with_facts(cost, facts)


def _with_facts(cost: Cost, facts: Sequence[str]) -> str:
    return cost.caption + (f" ({', '.join(facts)})" if facts else "")


def linear_ticks(low: float, high: float, most: int) -> list[float]:
    """At most that many round numbers, evenly apart."""
    rough = (high - low) / most
    power = 10 ** math.floor(math.log10(rough))
    for step in (power, 2 * power, 5 * power, 10 * power, 20 * power):
        first, last = math.ceil(low / step), math.floor(high / step)
        if last - first < most:
            return [round(number * step, 12) for number in range(first, last + 1)]
    return []


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """At most that many of 1, 2 and 5 in every decade, or of fewer."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits_shown in ((1, 2, 5), (1, 3), (1,)):
        found = [digit * 10.0**power for power in powers for digit in digits_shown]
        ticks = [tick for tick in found if low <= tick <= high]
        if len(ticks) <= most:
            return ticks
    return ticks[:: math.ceil(len(ticks) / most)]
