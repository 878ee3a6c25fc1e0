"""The one table of costs, and the objectives that a search trades against each other (no torch).

All that is done with a cost derives from its entry: dominance, hypervolume, the study, budgets, files, tables, plots,
the page, the help. Whoever adds one writes an entry here, and a test. Less of a cost is always better; what is better
of a score, the task's metric says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from bstsearch.errors import InputError, UsageError
from bstsearch.profiles.latency import Latency, digits, ends_text
from bstsearch.reading import checked, parsing, shown
from bstsearch.score import ACCURACY, PERCENT, Metric

if TYPE_CHECKING:
    from bstsearch.model.phase import Phase
    from bstsearch.searching.pareto import Candidate

SCORE = "accuracy"  # the key of the score among objectives and in files, whatever the metric is


class Amount(NamedTuple):
    """What one submodel costs: a value between two ends, where it comes from, and whether its range must be told."""

    value: float
    low: float
    high: float
    source: str = ""
    has_range: bool = False

    @classmethod
    def exactly(cls, value: float) -> Amount:
        """A number that is counted, not measured."""
        return cls(value, value, value)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One cost of a submodel.

    `key` names it on the command line, `name` in files, with its unit. `label` and `unit` are its words in a sentence,
    `head` its column's title and unit, `caption` those of an axis. `least` and `most` describe the ends of that axis,
    `first` the row of a front that has the least of it. `rank` tells how soon a narrow table does without it; a cost of
    none is shown only where it is an objective. `phase` is the part of the work that it is of; None is all of it. Only
    some candidates have a cost of a part. `option` bounds it by a short word, besides `--budget KEY=LIMIT`.
    """

    key: str
    name: str
    label: str
    unit: str
    head: tuple[str, str]
    caption: str
    of: Callable[[Candidate], Amount]
    first: str
    least: str = "smallest"
    most: str = "largest"
    rank: int | None = None
    option: str = "--budget"
    phase: Phase | None = None

    def text(self, one: Candidate) -> str:
        """What it costs, without unit, and where it says more the range, in two digits: "2.31 (2.1-2.8)"."""
        amount = self.of(one)
        value = digits(amount.value)
        return f"{value} ({ends_text(amount.low, amount.high)})" if amount.has_range else value


def _time(latency: Latency) -> Amount:
    return Amount(latency.ms, latency.low_ms, latency.high_ms, latency.source, latency.has_range)


def _phase(phase: Phase) -> Callable[[Candidate], Amount]:
    """What that part of its work takes; InputError where nobody measured it."""

    def of(one: Candidate) -> Amount:
        latency = one.phases.get(phase)
        if latency is None:
            raise InputError(
                f"{phase} of {one.id} is not known here; measure it with 'bstsearch profile --phase {phase} --measure'"
            )
        return _time(latency)

    return of


def _memory(one: Candidate) -> Amount:
    memory, is_measured = one.memory, one.memory.source == "measured"
    low, high = (memory.bytes, memory.bytes) if is_measured else (memory.low_bytes, memory.high_bytes)
    return Amount(memory.bytes / 1e6, low / 1e6, high / 1e6, memory.source, not is_measured)


# MB are 1e6 bytes.
_TABLE = (
    Cost(
        key="latency",
        name="latency_ms",
        label="latency",
        unit="ms",
        head=("latency", "ms"),
        caption="latency, ms",
        of=lambda one: _time(one.latency),
        first="the fastest",
        least="fastest",
        most="slowest",
        rank=0,
        option="--budget-ms",
    ),
    Cost(
        key="gflops",
        name="gflops",
        label="compute",
        unit="GFLOPs",
        head=("GFLOPs", ""),
        caption="GFLOPs, two per multiply-add",
        of=lambda one: Amount.exactly(one.gflops),
        first="the one of fewest GFLOPs",
        rank=2,
        option="--budget-gflops",
    ),
    Cost(
        key="parameters",
        name="parameters",
        label="parameters",
        unit="",
        head=("params", ""),
        caption="parameters",
        of=lambda one: Amount.exactly(one.parameters),
        first="the one of fewest parameters",
        rank=3,
    ),
    Cost(
        key="size",
        name="size_mb",
        label="size",
        unit="MB",
        head=("size", "MB"),
        caption="size of the parameters, MB",
        of=lambda one: Amount.exactly(one.size_bytes / 1e6),
        first="the smallest",
        rank=5,
    ),
    Cost(
        key="memory",
        name="memory_mb",
        label="peak memory",
        unit="MB",
        head=("memory", "MB"),
        caption="peak memory, MB",
        of=_memory,
        first="the one of least peak memory",
        option="--budget-mb",
    ),
    Cost(
        key="prefill",
        name="prefill_ms",
        label="prefill",
        unit="ms",
        head=("prefill", "ms"),
        caption="latency of reading a text, ms",
        of=_phase("prefill"),
        first="the one that reads a text fastest",
        least="fastest",
        most="slowest",
        phase="prefill",
    ),
    Cost(
        key="decode",
        name="decode_ms",
        label="decode",
        unit="ms",
        head=("decode", "ms"),
        caption="latency of one more token, ms",
        of=_phase("decode"),
        first="the one that writes fastest",
        least="fastest",
        most="slowest",
        phase="decode",
    ),
)
COSTS: dict[str, Cost] = {cost.key: cost for cost in _TABLE}


