"""Which request is next, and which submodel answers it: as good as lets all behind it keep their deadlines (no torch).

Times are seconds of one clock, which is never read here.

The request whose deadline is earliest is next. Its share is the time until each deadline, divided by how many must be
answered by then, of which the least counts. The most accurate submodel that fits into the share answers, else the
fastest; but none that takes longer than the time in which another request comes, so that what is saved up for a burst
is not given away. As long as the share is several times as much, it may be the next better one, once: over several
requests, both answer by turns.
"""

from __future__ import annotations

import bisect
import dataclasses
import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

SAFE = 1.1  # what a submodel may take more than is expected of it
# Caution: how much longer a submodel is taken to take that is chosen, and those that wait where another is taken in.
# More by a fifth for each that was given up or late, less by 2 in 1,000 for each that was in time: 1 in 90 keeps it.
LATE, IN_TIME, MOST_CAUTION = 1.2, 0.998, 2.0
RECENT = 16  # arrivals that tell how fast requests come
ROOM = 4.0  # times what it takes has to be there for a submodel that takes longer than the time between requests
TRIAL_S = 1.0  # without an answer, after which an idle server tries what it would refuse
HOPE = 0.25  # of what is expected has to be there for a trial


class Costs(Protocol):
    """What submodels cost at the moment."""

    @property
    def names(self) -> Sequence[str]:
        """The ids of all submodels, the most accurate first."""

    def seconds(self, name: str) -> float:
        """How long the submodel of that id will take to answer one request."""


@dataclasses.dataclass(eq=False, kw_only=True)
class Job:
    """A request that waits: its deadline, the submodel that it asks for (None: any), and what is to be done.

    It takes `extra` seconds longer than others do, whichever submodel answers. The `deadline` is earlier than when the
    client expects the answer (`due`), by what is kept for the way there and back.
    """

    deadline: float
    due: float = -math.inf
    submodel: str | None = None
    extra: float = 0.0
    work: Any = None
    is_trial: bool = False

    def __post_init__(self) -> None:
        self.due = max(self.due, self.deadline)


