from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from bstsearch.score import Z_95, Accuracy, exact_sum


@given(total=st.integers(1, 10_000), share=st.floats(0, 1))
def test_the_interval_solves_wilsons_equation(total: int, share: float) -> None:
    accuracy = Accuracy(correct=round(share * total), total=total)
    low, high = accuracy.interval
    assert 0 <= low <= accuracy.value <= high <= 1
    # At a bound p the observed share lies exactly 1.96 standard errors of p away.
    for bound in (low, high):
        if 1e-9 < bound < 1 - 1e-9:
            distance = abs(accuracy.value - bound)
            assert math.isclose(distance, Z_95 * math.sqrt(bound * (1 - bound) / total), rel_tol=1e-6, abs_tol=1e-9)


@given(st.lists(st.sampled_from([0.0, 0.1, 0.3, 0.6, 0.9, 1.0]), min_size=1, max_size=200))
def test_tenths_add_up_to_the_decimal_that_one_would_write(worths: list[float]) -> None:
    tenths = sum(round(10 * worth) for worth in worths)
    assert Accuracy.of(worths).correct == tenths / 10


def test_other_numbers_add_up_rounded_once() -> None:
    assert exact_sum([1e16, 1.0, -1e16]) == 1.0
    assert exact_sum([]) == 0.0
