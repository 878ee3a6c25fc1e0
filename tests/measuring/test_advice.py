from __future__ import annotations

import pytest

from bstsearch.measuring.advice import find_load_warnings, find_warnings
from bstsearch.measuring.driver import Run
from bstsearch.measuring.estimator import Timing, estimate


def timing(*milliseconds: float) -> Timing:
    return estimate({"a": [(Run(ms),) for ms in milliseconds]})["a"]


CALM = timing(*[1.0, 1.01] * 10)
UNSURE = timing(*[1.0, 1.08, 0.92] * 3)
SLOWING = timing(*[1.0] * 20, *[1.3] * 6)
SEEN = estimate({"a": [(Run(1.0, 1.0, 0), Run(9.0, 1.0, 2), Run(8.0, 1.0, 1))] * 20})["a"]


def test_a_calm_machine_gets_no_warning() -> None:
    assert find_warnings({"w1-d1": CALM}) == ()
    assert find_load_warnings(threads=2, cores=2, others=0.1) == ()
    assert find_load_warnings(threads=1, cores=2, others=1.1) == ()  # on the core left free


@pytest.mark.parametrize(
    ("timing", "expected"),
    [
        (UNSURE, "one latency in ten is known to +-11% or less well, after 9 rounds"),
        (SLOWING, "the device became 30% slower while it was measured, most likely from heat"),
        (SEEN, "as seen, submodels took 8 times their quiet latency (median)"),
    ],
)
def test_what_is_odd_has_a_warning(timing: Timing, expected: str) -> None:
    (warning,) = find_warnings({"w1-d1": timing})
    assert warning.startswith(expected)


def test_what_helps_is_said() -> None:
    (warning,) = find_warnings({"w1-d1": UNSURE})
    assert warning.endswith("for narrower intervals close other programs and measure again with --measure")


@pytest.mark.parametrize(
    ("threads", "others", "expected"),
    [
        (8, 0.0, "8 threads share 2 cores and wait for each other; give --threads 2 or fewer"),
        (2, 1.0, "other programs kept 1.0 of 2 cores busy; intervals are wider for it"),
        (1, 1.6, "other programs kept 1.6 of 2 cores busy; intervals are wider for it"),
    ],
)
def test_a_load_has_a_warning(threads: int, others: float, expected: str) -> None:
    assert find_load_warnings(threads=threads, cores=2, others=others) == (expected,)
