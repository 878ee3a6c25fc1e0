"""Whether the scores of two submodels differ by more than chance makes likely (no torch)."""

from __future__ import annotations

import math

from bstsearch.score import Z_95, Accuracy
from bstsearch.searching.pareto import Candidate


def is_apart(one: Candidate, other: Candidate) -> bool:
    """Whether the two scored candidates differ significantly (two-sided, 5 %), their scores taken as independent.

    Of right answers the counts are tested, as two proportions; of other scores what their intervals say. Submodels
    that answer the same questions err alike, so where it says yes, they differ.
    """
    first, second = one.accuracy, other.accuracy
    if isinstance(first, Accuracy) and isinstance(second, Accuracy):
        share = (first.correct + second.correct) / (first.total + second.total)
        variance = share * (1 - share) * (1 / first.total + 1 / second.total)
    else:
        variance = sum(((high - low) / (2 * Z_95)) ** 2 for low, high in (one.interval, other.interval))
    return abs(one.score - other.score) > Z_95 * math.sqrt(variance)


def marks(front: tuple[Candidate, ...]) -> tuple[bool, ...]:
    """For each row of a front whether it is significantly apart from the row before; the first one is."""
    return tuple(index == 0 or is_apart(front[index - 1], one) for index, one in enumerate(front))
