from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bstsearch.report.labels import SAME, Box, Label, Point, numbers, place_labels

AREA = Box(x0=0, y0=0, x1=700, y1=540)
HEIGHT = 29.0  # as in the picture
POINTS = st.tuples(st.floats(10, 690), st.floats(10, 530))


def placed(rows: list[Point], others: list[Point] = (), first: int = 0) -> tuple[Label, ...]:  # type: ignore[assignment]
    return place_labels(rows, others, AREA, first=first, height=HEIGHT)


def check(rows: list[Point], others: list[Point], labels: tuple[Label, ...]) -> None:
    """No label can be taken for another row's: its nearest point is its own, or a line leads to its own."""
    named = [row for label in labels for row in label.rows]
    assert len(named) == len(set(named))
    for label in labels:
        assert all(math.dist(rows[row - 1], label.point) < SAME for row in label.rows)
        foreign = [point for point in (*rows, *others) if math.dist(point, label.point) >= SAME]
        own = math.dist(label.point, label.centre)
        assert label.has_leader or all(own < math.dist(point, label.centre) for point in foreign)
        assert all(label.box.distance(point) > 0 for point in foreign), "it hides another point"
        assert not label.has_leader or label.box.distance(label.point) > 0, "it hides its own point beside it"
    for index, label in enumerate(labels):
        assert not any(label.box.overlaps(other.box) for other in labels[:index])


@given(st.lists(POINTS, min_size=1, max_size=20), st.lists(POINTS, max_size=20), st.integers(0, 19))
def test_no_label_can_be_taken_for_its_neighbours(rows: list[Point], others: list[Point], first: int) -> None:
    labels = placed(rows, others, first % len(rows))
    check(rows, others, labels)


@pytest.mark.parametrize("seed", [*range(5), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(5, 20))])
@pytest.mark.parametrize("size", [4.0, 20.0, 60.0, 200.0])
def test_twenty_rows_close_together_all_have_their_number(size: float, seed: int) -> None:
    """Rising like a front, in a square of so many pixels somewhere in the panel."""
    draw = random.Random(seed)
    x, y = draw.uniform(20, 680 - size), draw.uniform(20, 520 - size)
    rows = list(
        zip(
            sorted(x + size * draw.random() for _ in range(20)),
            sorted(y + size * draw.random() for _ in range(20)),
            strict=True,
        )
    )
    labels = placed(rows, first=7)
    check(rows, [], labels)
    assert {row for label in labels for row in label.rows} == set(range(1, 21))


def test_fronts_like_those_that_ship_have_their_numbers_on_their_points() -> None:
    rows = [(50.0, 90.0), (110.0, 100.0), (170.0, 110.0), (205.0, 450.0), (240.0, 120.0), (300.0, 453.0)]
    labels = placed(rows, [(420.0, 448.0), (450.0, 452.0), (690.0, 448.0)], first=3)
    assert [(label.rows, label.centre) for label in sorted(labels, key=lambda label: label.rows)] == [
        ((row,), point) for row, point in enumerate(rows, start=1)
    ]


def test_rows_at_one_place_share_a_label() -> None:
    labels = placed([(100.0, 100.0)] * 3 + [(400.0, 300.0)] + [(100.0, 100.0)])
    assert sorted((label.rows, label.has_leader) for label in labels) == [((1, 2, 3, 5), False), ((4,), False)]


def test_two_that_touch_stand_beside_their_points_at_the_end_of_lines() -> None:
    one, other = placed([(300.0, 300.0), (306.0, 300.0)])
    assert (one.has_leader, other.has_leader) == (True, True)
    check([(300.0, 300.0), (306.0, 300.0)], [], (one, other))


def test_a_dominated_point_is_not_hidden() -> None:
    (label,) = placed([(300.0, 300.0)], [(308.0, 300.0)])
    assert label.has_leader
    assert label.box.distance((308.0, 300.0)) > 0


def test_the_recommended_row_is_the_last_to_go_without_a_number() -> None:
    """On so small a panel not all find a place."""
    area = Box(x0=0, y0=0, x1=120, y1=120)
    rows = [(55.0 + number / 2, 55.0 + number) for number in range(15)]
    labels = place_labels(rows, [], area, first=11, height=HEIGHT)
    assert 0 < len(labels) < len(rows)
    assert any(12 in label.rows for label in labels)


def test_numbers_name_runs_by_their_ends() -> None:
    assert numbers([4]) == "4"
    assert numbers([1, 2, 4]) == "1,2,4"
    assert numbers(range(1, 21)) == "1-20"
