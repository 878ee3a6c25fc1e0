"""Whether the scores of two submodels differ by more than chance makes likely (no torch)."""

from __future__ import annotations

import math
from collections.abc import Iterable

from bstsearch.score import Z_95, Accuracy
from bstsearch.searching.pareto import Candidate


def find_not_apart(pairs: Iterable[tuple[Candidate, Candidate]]) -> tuple[tuple[str, str], ...]:
    """Those of the pairs of scored candidates, by their ids, that are not significantly apart (two-sided, 5 %).

    They are compared row by row where the values of both are known, which loads numpy; else by their scores alone.
    Both are of one search: their rows are the same. InputError where values are damaged.
    """
    return tuple((one.id, other.id) for one, other in pairs if not _is_apart_by_rows(one, other))


def _is_apart_by_rows(one: Candidate, other: Candidate) -> bool:
    if one.rights is None or other.rights is None:
        return is_apart(one, other)
    from bstsearch.searching.racing import are_apart, values_of

    return are_apart(values_of(one), values_of(other))


def is_apart(one: Candidate, other: Candidate) -> bool:
    """Whether the two scored candidates differ significantly (two-sided, 5 %), their scores taken as independent.

    Of right answers the counts are tested, as two proportions; of other scores what their intervals say. Submodels
    that answer the same questions err alike, so where it says yes, they differ. It is for submodels of which no more is
    known than their scores, or that may have had other questions: those of different supernets.
    """
    first, second = one.accuracy, other.accuracy
    if isinstance(first, Accuracy) and isinstance(second, Accuracy):
        share = (first.correct + second.correct) / (first.total + second.total)
        variance = share * (1 - share) * (1 / first.total + 1 / second.total)
    else:
        variance = sum(((high - low) / (2 * Z_95)) ** 2 for low, high in (one.interval, other.interval))
    return abs(one.score - other.score) > Z_95 * math.sqrt(variance)