def by_name() -> dict[str, Cost]:
    """The costs by their names in files."""
    return {cost.name: cost for cost in COSTS.values()}


def known_costs(candidates: Iterable[Candidate]) -> list[Cost]:
    """Those that all these candidates have."""
    found = list(candidates)
    return [cost for cost in COSTS.values() if cost.phase is None or all(cost.phase in one.phases for one in found)]


def objective_keys() -> list[str]:
    """All that may be asked for as an objective."""
    return [SCORE, *COSTS]


@dataclass(frozen=True)
class Objectives:
    """What is traded: the score, by what kind of number it is, and the costs, in the order asked for.

    The first cost orders a front, and is what plots draw along x.
    """

    keys: tuple[str, ...] = (SCORE, "latency", "gflops")
    metric: Metric = ACCURACY

    @classmethod
    def of(cls, keys: Iterable[str], metric: Metric = ACCURACY) -> Objectives:
        """Those objectives, the score first; UsageError where they are none to search for."""
        found = list(keys)
        known = f"; give two or more of {', '.join(objective_keys())}"
        if unknown := [key for key in found if key not in objective_keys()]:
            raise UsageError(f"unknown objective {shown(unknown[0])}{known}")
        if len(set(found)) < len(found):
            raise UsageError(f"objectives {shown(','.join(found))} name one twice{known}")
        if SCORE not in found or len(found) < 2:
            raise UsageError(
                f"objectives {shown(','.join(found))} are no trade: {SCORE} must be among them, and a cost{known}"
            )
        return cls((SCORE, *(key for key in found if key != SCORE)), metric)

    @classmethod
    def parse(cls, text: str) -> Objectives:
        """The objectives in a list such as "accuracy,latency,memory"; UsageError where it is none."""
        return cls.of(key.strip() for key in text.split(","))

    @property
    def costs(self) -> tuple[Cost, ...]:
        """The costs among them."""
        return tuple(COSTS[key] for key in self.keys[1:])

    @property
    def first(self) -> Cost:
        """The first cost."""
        return self.costs[0]

    @property
    def names(self) -> tuple[str, ...]:
        """Their names in files, the score's first."""
        return (self.metric.name, *(cost.name for cost in self.costs))

    @property
    def is_maximized(self) -> tuple[bool, ...]:
        """Whether more is better, for each of `names` in order."""
        return (self.metric.is_higher_better, *(False for _ in self.costs))

    def values(self, one: Candidate) -> tuple[float, ...]:
        """What the scored candidate has of each, in the order of `names`."""
        return (one.score, *(cost.of(one).value for cost in self.costs))

    def losses(self, one: Candidate) -> tuple[float, ...]:
        """The same with less always better, the costs first: the order of a front."""
        return (*(cost.of(one).value for cost in self.costs), self.metric.loss(one.score))

    def score_text(self, one: Candidate) -> str:
        """The score and its interval, without unit: "97.9 (97.2-98.4)" per cent."""
        return self._text(one.score, one.interval)

    def test_text(self, one: Candidate) -> str:
        """The same of the score on the test part; a dash where there is none."""
        return "-" if one.test is None else self._text(one.test.value, one.test.interval)

    def _text(self, score: float, interval: tuple[float, float]) -> str:
        low, high = map(self.value_text, interval)
        return f"{self.value_text(score)} ({low}-{high})"

    def value_text(self, score: float) -> str:
        """A score in as many digits as its interval deserves, without unit: "97.9" per cent."""
        return f"{score:.1%}".rstrip("%") if self.metric.unit == PERCENT else self.metric.text(score)

    def __str__(self) -> str:
        """Their keys, as the command line takes them."""
        return ",".join(self.keys)

    def to_json(self) -> dict[str, Any]:
        """Plain data; the metric only where it is another one than accuracy."""
        metric = {} if self.metric == ACCURACY else {"metric": self.metric.to_json()}
        return {"objectives": list(self.keys), **metric}

    @classmethod
    def from_json(cls, data: object) -> Objectives:
        """The objectives among the keys of `data`; InputError where they are malformed.

        Files of older versions do not name them, and hold accuracy, latency and GFLOPs.
        """
        found = checked(data, _Written, "objectives")
        with parsing("objectives"):
            return cls.of(found.objectives, found.metric)


class _Written(msgspec.Struct):
    """Objectives as plain data, among other keys."""

    objectives: tuple[str, ...] = Objectives.keys
    metric: Metric = ACCURACY


DEFAULT = Objectives()
