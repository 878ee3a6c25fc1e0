from __future__ import annotations

import functools
import itertools
import math
import random
from collections.abc import Mapping
from statistics import mean

import pytest

from bstsearch.serving.scheduling import RECENT, TRIAL_S, Job, Queue, worthwhile

# Seconds and accuracy of the front of the easy-vqa supernet, and of ten MCANs of full size (over HTTP, and with the
# accuracies of the demo's ten), over the seconds of the slowest.
FRONTS = {
    "easy": {"a": (0.38, 0.926), "b": (0.52, 0.928), "c": (0.66, 0.929), "d": (0.75, 0.995), "e": (1.0, 0.996)},
    "full": dict(
        zip(
            "abcdefghij",
            [
                *((0.067, 0.8401), (0.076, 0.8551), (0.112, 0.8609), (0.13, 0.862), (0.139, 0.8993)),
                *((0.219, 0.9095), (0.31, 0.9118), (0.42, 0.9155), (0.6, 0.9161), (1.0, 0.9171)),
            ],
            strict=True,
        )
    ),
}
DEADLINE = 2.5


class Costs:
    """Costs that do not change."""

    def __init__(self, seconds: Mapping[str, float]) -> None:
        self._seconds = dict(seconds)
        self.names = tuple(reversed(self._seconds))

    def seconds(self, name: str) -> float:
        return self._seconds[name]


def queue(servers: int = 1, most: int = 512) -> Queue:
    """Three submodels: small, middle and large take 1, 2 and 4 seconds."""
    return Queue(Costs({"small": 1.0, "middle": 2.0, "large": 4.0}), servers=servers, most=most)


def end(waiting: Queue, job: Job, now: float) -> None:
    """The job is answered."""
    waiting.done(job)
    waiting.judge(job, now, is_in_time=now <= job.due)


def test_the_earliest_deadline_comes_first() -> None:
    waiting = queue()
    jobs = [Job(deadline=deadline) for deadline in (60.0, 20.0, 40.0, 20.0)]
    assert all(waiting.offer(job, 0.0) for job in jobs)
    taken = [waiting.take(0.0) for _ in range(4)]
    assert [one[0] for one in taken if one] == [jobs[1], jobs[3], jobs[2], jobs[0]]
    assert waiting.take(0.0) is None


@pytest.mark.parametrize(
    ("deadlines", "name"),
    [
        ([5.0], "large"),
        ([4.3], "middle"),
        ([2.1], "small"),
        ([9.0, 9.0], "large"),
        ([5.0, 5.0], "middle"),
        ([9.0, 9.0, 9.0], "middle"),
        ([5.0, 60.0, 60.0], "large"),
        ([5.0, 5.0, 5.0], "small"),
    ],
)
def test_the_most_accurate_that_leaves_the_others_their_share_answers(deadlines: list[float], name: str) -> None:
    waiting = queue()
    assert all(waiting.offer(Job(deadline=deadline), 0.0) for deadline in deadlines)
    taken = waiting.take(0.0)
    assert taken is not None
    assert taken[1] == name


def test_what_takes_longer_has_less_for_its_submodel() -> None:
    for extra, name in ((0.0, "large"), (1.0, "middle"), (2.5, "small")):
        waiting = queue()
        assert waiting.offer(Job(deadline=4.5, extra=extra), 0.0)
        taken = waiting.take(0.0)
        assert taken is not None
        assert taken[1] == name
    assert not queue().offer(Job(deadline=4.5, extra=3.5), 0.0)


def test_what_is_asked_for_is_given() -> None:
    waiting = queue()
    assert waiting.offer(Job(deadline=60.0, submodel="small"), 0.0)
    taken = waiting.take(0.0)
    assert taken is not None
    assert taken[1] == "small"


def test_what_cannot_be_in_time_is_refused_at_once() -> None:
    waiting = queue()
    assert not waiting.offer(Job(deadline=1.0), 0.0)
    assert not waiting.offer(Job(deadline=4.0, submodel="large"), 0.0)
    assert waiting.offer(Job(deadline=2.1), 0.0)
    assert not waiting.offer(Job(deadline=2.0), 0.0)  # the one that waits would come too late
    assert waiting.offer(Job(deadline=2.3), 0.0)
    assert not waiting.offer(Job(deadline=3.0), 0.0)
    assert len(waiting) == 2
    assert waiting.wait(0.0) == pytest.approx(2.2)


def test_what_is_being_answered_counts() -> None:
    waiting = queue()
    assert waiting.offer(Job(deadline=60.0), 0.0)
    taken = waiting.take(0.0)
    assert taken is not None  # by the large one, until 4.4
    assert not waiting.offer(Job(deadline=5.0), 0.0)
    assert waiting.offer(Job(deadline=5.6), 3.5)
    assert not waiting.offer(Job(deadline=6.0), 3.5)
    waiting.done(taken[0])
    assert waiting.offer(Job(deadline=6.0), 3.5)


