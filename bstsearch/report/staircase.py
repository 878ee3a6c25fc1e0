"""The edge of a front in one cost: the best score that each cost buys."""

from __future__ import annotations

from collections.abc import Iterable


def staircase(points: Iterable[tuple[float, float]], *, is_higher_better: bool = True) -> list[tuple[float, float]]:
    """The points (cost, score) that have a better score than every cheaper one, cheapest first.

    >>> staircase([(2, 90), (1, 80), (3, 85)])
    [(1, 80), (2, 90)]
    """
    sign = 1 if is_higher_better else -1
    steps: list[tuple[float, float]] = []
    for cost, score in sorted(points, key=lambda point: (point[0], -sign * point[1])):
        if not steps or sign * score > sign * steps[-1][1]:
            steps.append((cost, score))
    return steps
