from __future__ import annotations

import pytest

from bstsearch.devices.quiet import FEWEST_ROUNDS, find_throttling, wait_until_quiet
from bstsearch.errors import NoisyMeasurementError


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
    [(4, r"run the same command again, or leave them a core with --threads 3$"), (1, r"run the same command again$")],
)
def test_patience_ends(threads: int, advice: str) -> None:
    others = Others(4.0)
    with pytest.raises(
        NoisyMeasurementError, match=r"keep 4\.0 of 4 cores busy after 6 s.*nothing was meas.*" + advice
    ):
        others.wait(threads=threads, seconds=2.0, patience=6.0)
    assert others.slept == [2.0, 2.0, 2.0]


def rounds(*medians_ms: float) -> list[tuple[float, ...]]:
    """Rounds of three times, of which one is far out."""
    return [(ms, ms, 10 * ms) for ms in medians_ms]


def test_a_device_that_keeps_its_pace_passes() -> None:
    find_throttling([rounds(*[1.0] * 20), rounds(*[5.0] * 10, *[5.4] * 10)])


def test_a_device_that_slows_down_is_refused_with_the_numbers() -> None:
    slowing = [rounds(*[1.0] * 10, *[1.2] * 10), rounds(*[2.0] * 10, *[2.4] * 10), rounds(*[4.0] * 20)]
    with pytest.raises(
        NoisyMeasurementError,
        match=r"^the device became 20% slower .*: 2 ms in the first quarter of the rounds, 2\.4 ms in the last; .*heat",
    ):
        find_throttling(slowing)


def test_one_submodel_among_many_does_not_decide() -> None:
    find_throttling([rounds(*[1.0] * 10, *[3.0] * 10), *[rounds(*[1.0] * 20)] * 4])


def test_a_device_that_becomes_faster_passes() -> None:
    find_throttling([rounds(*[2.0] * 10, *[1.0] * 10)])


@pytest.mark.parametrize("count", range(FEWEST_ROUNDS))
def test_few_rounds_say_nothing(count: int) -> None:
    find_throttling([rounds(*range(1, count + 1))])
    find_throttling([])


def test_graphs_with_few_rounds_leave_the_judgement_to_the_others() -> None:
    with pytest.raises(NoisyMeasurementError, match=r"1 ms in the first .* 2 ms in the last"):
        find_throttling([rounds(*[1.0] * 4, *[2.0] * 4), rounds(9.0)])
