from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bstsearch.report.staircase import staircase


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9))))
def test_staircase_is_the_best_accuracy_at_each_cost(points: list[tuple[int, int]]) -> None:
    steps = staircase(points)
    for cost in range(10):
        affordable = [accuracy for at, accuracy in points if at <= cost]
        assert [accuracy for at, accuracy in steps if at <= cost][-1:] == ([max(affordable)] if affordable else [])
