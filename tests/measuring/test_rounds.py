from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import pytest

from bstsearch.measuring import rounds
from bstsearch.measuring.driver import Run, Visit
from bstsearch.measuring.estimator import BETWEEN_TIMES, Rounds, Timing
from bstsearch.measuring.rounds import time_in_rounds

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

    def time(self, visits: Sequence[Visit]) -> list[tuple[Run, ...]]:
        if len(self.calls) == self.stop_after:
            raise KeyboardInterrupt
        self.calls.append(list(visits))
        return [self._run(visit.name, 2 * visit.count)[visit.count :] for visit in visits]

    def _run(self, name: str, count: int) -> tuple[Run, ...]:
        ms = self._milliseconds[name]
        runs = []
        for _ in range(count):
            runs.append(Run(ms() if callable(ms) else ms))
            self.now += runs[-1].wall_ms / 1000
        return tuple(runs)

    @property
    def names(self) -> list[str]:
        return list(self._milliseconds)

    @property
    def rounds(self) -> list[list[Visit]]:
        """What was asked without the first runs, which only tell how long a run takes."""
        return [visits for visits in self.calls if visits != [Visit(name=visits[0].name, count=1)] * 3]

    @property
    def visits(self) -> Counter[str]:
        """How often each graph was visited in a round."""
        return Counter(visit.name for visits in self.rounds for visit in visits)


def take(device: Device, *groups: Sequence[str], seed: int = 0) -> dict[str, Timing]:
    return time_in_rounds(groups, device.time, open_group=device.open, seed=seed, clock=lambda: device.now)


def device_rounds(timings: dict[str, Timing]) -> list[int]:
    return [len(timing.visits) for timing in timings.values()]


def test_every_run_is_timed_alone() -> None:
    timings = take(Device(a=1.0, b=3.0), "ab")
    assert {name: timing.latency_ms for name, timing in timings.items()} == pytest.approx({"a": 1.0, "b": 3.0})
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
    """A device that slows down threefold does so for all, so that their ratio stays true."""

    def slow() -> float:
        return 1 + 2 * device.now

    device = Device(a=slow, b=lambda: 2 * slow())
    timings = take(device, "ab")
    assert timings["b"].latency_ms / timings["a"].latency_ms == pytest.approx(2.0, rel=0.05)


def test_slow_graphs_run_fewer_times_a_visit() -> None:
    timings = take(Device(quick=1.0, slow=8.0, slower=500.0), ["quick", "slow", "slower"])
    assert {name: len(timing.visits[0]) for name, timing in timings.items()} == {"quick": 5, "slow": 2, "slower": 1}


# How many rounds


def alternating(*milliseconds: float, each: int) -> Callable[[], float]:
    """The first duration `each` times, then the next one, and so on, round and round."""
    times: Iterator[float] = itertools.cycle(ms for ms in milliseconds for _ in range(each))
    return lambda: next(times)


def mostly_slow() -> Callable[[], float]:
    """One visit in four takes 1 ms, the others 2 ms: rounds cannot tell which it is."""
    return alternating(1.0, 2.0, 2.0, 2.0, each=10)


def note_into(reports: Reports) -> Callable[[Rounds, float], None]:
    return lambda known, share: reports.append(({name: len(times) for name, times in known.items()}, share))


def test_rounds_that_agree_end_after_one_batch() -> None:
    device, reports = Device(a=alternating(1.0, 1.02, 0.98, each=1)), Reports()
    timings = time_in_rounds(["a"], device.time, on_round=note_into(reports))
    assert len(timings["a"].visits) == rounds.ROUNDS
    assert reports == [({"a": done}, done / rounds.ROUNDS) for done in range(1, rounds.ROUNDS + 1)]


def test_rounds_that_disagree_are_repeated_up_to_a_limit() -> None:
    device, reports = Device(calm=1.0, noisy=mostly_slow()), Reports()
    timings = time_in_rounds(
        [["calm", "noisy"]], device.time, on_round=note_into(reports), clock=lambda: 0.1 * device.now
    )
    assert {name: len(timing.visits) for name, timing in timings.items()} == {"calm": 200, "noisy": 200}
    assert reports[-1] == ({"calm": rounds.MOST_ROUNDS, "noisy": rounds.MOST_ROUNDS}, 1.0)
    assert timings["noisy"].low_ms < 1.0
    assert timings["noisy"].high_ms > 2.0


