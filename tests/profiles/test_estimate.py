from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bstsearch.errors import InputError
from bstsearch.profiles.estimate import RUNTIME_BYTES, Work, estimate, estimate_memory, is_extrapolated, milliseconds
from bstsearch.profiles.profile import Rates
from bstsearch.profiles.profile_file import load_profile

MakeProfile = Callable[..., Any]
SHIPPED = Path(__file__).parents[2] / "profiles"

RATES = Rates(
    gflops_per_s=20.0, exponent=0.9, gb_per_s=10.0, smallest_gflops=0.6, largest_gflops=12.0, arithmetic="made up"
)


@pytest.mark.parametrize(
    ("gflops", "recurrent_mb", "ms"),
    [
        (1.0, 0.0, 50.0),  # 1 GFLOP at 20 a second
        (0.0, 58.72, 5.872),  # MB over GB/s are ms
        (1.0, 58.72, 55.872),
        (4.0, 0.0, 50.0 * 3.4822022531844965),  # 4^0.9
    ],
)
def test_matrix_products_and_recurrent_weights_add_up(gflops: float, recurrent_mb: float, ms: float) -> None:
    assert milliseconds(RATES, Work(gflops=gflops, recurrent_mb=recurrent_mb)) == pytest.approx(ms)


def test_small_models_run_less_efficiently_than_big_ones() -> None:
    rate = [size / milliseconds(RATES, Work(gflops=size, recurrent_mb=0.0)) for size in (0.1, 1.0, 10.0)]
    assert rate == sorted(rate)
    assert rate[2] / rate[0] == pytest.approx(100**0.1)


@pytest.mark.parametrize(("gflops", "expected"), [(0.59, True), (0.6, False), (12.0, False), (12.1, True)])
def test_outside_of_the_published_sizes_is_extrapolated(gflops: float, expected: bool) -> None:
    assert is_extrapolated(RATES, Work(gflops=gflops, recurrent_mb=1.0)) is expected


def test_the_range_is_the_profile_s_error() -> None:
    profile = load_profile(SHIPPED / "pixel7.json")
    found = estimate(profile, Work(gflops=1.0, recurrent_mb=0.0))
    assert found.source == "estimated"
    assert found.ms == pytest.approx(1000 / profile.rates.gflops_per_s)
    assert (found.low_ms, found.high_ms) == (pytest.approx(found.ms / 1.4), pytest.approx(found.ms * 1.4))
    assert found.safe_ms == found.high_ms


def test_the_source_is_how_the_profile_was_obtained() -> None:
    work = Work(gflops=1.0, recurrent_mb=0.0)
    assert estimate(load_profile(SHIPPED / "pixel4.json"), work).source == "calibrated"


def test_a_measured_profile_has_no_rates(tiny_folder: Path, make_profile: MakeProfile) -> None:
    with pytest.raises(InputError, match="'local' is measured and has no rates to estimate by"):
        estimate(make_profile(tiny_folder), Work(gflops=1.0, recurrent_mb=0.0))


def test_memory_is_at_least_weights_and_activations() -> None:
    found = estimate_memory(weight_bytes=1000, activation_bytes=10)
    assert (found.bytes, found.low_bytes, found.source) == (1010, 1010, "estimated")
    assert found.high_bytes == RUNTIME_BYTES + 2 * 1000 + 10  # the weights twice, while they are loaded
