"""Where row numbers go beside crowded points, so that none can be taken for its neighbour's (plain geometry)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

CLEAR = 4.0  # pixels between a label and what is not its own
DOT = 6.0  # pixels from the middle of a point to its edge
SAME = 1.0  # pixels within which points look like one
ANGLES = tuple(
    math.radians(degrees) for degrees in (90, 270, 45, 135, 315, 225, 0, 180, 68, 112, 248, 292, 22, 158, 338, 202)
)
REACH = (1.3, 1.8, 2.4, 3.2, 4.2, 5.4, 7.0, 9.0, 12.0, 16.0)  # how far away a label is tried, in heights of a label

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Box:
    """A rectangle, upright."""

    x0: float
    y0: float
    x1: float
    y1: float

    @classmethod
    def around(cls, centre: Point, width: float, height: float) -> Box:
        """The box of that size."""
        (x, y), half, tall = centre, width / 2, height / 2
        return cls(x0=x - half, y0=y - tall, x1=x + half, y1=y + tall)

    def distance(self, point: Point) -> float:
        """From the box to the point; 0 inside."""
        x, y = point
        return math.hypot(max(self.x0 - x, 0, x - self.x1), max(self.y0 - y, 0, y - self.y1))

    def overlaps(self, other: Box, clear: float = 0.0) -> bool:
        """Whether the two come closer than `clear` in both directions."""
        return (
            self.x0 < other.x1 + clear
            and other.x0 < self.x1 + clear
            and self.y0 < other.y1 + clear
            and other.y0 < self.y1 + clear
        )

    def holds(self, other: Box) -> bool:
        """Whether all of the other lies inside."""
        return self.x0 <= other.x0 and self.y0 <= other.y0 and other.x1 <= self.x1 and other.y1 <= self.y1

    def meets(self, start: Point, end: Point) -> bool:
        """Whether the line between two points comes within the box, looked at in short steps."""
        (x, y), (u, v) = start, end
        if max(x, u) < self.x0 or min(x, u) > self.x1 or max(y, v) < self.y0 or min(y, v) > self.y1:
            return False
        steps = max(2, round(math.dist(start, end) / 3))
        return any(self.distance(between(start, end, step / steps)) == 0 for step in range(steps + 1))


@dataclass(frozen=True, kw_only=True)
class Label:
    """The numbers of the rows at `point`, written in `box`; a line leads there where the box is not on the point."""

    rows: tuple[int, ...]
    point: Point
    box: Box

    @property
    def centre(self) -> Point:
        """The centre of the box."""
        return (self.box.x0 + self.box.x1) / 2, (self.box.y0 + self.box.y1) / 2

    @property
    def has_leader(self) -> bool:
        """Whether the box stands beside its point."""
        return math.dist(self.centre, self.point) > SAME


def place_labels(
    rows: Sequence[Point], others: Sequence[Point], area: Box, *, first: int, height: float
) -> tuple[Label, ...]:
    """A label for each row (numbered from 1) within `area`, row `first` (counted from 0) before all others.

    A label lies on its point. Where another point of `rows` or `others` is too near, it stands where it hides nothing,
    at the end of a line. Rows whose points look like one share it. What fits nowhere has no label.
    """
    groups = _groups(rows)
    points = [*(rows[group[0]] for group in groups), *others]
    boxes = [Box.around(rows[group[0]], _width(group, height), height) for group in groups]
    crowded = [_is_crowded(box, rows[group[0]], points, boxes) for group, box in zip(groups, boxes, strict=True)]
    labels: list[Label] = []
    # Those that may lie on their points first, since they stay where they are whatever else is there.
    for index in sorted(range(len(groups)), key=lambda index: (crowded[index], first not in groups[index])):
        point = rows[groups[index][0]]
        box = _beside(boxes[index], point, points, labels, area) if crowded[index] else boxes[index]
        if box:
            labels.append(Label(rows=tuple(row + 1 for row in groups[index]), point=point, box=box))
    return tuple(labels)


def numbers(rows: Iterable[int]) -> str:
    """Row numbers as a label shows them.

    >>> numbers([1, 2, 3, 5, 7, 8])
    '1-3,5,7,8'
    """
    runs: list[list[int]] = []
    for row in rows:
        if runs and row == runs[-1][-1] + 1:
            runs[-1].append(row)
        else:
            runs.append([row])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs)


def between(start: Point, end: Point, share: float) -> Point:
    """The point at that share of the way."""
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])


def _groups(rows: Sequence[Point]) -> list[list[int]]:
    groups: list[list[int]] = []
    for row, point in enumerate(rows):
        near = (group for group in groups if math.dist(rows[group[0]], point) < SAME)
        group = next(near, None)
        if group is None:
            groups.append([row])
        else:
            group.append(row)
    return groups


def _width(group: Sequence[int], height: float) -> float:
    """The width of the label for these rows."""
    return height * (0.45 + 0.42 * max(1.3, len(numbers(row + 1 for row in group))))


def _is_crowded(box: Box, point: Point, points: Sequence[Point], boxes: Sequence[Box]) -> bool:
    """Whether a label on this point would hide another point or touch what may be the label of another."""
    hides = any(box.distance(one) < DOT + CLEAR for one in points if math.dist(one, point) >= SAME)
    return hides or any(box.overlaps(other, CLEAR) for other in boxes if other is not box)


def _beside(own: Box, point: Point, points: Sequence[Point], labels: Sequence[Label], area: Box) -> Box | None:
    """The nearest box that hides nothing and has no fault; else the one with the fewest faults."""
    best, least = None, math.inf
    width, height = own.x1 - own.x0, own.y1 - own.y0
    foreign = [one for one in points if math.dist(one, point) >= SAME]
    for centre in _around(point, width, height):
        box = Box.around(centre, width, height)
        is_free = area.holds(box) and not any(box.overlaps(label.box, CLEAR) for label in labels)
        if not is_free or any(box.distance(one) < CLEAR for one in points):
            continue
        faults = _faults(point, box, centre, foreign, labels)
        if faults == 0:
            return box
        if faults < least:
            best, least = box, faults
    return best


def _around(point: Point, width: float, height: float) -> Iterable[Point]:
    for reach in REACH:
        for angle in ANGLES:
            across = reach * height + (width - height) / 2
            yield point[0] + across * math.cos(angle), point[1] + reach * height * math.sin(angle)


def _faults(point: Point, box: Box, centre: Point, foreign: Sequence[Point], labels: Sequence[Label]) -> int:
    """How much the line from the point to the box meets that is not its own, the worst counted most."""
    leaders = [label for label in labels if label.has_leader]
    met = sum(label.box.meets(point, centre) for label in labels)
    hidden = sum(box.meets(label.point, label.centre) for label in leaders)
    crossed = sum(_cross(point, centre, label.point, label.centre) for label in leaders)
    near = sum(_line_distance(one, point, centre) < CLEAR for one in foreign)
    is_nearer = any(math.dist(one, centre) <= math.dist(point, centre) for one in foreign)
    return 8 * (met + hidden) + 4 * crossed + 2 * near + is_nearer


def _line_distance(point: Point, start: Point, end: Point) -> float:
    length = math.dist(start, end)
    share = ((point[0] - start[0]) * (end[0] - start[0]) + (point[1] - start[1]) * (end[1] - start[1])) / length**2
    return math.dist(point, between(start, end, min(1.0, max(0.0, share))))


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the line from a to b crosses the one from c to d."""

    def side(start: Point, end: Point, point: Point) -> float:
        return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0
