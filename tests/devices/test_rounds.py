from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bstsearch.devices import rounds
from bstsearch.devices.driver import Visit
from bstsearch.devices.rounds import Timing, refuse_noise, time_in_rounds
from bstsearch.errors import NoisyMeasurementError

Reports = list[tuple[dict[str, int], float]]


class Device:
    """Takes as long for a run as it is told to, and remembers what it was asked."""

    def __init__(self, **milliseconds: float | Callable[[], float]) -> None:
        self._milliseconds = milliseconds
        self.now = 0.0  # seconds
        self.calls: list[list[Visit]] = []
        self.opened: list[list[str]] = []
        self.stop_after = 10_000

    def open(self, names: Sequence[str]) -> None:
        self.opened.append(list(names))

    def time(self, visits: Sequence[Visit]) -> list[tuple[float, ...]]:
        if len(self.calls) == self.stop_after:
            raise KeyboardInterrupt
        self.calls.append(list(visits))
        return [self._run(visit.name, 2 * visit.count)[visit.count :] for visit in visits]

    def _run(self, name: str, count: int) -> tuple[float, ...]:
        ms = self._milliseconds[name]
        times = []
        for _ in range(count):
            times.append(ms() if callable(ms) else ms)
            self.now += times[-1] / 1000
        return tuple(times)

    @property
    def rounds(self) -> list[list[Visit]]:
        """What was asked without the first runs, which only tell how long a run takes."""
        return [visits for visits in self.calls if visits != [Visit(name=visits[0].name, count=1)] * 3]

    @property
    def visits(self) -> Counter[str]:
        """How often each graph was visited in a round."""
        return Counter(visit.name for visits in self.rounds for visit in visits)


def take(device: Device, *groups: Sequence[str], seed: int = 0) -> dict[str, Timing]:
    return time_in_rounds(groups, device.time, open_group=device.open, seed=seed)


def test_every_run_is_timed_alone() -> None:
    timings = take(Device(a=1.0, b=3.0), "ab")
    assert {name: timing.latency_ms for name, timing in timings.items()} == {"a": 1.0, "b": 3.0}
    assert timings["a"].times_ms == (1.0,) * rounds.ROUNDS * rounds.RUNS


def test_a_round_visits_every_graph_once() -> None:
    device = Device(a=1.0, b=2.0, c=3.0)
    take(device, "abc")
    first = device.calls[:3]  # to learn how long a run takes
    assert {visits[0].name for visits in first} == set("abc")
    assert all(visits == [Visit(name=visits[0].name, count=1)] * 3 for visits in first)
    assert len(device.calls[3:]) == rounds.ROUNDS
    for visits in device.calls[3:]:
        assert {visit.name: visit.count for visit in visits} == dict.fromkeys("abc", rounds.RUNS)
        assert len(visits) == 3


def test_the_order_changes_from_round_to_round_and_follows_the_seed() -> None:
    def orders(seed: int) -> list[tuple[str, ...]]:
        device = Device(a=1.0, b=1.0, c=1.0)
        take(device, "abc", seed=seed)
        return [tuple(visit.name for visit in visits) for visits in device.rounds]

    assert len(set(orders(0))) > 3
    assert orders(0) == orders(0) != orders(1)


def test_drift_hits_all_graphs_alike() -> None:
    """A device that slows down threefold: medians triple halfway for all, so their ratio stays true."""

    def slow() -> float:
        return 1 + 2 * device.now

    device = Device(a=slow, b=lambda: 2 * slow())
    timings = take(device, "ab")
    assert timings["b"].latency_ms / timings["a"].latency_ms == pytest.approx(2.0, rel=0.03)


def test_slow_graphs_run_fewer_times_a_visit() -> None:
    timings = take(Device(quick=1.0, slow=8.0, slower=500.0), ["quick", "slow", "slower"])
    assert {name: len(timing.rounds_ms[0]) for name, timing in timings.items()} == {"quick": 5, "slow": 2, "slower": 1}


# How many rounds


def alternating(*milliseconds: float, each: int) -> Callable[[], float]:
    """The first duration `each` times, then the next one, and so on, round and round."""
    times: Iterator[float] = itertools.cycle(ms for ms in milliseconds for _ in range(each))
    return lambda: next(times)


def note_into(reports: Reports) -> Callable[[rounds.Rounds, float], None]:
    return lambda known, share: reports.append(({name: len(times) for name, times in known.items()}, share))


def test_rounds_that_agree_end_after_one_batch() -> None:
    device, reports = Device(a=alternating(1.0, 1.05, 0.95, each=1)), Reports()
    timings = time_in_rounds(["a"], device.time, on_round=note_into(reports))
    assert len(timings["a"].rounds_ms) == rounds.ROUNDS
    assert reports == [({"a": done}, done / rounds.ROUNDS) for done in range(1, rounds.ROUNDS + 1)]


