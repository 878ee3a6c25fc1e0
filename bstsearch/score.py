"""How good outputs are: a score with its interval, and what kind of number it is (no torch)."""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from bstsearch.reading import Amount, Count, Finite, Line, Whole, checked

Z_95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution
PERCENT = "%"  # the unit of scores that are shares between 0 and 1, and are shown times 100


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
    """What kind of number a task's scores are, the same for all submodels.

    `worst` and `best` are the ends of its range, None where it has none. A score in percent lies between 0 and 1.

    >>> ACCURACY.text(0.9), Metric(name="error", unit="m", is_higher_better=False, best=0.0).text(0.1234)
    ('90.00', '0.1234')
    """

    name: Line
    unit: Line = ""
    is_higher_better: bool = True
    worst: Finite | None = None
    best: Finite | None = None

    def text(self, value: float) -> str:
        """`value` in digits, without its unit."""
        return f"{100 * value:.2f}" if self.unit == PERCENT else f"{value:.4g}"

    @property
    def factor(self) -> int:
        """By what a score is multiplied to be shown in its unit."""
        return 100 if self.unit == PERCENT else 1

    @property
    def title(self) -> str:
        """Its name, with its unit where it has one, and the direction where that is not what one expects."""
        words = f"{self.name}, {self.unit}" if self.unit else self.name
        return words if self.is_higher_better else f"{words} (lower is better)"

    def words(self, value: float) -> str:
        """`value` in digits with its unit.

        >>> ACCURACY.words(0.9)
        '90.00 %'
        """
        return f"{self.text(value)} {self.unit}".rstrip()

    def bound(self, value: float) -> str:
        """What is as good as `value`, in words.

        >>> ACCURACY.bound(0.97)
        'at least 97.00 %'
        """
        return f"at {'least' if self.is_higher_better else 'most'} {self.words(value)}"

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` reads it back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: object) -> Metric:
        """The metric written by `to_json`; InputError where it is malformed."""
        return checked(data, cls, "metric")

    def loss(self, value: float) -> float:
        """`value` with its sign turned where more is better, so that less is better."""
        return -value if self.is_higher_better else value


ACCURACY = Metric(name="accuracy", unit=PERCENT, worst=0.0, best=1.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Accuracy:
    """`correct` of `total` questions; soft scores may make `correct` a fraction.

    >>> Accuracy(correct=90, total=100).value
    0.9
    """

    correct: Whole | Amount
    total: Count

    def __post_init__(self) -> None:
        if not 0 <= self.correct <= self.total or self.total < 1:
            raise ValueError(f"of {self.total} questions, 1 or more, {self.correct} cannot be correct")

    @classmethod
    def of(cls, worths: Sequence[float]) -> Accuracy:
        """Of predictions that are worth so much each, between 0 and 1."""
        return cls(correct=exact_sum(worths), total=len(worths))

    @property
    def value(self) -> float:
        """The share of correct answers."""
        return self.correct / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval, taking questions as independent (those about one image are not quite).

        >>> [round(bound, 4) for bound in Accuracy(correct=90, total=100).interval]
        [0.8256, 0.9448]
        """
        share, z2n = self.value, Z_95**2 / self.total
        centre = (share + z2n / 2) / (1 + z2n)
        half = Z_95 / (1 + z2n) * math.sqrt(share * (1 - share) / self.total + z2n / (4 * self.total))
        # Rounding must not push a bound past the share itself, at no or all answers right.
        return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Value:
    """Any score that is not a share of right answers: `value`, between `low` and `high`, of `total` examples."""

    value: Finite
    low: Finite
    high: Finite
    total: Count

    def __post_init__(self) -> None:
        if not self.low <= self.value <= self.high or math.inf in (self.high, -self.low):
            raise ValueError(f"a score is a number in its interval, not {self.value} in {self.low} to {self.high}")

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval."""
        return self.low, self.high

    @classmethod
    def mean(cls, values: Sequence[float]) -> Value:
        """The mean of one value per example, with its normal 95 % interval.

        >>> [round(bound, 3) for bound in Value.mean([1.0, 2.0, 3.0]).interval]
        [0.868, 3.132]
        """
        count, mean = len(values), math.fsum(values) / len(values)
        variance = math.fsum((value - mean) ** 2 for value in values) / max(1, count - 1)
        half = Z_95 * math.sqrt(variance / count)
        return cls(value=mean, low=mean - half, high=mean + half, total=count)


def exact_sum(values: Iterable[float]) -> float:
    """The sum of decimals such as 0.3, taken as they are written, and rounded once, at its end.

    >>> sum([0.1] * 3), exact_sum([0.1] * 3)
    (0.30000000000000004, 0.3)
    """
    counts = collections.Counter(values)
    return float(sum(Fraction(repr(float(value))) * count for value, count in counts.items()))


Score = Accuracy | Value  # how good a submodel's outputs are: a value in its 95 % interval, of `total` examples