@pytest.mark.parametrize(("slower", "expected"), [(1, 200), (50, 60), (1_000, 20), (100_000, 2), (10_000_000, 1)])
def test_the_time_ends_it_too(slower: int, expected: int) -> None:
    """After a minute, but with 20 rounds at least; after twenty minutes with what there is."""
    device = Device(a=mostly_slow())
    timing = time_in_rounds(["a"], device.time, clock=lambda: slower * device.now)["a"]
    assert len(timing.visits) == pytest.approx(expected, rel=0.5)


def test_nine_of_ten_that_are_known_are_enough() -> None:
    calm = {f"g{n}": 1.0 + n for n in range(11)}
    device = Device(**calm, noisy=mostly_slow())
    assert set(device_rounds(take(device, list(device.names)))) == {rounds.ROUNDS}


def test_a_passing_disturbance_is_outweighed() -> None:
    device = Device(a=lambda: 2.0 if len(device.calls) <= 1 + 14 else 1.0)  # most of the first batch
    timing = take(device, "a")["a"]
    assert rounds.ROUNDS < len(timing.visits) <= rounds.MOST_ROUNDS
    assert timing.latency_ms == pytest.approx(1.0)
    assert timing.uncertainty == pytest.approx(BETWEEN_TIMES)


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
    device = Device(a=1.0, b=mostly_slow())
    take(device, "ab")
    assert device.opened == [["a", "b"]]


def test_groups_go_on_together() -> None:
    """What all share is told by all of them, so that one that is known goes on with those that are not."""
    device = Device(calm=1.0, noisy=mostly_slow())
    take(device, ["calm"], ["noisy"])
    assert device.visits["calm"] == device.visits["noisy"] > rounds.ROUNDS


# Going on after an interrupt


@pytest.mark.parametrize("groups", [["abc"], ["ab", "c"], ["a", "b", "c"]])
@pytest.mark.parametrize("stop", [0, 2, 7, 13, 40])
def test_no_round_is_taken_twice(groups: list[str], stop: int) -> None:
    kept: dict[str, list[tuple[Run, ...]]] = {}

    def keep(known: Rounds, share: float) -> None:
        kept.update({name: list(times) for name, times in known.items()})

    device = Device(a=1.0, b=8.0, c=3.0)
    device.stop_after = stop
    try:
        time_in_rounds(groups, device.time, on_round=keep)
    except KeyboardInterrupt:
        device.stop_after = 10_000
    timings = time_in_rounds(groups, device.time, known=kept, on_round=keep)
    assert device.visits == dict.fromkeys("abc", rounds.ROUNDS)
    assert {name: len(timing.visits[0]) for name, timing in timings.items()} == {"a": 5, "b": 2, "c": 5}
    assert kept == {name: list(timing.visits) for name, timing in timings.items()}


def test_what_is_complete_is_not_timed_at_all() -> None:
    device, known = Device(), {"a": [(Run(1.0), Run(1.1))] * rounds.ROUNDS}
    timings = time_in_rounds(["a"], device.time, open_group=device.open, known=known)
    assert timings["a"].visits == tuple(known["a"])
    assert (device.calls, device.opened) == ([], [])


def test_rounds_that_were_not_enough_are_gone_on_with() -> None:
    """The same command again takes more rounds, and none of the earlier ones is lost."""
    device = Device(a=mostly_slow())
    first = time_in_rounds(["a"], device.time, clock=lambda: 0.0)
    again = time_in_rounds(["a"], device.time, known={"a": first["a"].visits}, clock=lambda: 0.0)
    assert len(again["a"].visits) == 2 * rounds.MOST_ROUNDS
    assert again["a"].visits[: rounds.MOST_ROUNDS] == first["a"].visits
