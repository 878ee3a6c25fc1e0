"""The edge of a front in one cost: the best accuracy that each cost buys."""

from __future__ import annotations

from collections.abc import Iterable


def staircase(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points (cost, accuracy) that are more accurate than every cheaper one, cheapest first.

    >>> staircase([(2, 90), (1, 80), (3, 85)])
    [(1, 80), (2, 90)]
    """
    steps: list[tuple[float, float]] = []
    for cost, accuracy in sorted(points, key=lambda point: (point[0], -point[1])):
        if not steps or accuracy > steps[-1][1]:
            steps.append((cost, accuracy))
    return steps