def test_rounds_that_disagree_are_repeated_up_to_a_limit_and_then_refused() -> None:
    # The three first visits aside, every other one takes twice as long.
    device, reports = Device(calm=1.0, noisy=alternating(1.0, 2.0, each=10)), Reports()
    timings = time_in_rounds([["calm", "noisy"]], device.time, on_round=note_into(reports))
    assert {name: len(timing.rounds_ms) for name, timing in timings.items()} == {"calm": 20, "noisy": 200}
    assert reports[-1] == ({"calm": rounds.ROUNDS, "noisy": rounds.MOST_ROUNDS}, 1.0)
    with pytest.raises(NoisyMeasurementError, match=r"noisy takes between 1 and 2 ms after 200 rounds.*Be still\."):
        refuse_noise(timings, remedy="Be still.")


def test_a_median_known_to_seven_percent_is_worth_more_rounds_but_not_refused() -> None:
    timings = take(Device(a=alternating(1.0, 1.15, each=10)), "a")
    assert timings["a"].uncertainty == pytest.approx(0.07, abs=0.005)
    assert len(timings["a"].rounds_ms) == rounds.MOST_ROUNDS
    refuse_noise(timings, remedy="")


def test_a_passing_disturbance_is_outweighed_by_more_rounds() -> None:
    device = Device(a=lambda: 2.0 if len(device.calls) <= 1 + rounds.ROUNDS // 2 else 1.0)  # half of the first batch
    timing = take(device, "a")["a"]
    assert rounds.ROUNDS < len(timing.rounds_ms) <= rounds.MOST_ROUNDS
    assert timing.latency_ms == pytest.approx(1.0)
    refuse_noise({"a": timing}, remedy="")


# Groups


def test_groups_take_turns_of_some_rounds() -> None:
    device = Device(a=1.0, b=1.0, c=1.0)
    take(device, "ab", "c")
    turns = rounds.ROUNDS // rounds.TURN
    assert device.opened == [["a", "b"], ["c"]] * turns
    names = ["".join(sorted(visit.name for visit in visits)) for visits in device.rounds]
    assert [(name, len(list(group))) for name, group in itertools.groupby(names)] == (
        [("ab", rounds.TURN), ("c", rounds.TURN)] * turns
    )


def test_one_group_is_opened_once() -> None:
    device = Device(a=1.0, b=alternating(1.0, 2.0, each=10))
    take(device, "ab")
    assert device.opened == [["a", "b"]]


def test_a_group_that_is_done_is_not_opened_again() -> None:
    device = Device(calm=1.0, noisy=alternating(1.0, 2.0, each=10))
    take(device, ["calm"], ["noisy"])
    assert device.opened[8:] == []
    assert device.visits == {"calm": rounds.ROUNDS, "noisy": rounds.MOST_ROUNDS}


# Going on after an interrupt


@pytest.mark.parametrize("groups", [["abc"], ["ab", "c"], ["a", "b", "c"]])
@pytest.mark.parametrize("stop", [0, 2, 7, 13, 40])
def test_no_round_is_taken_twice(groups: list[str], stop: int) -> None:
    kept: dict[str, list[tuple[float, ...]]] = {}

    def keep(known: rounds.Rounds, share: float) -> None:
        kept.update({name: list(times) for name, times in known.items()})

    device = Device(a=1.0, b=8.0, c=3.0)
    device.stop_after = stop
    try:
        time_in_rounds(groups, device.time, on_round=keep)
    except KeyboardInterrupt:
        device.stop_after = 10_000
    timings = time_in_rounds(groups, device.time, known=kept, on_round=keep)
    assert device.visits == dict.fromkeys("abc", rounds.ROUNDS)
    assert {name: len(timing.rounds_ms[0]) for name, timing in timings.items()} == {"a": 5, "b": 2, "c": 5}
    assert kept == {name: list(timing.rounds_ms) for name, timing in timings.items()}


def test_what_is_complete_is_not_timed_at_all() -> None:
    device, known = Device(), {"a": [(1.0, 1.1)] * rounds.ROUNDS}
    assert time_in_rounds(["a"], device.time, open_group=device.open, known=known) == {
        "a": Timing(rounds_ms=tuple(known["a"]))
    }
    assert (device.calls, device.opened) == ([], [])


# What came out


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


def test_noise_is_how_far_every_other_round_lies_from_the_rest() -> None:
    assert Timing(rounds_ms=((1.0, 1.0), (1.0, 1.0), (1.0, 1.0))).noise == 0
    assert Timing(rounds_ms=((1.1,), (1.0,), (1.1,), (1.0,))).noise == pytest.approx(0.1)
