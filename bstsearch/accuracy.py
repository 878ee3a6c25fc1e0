"""How good answers are (no torch)."""

from __future__ import annotations

import dataclasses
import math

Z_95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution


@dataclasses.dataclass(frozen=True, kw_only=True)
class Accuracy:
    """`correct` of `total` questions; soft scores may make `correct` a fraction.

    >>> Accuracy(correct=90, total=100).value
    0.9
    """

    correct: float
    total: int

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
