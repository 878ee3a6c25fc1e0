from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bstsearch.devices import rounds
from bstsearch.devices.rounds import Timing, refuse_noise, time_in_rounds
from bstsearch.errors import NoisyMeasurementError


class Clock:
    """A clock that only a run moves, and the log of the runs that moved it."""

    def __init__(self) -> None:
        self.now, self.log = 0.0, list[str]()

    def __call__(self) -> float:
        return self.now

    def run(self, name: str, milliseconds: Callable[[], float]) -> rounds.Run:
        def run() -> None:
            self.log.append(name)
            self.now += milliseconds() / 1000

        return run


def steady(clock: Clock, **milliseconds: float) -> dict[str, rounds.Run]:
    return {name: clock.run(name, lambda ms=ms: ms) for name, ms in milliseconds.items()}


def visits(log: list[str]) -> list[tuple[str, int]]:
    return [(name, len(list(group))) for name, group in itertools.groupby(log)]


def test_every_run_is_timed_alone() -> None:
    clock = Clock()
    timings = time_in_rounds(steady(clock, a=1.0, b=3.0), timer=clock)
    assert {name: timing.latency_ms for name, timing in timings.items()} == pytest.approx({"a": 1.0, "b": 3.0})
    assert timings["a"].times_ms == pytest.approx([1.0] * rounds.ROUNDS * rounds.RUNS)


def test_a_round_visits_every_submodel_once_and_warms_it_up() -> None:
    clock = Clock()
    time_in_rounds(steady(clock, a=1.0, b=2.0, c=3.0), timer=clock)
    before, after = visits(clock.log)[:3], clock.log[9:]
    assert before == [("a", 3), ("b", 3), ("c", 3)]  # first runs, to learn how long they take
    size = 3 * 2 * rounds.RUNS
    for start in range(0, len(after), size):
        assert Counter(after[start : start + size]) == dict.fromkeys("abc", 2 * rounds.RUNS)
        assert len(visits(after[start : start + size])) == 3
    assert len(after) == rounds.ROUNDS * size


def test_the_order_changes_from_round_to_round_and_follows_the_seed() -> None:
    def log(seed: int) -> list[str]:
        clock = Clock()
        time_in_rounds(steady(clock, a=1.0, b=1.0, c=1.0), timer=clock, seed=seed)
        return clock.log

    size = 3 * 2 * rounds.RUNS
    orders = {tuple(dict.fromkeys(log(0)[start : start + size])) for start in range(9, len(log(0)), size)}
    assert len(orders) > 3
    assert log(0) == log(0) != log(1)


def test_drift_hits_all_submodels_alike() -> None:
    """A machine that slows down threefold: medians triple halfway for all, so their ratio stays true."""
    clock = Clock()
    slow = lambda: 1 + 2 * clock.now  # noqa: E731
    runs = {"a": clock.run("a", slow), "b": clock.run("b", lambda: 2 * slow())}
    timings = time_in_rounds(runs, timer=clock)
    assert timings["b"].latency_ms / timings["a"].latency_ms == pytest.approx(2.0, rel=0.03)


def test_slow_submodels_run_fewer_times_a_visit() -> None:
    clock = Clock()
    timings = time_in_rounds(steady(clock, quick=1.0, slow=8.0, slower=500.0), timer=clock)
    assert {name: len(timing.rounds_ms[0]) for name, timing in timings.items()} == {"quick": 5, "slow": 2, "slower": 1}


def alternating(*milliseconds: float, each: int) -> Callable[[], float]:
    """The first duration `each` times, then the next one, and so on, round and round."""
    times: Iterator[float] = itertools.cycle(ms for ms in milliseconds for _ in range(each))
    return lambda: next(times)


def test_rounds_that_agree_end_after_one_batch() -> None:
    clock, reports = Clock(), list[tuple[int, int]]()
    runs = {"a": clock.run("a", alternating(1.0, 1.05, 0.95, each=1))}
    timings = time_in_rounds(runs, timer=clock, on_round=lambda *report: reports.append(report))
    assert len(timings["a"].rounds_ms) == rounds.ROUNDS
    assert reports == [(done, rounds.ROUNDS) for done in range(1, rounds.ROUNDS + 1)]


def test_rounds_that_disagree_are_repeated_up_to_a_limit_and_then_refused() -> None:
    clock, reports = Clock(), list[tuple[int, int]]()
    # The three first runs aside, every other visit takes twice as long.
    runs = {"calm": clock.run("calm", lambda: 1.0), "noisy": clock.run("noisy", alternating(1.0, 2.0, each=10))}
    timings = time_in_rounds(runs, timer=clock, on_round=lambda *report: reports.append(report))
    assert len(timings["noisy"].rounds_ms) == len(timings["calm"].rounds_ms) == rounds.MOST_ROUNDS
    assert reports[-1] == (rounds.MOST_ROUNDS, rounds.MOST_ROUNDS)
    with pytest.raises(NoisyMeasurementError, match=r"noisy takes between 1 and 2 ms after 200 rounds.*Be still\."):
        refuse_noise(timings, remedy="Be still.")


def test_a_median_known_to_seven_percent_is_worth_more_rounds_but_not_refused() -> None:
    clock = Clock()
    timings = time_in_rounds({"a": clock.run("a", alternating(1.0, 1.15, each=10))}, timer=clock)
    assert timings["a"].uncertainty == pytest.approx(0.07, abs=0.005)
    assert len(timings["a"].rounds_ms) == rounds.MOST_ROUNDS
    refuse_noise(timings, remedy="")


def test_a_passing_disturbance_is_outweighed_by_more_rounds() -> None:
    clock = Clock()
    runs = {"a": clock.run("a", lambda: 2.0 if len(clock.log) < 3 + 100 else 1.0)}  # half of the first batch
    timing = time_in_rounds(runs, timer=clock)["a"]
    assert rounds.ROUNDS < len(timing.rounds_ms) <= rounds.MOST_ROUNDS
    assert timing.latency_ms == pytest.approx(1.0)
    refuse_noise({"a": timing}, remedy="")


@pytest.mark.parametrize(("half_width", "is_refused"), [(0.04, False), (0.09, False), (0.11, True)])
def test_the_limit_is_ten_percent(half_width: float, is_refused: bool) -> None:
    timings = {"a": Timing(rounds_ms=tuple((1.0 + half_width * side,) for side in (-1, 0, 1)))}
    assert timings["a"].uncertainty == pytest.approx(half_width)
    if is_refused:
        with pytest.raises(NoisyMeasurementError):
            refuse_noise(timings, remedy="")
    else:
        refuse_noise(timings, remedy="")


@given(st.lists(st.lists(st.floats(0.1, 10), min_size=3, max_size=3), min_size=1, max_size=9))
def test_the_median_lies_in_its_interval(times: list[list[float]]) -> None:
    timing = Timing(rounds_ms=tuple(map(tuple, times)))
    low, high = timing.interval_ms
    assert low <= timing.latency_ms <= high
    assert timing.times_ms == tuple(itertools.chain(*times))
