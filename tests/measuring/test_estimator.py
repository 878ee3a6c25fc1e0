"""The estimator against devices whose quiet latencies are known, disturbed in the ways in which devices are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bstsearch.measuring import estimator
from bstsearch.measuring.driver import Run
from bstsearch.measuring.estimator import (
    Rounds,
    Timing,
    estimate,
    grade,
    preempted_share,
    quiet_ms,
    typical_uncertainty,
)

QUIET_MS = {f"g{n}": 0.2 * 1.12**n for n in range(12)}
ROUNDS, RUNS = 20, 5

Disturb = Callable[[np.random.Generator, int, float], Run]


def calm(draw: np.random.Generator, number: int, ms: float) -> Run:
    """A device at rest: half a percent of noise, a tenth of the runs somewhat slower."""
    wall = ms * float(np.exp(abs(draw.normal(0, 0.005)))) * (1.3 if draw.random() < 0.1 else 1.0)
    return Run(wall, wall, 0)


def taken(disturb: Disturb, *, rounds: int = ROUNDS, seed: int = 0) -> Rounds:
    draw = np.random.default_rng(seed)
    return {
        name: [tuple(disturb(draw, number, ms) for _ in range(RUNS)) for number in range(rounds)]
        for name, ms in QUIET_MS.items()
    }


def ratio_errors(timings: dict[str, Timing]) -> np.ndarray:
    """How far the ratio of every two latencies lies from the true one."""
    shares = np.array([timings[name].latency_ms / ms for name, ms in QUIET_MS.items()])
    pairs = np.triu_indices(len(shares), 1)
    return np.abs(shares[pairs[0]] / shares[pairs[1]] - 1)


def held(timings: dict[str, Timing]) -> float:
    """The share of intervals that hold the quiet latency."""
    return float(np.mean([timings[name].low_ms <= ms <= timings[name].high_ms for name, ms in QUIET_MS.items()]))


def preempted(share: float) -> Disturb:
    """Other programs take the core for some milliseconds in that share of the runs; the system tells."""

    def run(draw: np.random.Generator, number: int, ms: float) -> Run:
        alone = calm(draw, number, ms)
        if draw.random() >= share:
            return alone
        return Run(alone.wall_ms + draw.exponential(4.0), alone.wall_ms * 1.01, 1)

    return run


def untold(disturb: Disturb) -> Disturb:
    """The same on a device that tells the time only, as a browser."""
    return lambda draw, number, ms: Run(disturb(draw, number, ms).wall_ms)


def throttled(draw: np.random.Generator, number: int, ms: float) -> Run:
    """The clock falls by 30 % in the middle."""
    return calm(draw, number, ms if number < ROUNDS // 2 else ms / 0.7)


def in_bursts(draw: np.random.Generator, number: int, ms: float) -> Run:
    """Every third pair of rounds something else uses the caches."""
    return calm(draw, number, ms * (1.4 if number // 2 % 3 == 0 else 1.0))


@pytest.mark.parametrize(
    "disturb",
    [calm, preempted(0.1), preempted(0.5), preempted(1.0), untold(preempted(0.3)), throttled, in_bursts],
    ids=["calm", "a tenth", "half", "all", "untold", "throttled", "bursts"],
)
def test_quiet_latencies_are_found_in_disturbed_runs(disturb: Disturb) -> None:
    timings = estimate(taken(disturb))
    errors = ratio_errors(timings)
    assert np.median(errors) < 0.03
    assert np.quantile(errors, 0.9) < 0.08
    assert held(timings) >= 0.9


def test_medians_would_not_have_found_them() -> None:
    """The disturbances above are no mild ones: the median of all runs, which was reported once, is far off."""
    runs = taken(throttled)
    assert max(abs(timing.seen_ms / QUIET_MS[name] - 1) for name, timing in estimate(runs).items()) > 0.1
    assert estimate(taken(preempted(1.0)))["g0"].seen_ms > 5 * QUIET_MS["g0"]


def test_where_nobody_tells_that_all_runs_were_interrupted_the_interval_does() -> None:
    timings = estimate(taken(untold(preempted(1.0))))
    assert typical_uncertainty(timings) > estimator.FAIR
    assert grade(timings) == "poor"


def test_a_calm_device_is_known_well() -> None:
    timings = estimate(taken(calm))
    assert typical_uncertainty(timings) < 0.04
    assert grade(timings) == "good"
    assert all(timing.noise < 0.01 for timing in timings.values())


def test_more_rounds_narrow_the_intervals() -> None:
    few, many = (typical_uncertainty(estimate(taken(untold(preempted(0.6)), rounds=count))) for count in (20, 200))
    assert many < few


def test_few_graphs_have_no_drift_taken_out() -> None:
    """Of two, what both share could be chance; drift widens the interval."""
    timings = estimate({"a": [(Run(ms),) for ms in (1.0, 1.0, 1.2, 1.2, 1.2)], "b": [(Run(2.0),)] * 5})
    assert timings["a"].latency_ms == pytest.approx(1.0)
    assert timings["a"].high_ms > 1.2
    assert timings["b"].uncertainty == pytest.approx(estimator.BETWEEN_TIMES)


def test_an_interrupted_round_counts_for_none() -> None:
    whole = taken(calm)
    cut = {name: [*visits, *([(Run(50.0),)] if name == "g0" else [])] for name, visits in whole.items()}
    assert estimate(cut)["g0"].latency_ms == estimate(whole)["g0"].latency_ms
    assert len(estimate(cut)["g0"].visits) == ROUNDS + 1


def test_one_round_has_a_latency_too() -> None:
    timings = estimate(taken(calm, rounds=1))
    assert timings["g3"].latency_ms == pytest.approx(QUIET_MS["g3"], rel=0.05)
    assert timings["g3"].noise == 0


@pytest.mark.parametrize(
    ("run", "ms"),
    [
        (Run(2.0), 2.0),
        (Run(2.0, 2.1, 0), 2.0),
        (Run(9.0, 2.1, 3), 2.1),
        (Run(9.0, 2.1, None), 2.1),  # macOS tells no switches
        (Run(2.0, 2.1, 1), 2.0),
        (Run(2.0, 0.0, 1), 2.0),  # a clock too coarse to see the run
    ],
)
def test_what_a_run_needed(run: Run, ms: float) -> None:
    assert quiet_ms(run) == ms


def test_the_share_of_interrupted_runs_is_told_where_it_is_known() -> None:
    runs = {"a": [(Run(1.0, 1.0, 0), Run(5.0, 1.0, 2))], "b": [(Run(1.0),)]}
    assert preempted_share(estimate(runs)) == 0.5
    assert preempted_share(estimate({"b": [(Run(1.0),)]})) is None


@given(st.lists(st.lists(st.floats(0.1, 10), min_size=3, max_size=3), min_size=1, max_size=9), st.integers(1, 7))
def test_a_latency_lies_in_its_interval(times: list[list[float]], graphs: int) -> None:
    timings = estimate({str(n): [tuple(Run(ms * (n + 1)) for ms in visit) for visit in times] for n in range(graphs)})
    for timing in timings.values():
        assert timing.low_ms < timing.latency_ms < timing.high_ms