class Queue:
    """The requests that wait for one of `servers`, each of which answers one at a time; of use to one thread.

    Where a request names no submodel, one of `choices` answers, which are named as `Costs.names` are.
    """

    def __init__(
        self, costs: Costs, *, choices: Sequence[str] | None = None, servers: int = 1, most: int = 512
    ) -> None:
        self._costs, self._choices, self._servers, self._most = costs, choices or costs.names, servers, most
        self._jobs: list[Job] = []
        self._ends: dict[Job, float] = {}  # of what is being answered, when it should be done
        self._arrivals: list[float] = []
        self._caution = 1.0
        self._heard: float | None = None  # when an answer was in time or late, the last time
        self._is_trusted = False  # the last trial was in time

    def __len__(self) -> int:
        return len(self._jobs)

    def offer(self, job: Job, now: float) -> bool:
        """Takes the job in, if it and all that wait can still be answered in time; else says no.

        An idle server that has answered nothing for a while takes it all the same, as a trial, and goes on so as long
        as trials end in time: who refuses everything would never see that the machine is faster again.
        """
        self._arrivals = [*self._arrivals[1 - RECENT :], now]
        place = bisect.bisect_right(self._jobs, job.deadline, key=_deadline)
        if len(self._jobs) >= self._most:
            return False
        if not self._is_in_time(job, place, now):
            if not self._may_try(job, now):
                return False
            job.is_trial = True
        self._jobs.insert(place, job)
        return True

    def take(self, now: float) -> tuple[Job, str] | None:
        """The next job and the submodel for it; None where none waits. `done` is to be called when it is over."""
        if not self._jobs:
            return None
        name = self._jobs[0].submodel or self._choose(now)
        job = self._jobs.pop(0)
        self._ends[job] = now + SAFE * (self._costs.seconds(name) + job.extra)
        return job, name

    def done(self, job: Job) -> None:
        """The job is over, whatever became of it, and its server free again."""
        del self._ends[job]

    def judge(self, job: Job, now: float, *, is_in_time: bool) -> None:
        """The job's answer was in time, or late."""
        self._heard = now
        if job.is_trial:
            self._is_trusted = is_in_time
        else:
            caution = self._caution * (IN_TIME if is_in_time else LATE)
            self._caution = min(max(1.0, caution), MOST_CAUTION)

    def drop_hopeless(self, now: float) -> list[Job]:
        """Takes out the first ones, if even the fastest submodel would answer them too late."""
        late = list[Job]()
        for job, least in zip(self._jobs, self._leasts(self._jobs), strict=True):
            if job.is_trial or job.due >= now + least:
                break
            late.append(job)
        del self._jobs[: len(late)]
        self._caution = min(MOST_CAUTION, self._caution * LATE ** len(late))
        return late

    def remove(self, job: Job) -> bool:
        """Takes out a job that nobody waits for any more; False where it is being answered, or was."""
        if job not in self._jobs:
            return False
        self._jobs.remove(job)
        return True

    def wait(self, now: float) -> float:
        """In how many seconds the last of those that wait is answered, if the fastest submodel answers all."""
        free = self._free(now)
        for least in self._leasts(self._jobs):
            heapq.heapreplace(free, free[0] + least)
        return max(free) - now if self._jobs else free[0] - now

    def _may_try(self, job: Job, now: float) -> bool:
        if self._heard is None:
            self._heard = now
        is_idle = not self._jobs and not self._ends
        (least,) = self._leasts([job])
        has_hope = job.due - now >= HOPE * least
        return is_idle and has_hope and (self._is_trusted or now >= self._heard + TRIAL_S)

    def _is_in_time(self, job: Job, place: int, now: float) -> bool:
        """Whether all deadlines from `place` on are kept if `job` is there, by the fastest submodels."""
        jobs, free = [*self._jobs[:place], job, *self._jobs[place:]], self._free(now)
        for number, (one, least) in enumerate(zip(jobs, self._leasts(jobs), strict=True)):
            if number >= place and one.deadline < free[0] + least:
                return False
            heapq.heapreplace(free, free[0] + self._caution * least)
        return True

    def _free(self, now: float) -> list[float]:
        """When each server is free, as a heap."""
        busy = [max(now, end) for end in self._ends.values()]
        free = [*[now] * (self._servers - len(busy)), *busy]
        heapq.heapify(free)
        return free

    def _leasts(self, jobs: Sequence[Job]) -> Iterator[float]:
        """How long each of the jobs takes at most, if the fastest submodel answers it or the one that it asks for."""
        seconds = {name: self._costs.seconds(name) for name in self._costs.names}
        fastest = min(seconds.values())
        return (SAFE * (seconds.get(job.submodel or "", fastest) + job.extra) for job in jobs)

    def _choose(self, now: float) -> str:
        share = min((one.deadline - now) / (k // self._servers + 1) for k, one in enumerate(self._jobs))
        usual = SAFE * self._caution
        most, lasting = share / usual - self._jobs[0].extra, self._interval(now) * self._servers / usual
        seconds = {name: self._costs.seconds(name) for name in self._choices}
        fitting = [name for name in self._choices if seconds[name] <= most]
        if not fitting:
            return min(self._costs.names, key=self._costs.seconds)
        place = next((place for place, name in enumerate(fitting) if seconds[name] <= lasting), len(fitting) - 1)
        better = fitting[max(0, place - 1)]
        return better if ROOM * seconds[better] <= most else fitting[place]

    def _interval(self, now: float) -> float:
        """In what time another request comes, of late; without end before enough have come to tell."""
        if len(self._arrivals) < RECENT:
            return math.inf
        return (now - self._arrivals[0]) / (RECENT - 1)


def worthwhile(seconds: Mapping[str, float], goodness: Mapping[str, float]) -> tuple[str, ...]:
    """Those that no two others beat if these answer by turns in the same time, the best first: the upper hull."""
    found = list[str]()

    def gain(small: str, large: str) -> float:
        return (goodness[large] - goodness[small]) / (seconds[large] - seconds[small])

    for name in sorted(seconds, key=lambda name: (seconds[name], -goodness[name])):
        if found and goodness[name] <= goodness[found[-1]]:
            continue
        while len(found) > 1 and gain(found[-2], found[-1]) <= gain(found[-1], name):
            found.pop()
        found.append(name)
    return tuple(reversed(found))


def _deadline(job: Job) -> float:
    return job.deadline