def test_two_servers_answer_twice_as_much() -> None:
    assert [queue(servers).offer(Job(deadline=1.2), 0.0) for servers in (1, 2)] == [True, True]
    for servers, expected in ((1, 1), (2, 2)):
        waiting = queue(servers)
        assert sum(waiting.offer(Job(deadline=1.2), 0.0) for _ in range(4)) == expected


def test_one_of_two_servers_that_is_busy_keeps_nobody_waiting() -> None:
    waiting = queue(2)
    assert waiting.offer(Job(deadline=60.0, submodel="large"), 0.0)
    assert waiting.take(0.0) is not None  # until 4.4
    assert waiting.wait(0.0) == 0
    assert waiting.offer(Job(deadline=1.2), 0.0)
    assert not waiting.offer(Job(deadline=2.0), 0.0)  # it would come after the other
    assert waiting.offer(Job(deadline=2.3), 0.0)


def test_of_two_servers_the_one_is_free_that_is_done() -> None:
    waiting = queue(2)
    jobs = [Job(deadline=60.0, submodel=name) for name in ("large", "small")]
    assert all(waiting.offer(job, 0.0) for job in jobs)
    assert [waiting.take(0.0) for _ in jobs] == [(jobs[0], "large"), (jobs[1], "small")]
    waiting.done(jobs[0])  # sooner than was expected
    assert waiting.offer(Job(deadline=1.2), 0.0)
    assert not waiting.offer(Job(deadline=1.2), 0.0)


def test_those_are_worthwhile_that_no_two_others_beat_by_turns() -> None:
    seconds = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0, "e": 5.0, "f": 1.0}
    goodness = {"a": 0.5, "b": 0.55, "c": 0.7, "d": 0.69, "e": 0.75, "f": 0.4}
    assert worthwhile(seconds, goodness) == ("e", "c", "a")
    assert worthwhile({"a": 1.0}, {"a": 0.5}) == ("a",)
    waiting = Queue(Costs({"small": 1.0, "middle": 2.0, "large": 4.0}), choices=("large", "small"))
    assert waiting.offer(Job(deadline=4.3), 0.0)
    taken = waiting.take(0.0)
    assert taken is not None
    assert taken[1] == "small"


def test_the_queue_is_bounded() -> None:
    waiting = queue(most=2)
    assert [waiting.offer(Job(deadline=60.0), 0.0) for _ in range(3)] == [True, True, False]


def test_what_has_become_hopeless_is_dropped_and_what_nobody_waits_for() -> None:
    waiting = queue()
    late, left, kept = (Job(deadline=deadline) for deadline in (2.0, 8.0, 9.0))
    assert all(waiting.offer(job, 0.0) for job in (late, left, kept))
    assert waiting.remove(left)
    assert not waiting.remove(left)
    assert waiting.drop_hopeless(0.5) == []
    assert waiting.drop_hopeless(1.0) == [late]
    assert len(waiting) == 1


def test_what_had_to_be_given_up_makes_it_more_careful_for_a_while() -> None:
    def accepted(waiting: Queue) -> int:
        jobs = [job for job in [Job(deadline=11.1) for _ in range(20)] if waiting.offer(job, 0.0)]
        return sum(waiting.remove(job) for job in jobs)

    waiting = queue()
    assert accepted(waiting) == 10
    late = [Job(deadline=deadline) for deadline in (1.2, 2.4)]
    assert all(waiting.offer(job, 0.0) for job in late)
    assert waiting.drop_hopeless(9.0) == late
    assert accepted(waiting) == 7
    for _ in range(200):
        job = Job(deadline=60.0)
        assert waiting.offer(job, 0.0)
        assert waiting.take(0.0) is not None
        end(waiting, job, 0.0)
    assert accepted(waiting) == 10


def test_late_answers_make_it_more_careful_too() -> None:
    waiting = queue()
    for late in (0.0, 0.1):
        job = Job(deadline=60.0)
        assert waiting.offer(job, 0.0)
        assert waiting.take(0.0) is not None
        end(waiting, job, 60.0 + late)
        assert waiting.offer(Job(deadline=5.0), 0.0)
        taken = waiting.take(0.0)
        assert taken is not None
        assert taken[1] == ("middle" if late else "large")
        waiting.done(taken[0])


def test_what_is_kept_for_the_way_there_and_back_makes_nothing_hopeless() -> None:
    waiting = queue()
    job = Job(deadline=5.0, due=6.0)
    assert waiting.offer(job, 0.0)
    assert waiting.drop_hopeless(4.8) == []
    assert waiting.drop_hopeless(5.0) == [job]


@pytest.mark.parametrize(("room", "name"), [(8.0, "small"), (60.0, "middle")])
def test_a_submodel_that_is_slower_than_requests_come_is_the_next_better_and_needs_room(room: float, name: str) -> None:
    waiting = queue()
    for number in range(RECENT):
        now = 1.5 * number
        assert waiting.offer(Job(deadline=now + room), now)
        taken = waiting.take(now)
        assert taken is not None
        waiting.done(taken[0])
        assert taken[1] == ("large" if number < RECENT - 1 else name)


