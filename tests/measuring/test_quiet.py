from __future__ import annotations

import pytest

from bstsearch.errors import NoisyMeasurementError
from bstsearch.measuring.driver import Run
from bstsearch.measuring.estimator import Timing, estimate
from bstsearch.measuring.quiet import FEWEST_ROUNDS, check_meaningful, check_steady, slowdown, wait_until_quiet


class Others:
    """Other programs that keep so many cores busy, one number a look; the last one stays."""

    def __init__(self, *busy: float) -> None:
        self.busy, self.slept, self.notes = list(busy), list[float](), list[str]()

    def __call__(self) -> Others:
        return self

    def cores(self) -> float:
        return self.busy.pop(0) if len(self.busy) > 1 else self.busy[0]

    def wait(self, *, threads: int, cores: int = 4, **options: float) -> None:
        wait_until_quiet(
            threads=threads, cores=cores, note=self.notes.append, load=self, sleep=self.slept.append, **options
        )


@pytest.mark.parametrize(("threads", "busy"), [(4, 0.2), (3, 1.2), (1, 3.2), (8, 0.2)])
def test_a_resting_machine_is_looked_at_once(threads: int, busy: float) -> None:
    others = Others(busy)
    others.wait(threads=threads)
    assert (others.slept, others.notes) == ([1.0], [])


def test_a_busy_machine_is_waited_for_and_says_so_once() -> None:
    others = Others(2.0, 1.5, 0.1)
    others.wait(threads=4)
    assert others.slept == [1.0, 1.0, 1.0]
    assert others.notes == ["other programs keep 2.0 of 4 cores busy, and 4 more are needed; waiting up to 30 s"]


@pytest.mark.parametrize(
    ("threads", "advice"),
    [
        (4, r"run the same command again, or leave them a core with --threads 3, or without --strict$"),
        (1, r"run the same command again, or without --strict$"),
    ],
)
def test_patience_ends(threads: int, advice: str) -> None:
    others = Others(4.0)
    with pytest.raises(
        NoisyMeasurementError, match=r"keep 4\.0 of 4 cores busy after 6 s.*--strict measures.*" + advice
    ):
        others.wait(threads=threads, seconds=2.0, patience=6.0)
    assert others.slept == [2.0, 2.0, 2.0]


def rounds(*medians_ms: float) -> Timing:
    """Rounds of three runs, of which one is far out."""
    return estimate({"a": [(Run(ms), Run(ms), Run(10 * ms)) for ms in medians_ms]})["a"]


def named(*timings: Timing) -> dict[str, Timing]:
    return {f"w{n}": timing for n, timing in enumerate(timings)}


def test_a_device_that_keeps_its_pace_is_no_slower() -> None:
    assert slowdown(named(rounds(*[1.0] * 20), rounds(*[5.0] * 10, *[5.4] * 10))) == pytest.approx(0.04)


def test_a_device_that_slows_down_is_refused_where_that_is_asked_for() -> None:
    slowing = named(rounds(*[1.0] * 18, *[1.2] * 6), rounds(*[2.0] * 18, *[2.4] * 6), rounds(*[4.0] * 24))
    assert slowdown(slowing) == pytest.approx(0.2)
    with pytest.raises(
        NoisyMeasurementError, match=r"^the device became 20% slower .*--strict\): .* heat .*power\. Be still\.$"
    ):
        check_steady(slowing, remedy="Be still.")


def test_one_submodel_among_many_does_not_decide() -> None:
    assert slowdown(named(rounds(*[1.0] * 10, *[3.0] * 10), *[rounds(*[1.0] * 20)] * 4)) == 0


@pytest.mark.parametrize("count", range(1, FEWEST_ROUNDS))
def test_few_rounds_say_nothing(count: int) -> None:
    assert slowdown(named(rounds(*range(1, count + 1)))) == 0


def test_graphs_with_few_rounds_leave_the_judgement_to_the_others() -> None:
    assert slowdown(named(rounds(*[1.0] * 4, *[2.0] * 4), rounds(9.0))) == 1


@pytest.mark.parametrize(("half_width", "is_refused"), [(0.02, False), (0.03, False), (0.06, True)])
def test_the_limit_of_strict_is_ten_percent(half_width: float, is_refused: bool) -> None:
    timings = named(rounds(1.0), rounds(*[1.0 + half_width * side for side in (-1, -1, 1, 1)]))
    if is_refused:
        with pytest.raises(NoisyMeasurementError, match=r"--strict: w1 takes between 0\.9.* and 1\.0.* ms after 4 rou"):
            check_steady(timings, remedy="")
    else:
        check_steady(timings, remedy="")


def test_times_that_say_nothing_are_refused_always() -> None:
    wild = rounds(*[1.0, 9.0, 9.0, 9.0] * 5)
    check_meaningful(named(wild, rounds(1.0), rounds(2.0)), remedy="")
    with pytest.raises(
        NoisyMeasurementError, match=r"the times say nothing: after 20 .* The rounds are kept\. Be still"
    ):
        check_meaningful(named(wild, wild, rounds(2.0)), remedy="Be still.")
