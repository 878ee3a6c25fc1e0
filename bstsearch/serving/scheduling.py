"""Which request is next, and which submodel answers it: as good as lets all behind it keep their deadlines (no torch).

Times are seconds of one clock, which is never read here.

The request whose deadline is earliest is next. Its share is the time until each deadline, divided by how many must be
answered by then, of which the least counts; and it is at most the time in which another request comes, so that what is
saved up for a burst is not given away. The most accurate submodel that fits into the share answers, else the fastest.
"""

from __future__ import annotations

import bisect
import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

SAFE = 1.1  # what a submodel may take more than is expected of it
# Caution: how much longer a submodel is taken to take that is chosen, and those that wait where another is taken in.
# More by a fifth for each that was given up or late, less by 2 in 1,000 for each that was in time: 1 in 90 keeps it.
LATE, IN_TIME, MOST_CAUTION = 1.2, 0.998, 2.0
RECENT = 16  # arrivals that tell how fast requests come
TRIAL_S = 1.0  # without an answer, after which an idle server tries what it would refuse


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
    """The requests that wait for one of `servers`, each of which answers one at a time; of use to one thread."""

    def __init__(self, costs: Costs, *, servers: int = 1, most: int = 512) -> None:
        self._costs, self._servers, self._most = costs, servers, most
        self._jobs: list[Job] = []
        self._ends: list[float] = []  # when what is being answered should be
        self._arrivals: list[float] = []
        self._caution = 1.0
        self._answered: float | None = None  # when the last answer was given
        self._is_trusted = False  # the last trial ended in time

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
            if not self._may_try(now):
                return False
            job.is_trial = True
        self._jobs.insert(place, job)
        return True

    def take(self, now: float) -> tuple[Job, str] | None:
        """The next job and the submodel for it; None where none waits. `done` is to be called when it is answered."""
        if not self._jobs:
            return None
        name = self._jobs[0].submodel or self._choose(now)
        job = self._jobs.pop(0)
        bisect.insort(self._ends, now + SAFE * (self._costs.seconds(name) + job.extra))
        return job, name

    def done(self, job: Job, now: float) -> None:
        """The job is over, and its server free again."""
        self._ends.pop(0)
        self._answered, is_in_time = now, now <= job.due
        if job.is_trial:
            self._is_trusted = is_in_time
        self._caution = min(max(1.0, self._caution * (IN_TIME if is_in_time else LATE)), MOST_CAUTION)

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
        return self._ahead(now) + sum(self._leasts(self._jobs)) / self._servers

    def _may_try(self, now: float) -> bool:
        if self._answered is None:
            self._answered = now
        is_idle = not self._jobs and not self._ends
        return is_idle and (self._is_trusted or now >= self._answered + TRIAL_S)

    def _is_in_time(self, job: Job, place: int, now: float) -> bool:
        """Whether all deadlines from `place` on are kept if `job` is there, by the fastest submodels."""
        jobs = [*self._jobs[:place], job, *self._jobs[place:]]
        before, ahead = 0.0, now + self._ahead(now)
        for number, (one, least) in enumerate(zip(jobs, self._leasts(jobs), strict=True)):
            needed = (self._caution * before + least) / self._servers
            if number >= place and one.deadline < ahead + max(least, needed):
                return False
            before += least
        return True

    def _ahead(self, now: float) -> float:
        """How long the servers are busy with what they have begun, on average."""
        return sum(max(0.0, end - now) for end in self._ends) / self._servers

    def _leasts(self, jobs: Sequence[Job]) -> Iterator[float]:
        """How long each of the jobs takes at most, if the fastest submodel answers it or the one that it asks for."""
        seconds = {name: self._costs.seconds(name) for name in self._costs.names}
        fastest = min(seconds.values())
        return (SAFE * (seconds.get(job.submodel or "", fastest) + job.extra) for job in jobs)

    @property
    def _fastest(self) -> str:
        return min(self._costs.names, key=self._costs.seconds)

    def _choose(self, now: float) -> str:
        share = min((one.deadline - now) / (k // self._servers + 1) for k, one in enumerate(self._jobs))
        share = min(share, self._interval(now) * self._servers)
        most = share / (SAFE * self._caution) - self._jobs[0].extra
        fitting = (name for name in self._costs.names if self._costs.seconds(name) <= most)
        return next(fitting, self._fastest)

    def _interval(self, now: float) -> float:
        """In what time another request comes, of late; without end before enough have come to tell."""
        if len(self._arrivals) < RECENT:
            return math.inf
        return (now - self._arrivals[0]) / (RECENT - 1)


def _deadline(job: Job) -> float:
    return job.deadline