def test_an_idle_server_tries_now_and_then_what_it_would_refuse_and_goes_on_while_that_is_in_time() -> None:
    """Else it would never see that the machine is faster again, or that it takes less to send replies."""

    def offer(now: float, due: float) -> Job | None:
        job = Job(deadline=now + 0.5, due=now + due)
        return job if waiting.offer(job, now) else None

    def answer(job: Job | None, now: float) -> None:
        assert job is not None
        assert waiting.drop_hopeless(now) == []
        assert waiting.take(now) == (job, "small")
        end(waiting, job, now)

    waiting = queue()
    assert offer(0.0, due=9.0) is None
    assert offer(TRIAL_S / 2, due=9.0) is None
    trial = offer(TRIAL_S, due=0.7)
    assert offer(TRIAL_S, due=0.7) is None  # another one waits
    answer(trial, TRIAL_S + 0.8)  # late
    assert offer(TRIAL_S + 1, due=9.0) is None
    for second in (10, 10.1, 10.2):
        answer(offer(second, due=9.0), second + 0.01)
    waiting.offer(Job(deadline=60.0), 11.0)
    assert offer(11.0, due=9.0) is None


@functools.cache
def arrivals(load: float, seed: int, *, is_steady: bool = False, count: int = 3000) -> tuple[float, ...]:
    """Bursts of 3.4 times the mean rate for a fifth of the time, 0.4 times else; load 1 is all that "e" can answer."""
    draw, now, times = random.Random(seed), 0.0, list[float]()
    if is_steady:
        return tuple(itertools.accumulate(draw.expovariate(load) for _ in range(count)))
    is_on, end = False, 0.0
    while len(times) < count:
        if now >= end:
            is_on = not is_on
            end = now + draw.expovariate(1 / (24 if is_on else 96))
        later = now + draw.expovariate(load * (3.4 if is_on else 0.4))
        if later > end:
            now = end
        else:
            now = later
            times.append(now)
    return tuple(times)


@functools.cache
def simulate(
    load: float, alone: str | None = None, *, front: str = "easy", is_steady: bool = False
) -> tuple[float, float]:
    """Percent of all requests answered rightly and in time, and of those accepted in time; by one submodel `alone`."""
    members = FRONTS[front]
    costs = {name: seconds for name, (seconds, _) in members.items() if alone in (None, name)}
    right, in_time, accepted, total = 0.0, 0, 0, 0
    for seed in (1, 2):
        waiting = Queue(Costs(costs), choices=worthwhile(costs, {name: members[name][1] for name in costs}))
        draw, now, ahead = random.Random(seed), 0.0, list(arrivals(load, seed, is_steady=is_steady))[::-1]
        total += len(ahead)
        while ahead or len(waiting):
            if not len(waiting):
                now = max(now, ahead[-1])
            accepted += _arrive(waiting, ahead, now)
            waiting.drop_hopeless(now)
            if (taken := waiting.take(now)) is None:
                continue
            job, name = taken
            now += members[name][0] * math.exp(draw.gauss(0, 0.12))
            accepted += _arrive(waiting, ahead, now)
            end(waiting, job, now)
            if now <= job.deadline:
                in_time += 1
                right += members[name][1]
    return 100 * right / total, 100 * in_time / accepted


def _arrive(waiting: Queue, ahead: list[float], now: float) -> int:
    """How many of those that have come by now are accepted."""
    accepted = 0
    while ahead and ahead[-1] <= now:
        arrived = ahead.pop()
        accepted += waiting.offer(Job(deadline=arrived + DEADLINE), arrived)
    return accepted


@pytest.mark.parametrize(("load", "gain"), [(0.3, 2.0), (0.7, 0.0), (1.5, 0.5), (6.0, -0.5)])
def test_over_bursts_the_choice_is_no_worse_than_the_best_submodel_alone(load: float, gain: float) -> None:
    right, in_time = simulate(load)
    assert right >= max(simulate(load, name)[0] for name in FRONTS["easy"]) + gain
    assert in_time >= 99


@pytest.mark.parametrize(("load", "is_steady", "gain"), [(1.5, False, 0.0), (6.0, False, -0.5), (6.0, True, -0.75)])
def test_of_many_submodels_the_choice_is_no_worse_than_the_best_alone(
    load: float, is_steady: bool, gain: float
) -> None:
    own, kept = simulate(load, front="full", is_steady=is_steady)
    assert own >= max(simulate(load, name, front="full", is_steady=is_steady)[0] for name in FRONTS["full"]) + gain
    assert kept >= 99


def test_over_all_loads_the_choice_is_better_than_any_submodel_alone() -> None:
    loads = (0.3, 0.7, 1.5, 6.0)
    own = mean(simulate(load)[0] for load in loads)
    assert all(own > mean(simulate(load, name)[0] for load in loads) + 1 for name in FRONTS["easy"])
