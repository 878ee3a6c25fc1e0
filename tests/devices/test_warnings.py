from __future__ import annotations

import pytest

from bstsearch.devices.rounds import Timing
from bstsearch.devices.warnings import find_warnings, noise_remedy

CALM = Timing(rounds_ms=((1.0, 1.01, 1.0),) * 20)
SPIKY = Timing(rounds_ms=((1.0, 1.01, 0.99, 30.0),) * 20)
UNSURE = Timing(rounds_ms=tuple((1.0 + 0.08 * (index % 3 - 1),) for index in range(9)))


def test_a_calm_machine_gets_no_warning() -> None:
    assert find_warnings({"w1-d1": CALM}, threads=2, cores=2, others=0.1) == ()
    assert find_warnings({"w1-d1": CALM}, threads=1, cores=2, others=1.1) == ()  # on the core left free


@pytest.mark.parametrize(
    ("timing", "settings", "expected"),
    [
        (SPIKY, {}, "20 of 80 runs of w1-d1 are outliers, up to 30 ms"),
        (UNSURE, {}, "the latency of w1-d1 is known to +-8% only, after 9 rounds"),
        (CALM, {"threads": 8}, "8 threads share 2 cores and wait for each other; give --threads 2"),
        (CALM, {"others": 1.0}, "other programs kept 1.0 of 2 cores busy"),
        (CALM, {"threads": 1, "others": 1.6}, "other programs kept 1.6 of 2 cores busy"),
    ],
)
def test_each_cause_has_its_warning_with_a_remedy(timing: Timing, settings: dict[str, float], expected: str) -> None:
    arguments = {"threads": 2, "cores": 2, "others": 0.0} | settings
    (warning,) = find_warnings({"w1of2-d1": CALM, "w1-d1": timing}, **arguments)  # type: ignore[arg-type]
    assert warning.startswith(expected)
    assert "; close other programs and measure again with --measure" in warning or "give --threads" in warning


def test_the_remedy_for_noise_offers_fewer_threads_where_there_are_fewer() -> None:
    assert noise_remedy(others=1.26, threads=2).startswith("Meanwhile other programs kept 1.3 cores busy")
    assert "--threads 1" in noise_remedy(others=1.26, threads=2)
    assert "--threads" not in noise_remedy(others=1.26, threads=1)
