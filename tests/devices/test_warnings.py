from __future__ import annotations

import pytest

from bstsearch.devices.rounds import Timing
from bstsearch.devices.warnings import find_load_warnings, find_warnings

CALM = Timing(rounds_ms=((1.0, 1.01, 1.0),) * 20)
SPIKY = Timing(rounds_ms=((1.0, 1.01, 0.99, 30.0),) * 20)
UNSURE = Timing(rounds_ms=tuple((1.0 + 0.08 * (index % 3 - 1),) for index in range(9)))


def test_a_calm_machine_gets_no_warning() -> None:
    assert find_warnings({"w1-d1": CALM}) == ()
    assert find_load_warnings(threads=2, cores=2, others=0.1) == ()
    assert find_load_warnings(threads=1, cores=2, others=1.1) == ()  # on the core left free


@pytest.mark.parametrize(
    ("timing", "expected"),
    [
        (SPIKY, "20 of 80 runs of w1-d1 are outliers, up to 30 ms"),
        (UNSURE, "the latency of w1-d1 is known to +-8% only, after 9 rounds"),
    ],
)
def test_odd_times_have_a_warning_with_a_remedy(timing: Timing, expected: str) -> None:
    (warning,) = find_warnings({"w1of2-d1": CALM, "w1-d1": timing})
    assert warning.startswith(expected)
    assert "; close other programs and measure again with --measure" in warning


@pytest.mark.parametrize(
    ("threads", "others", "expected", "remedy"),
    [
        (8, 0.0, "8 threads share 2 cores and wait for each other", "; give --threads 2 or fewer"),
        (2, 1.0, "other programs kept 1.0 of 2 cores busy", "; close other programs and measure again with --measure"),
        (1, 1.6, "other programs kept 1.6 of 2 cores busy", "; close other programs and measure again with --measure"),
    ],
)
def test_a_load_has_a_warning_with_a_remedy(threads: int, others: float, expected: str, remedy: str) -> None:
    (warning,) = find_load_warnings(threads=threads, cores=2, others=others)
    assert warning.startswith(expected)
    assert warning.endswith(remedy)
