"""Threads that answer what waits, one request at a time each, away from the event loop (no torch)."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from bstsearch.errors import InputError
from bstsearch.reading import said
from bstsearch.serving.costs import LiveCosts
from bstsearch.serving.scheduling import Job, Queue
from bstsearch.serving.sessions import Sessions

Inputs = Mapping[str, Any]
Clock = Callable[[], float]


class BusyError(Exception):
    """There is no time for a request before its deadline; in `after` seconds there may be."""

    def __init__(self, after: float) -> None:
        super().__init__(after)
        self.after = after


class LateError(BusyError):
    """So it has turned out for a request that was taken in, since others took longer than was to be expected."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answered:
    """What a submodel gave, from when to when it was at work, and the seconds of each stage of that."""

    submodel: str
    outputs: list[Any]
    began: float
    ended: float
    stages: Mapping[str, float]


class Work(Protocol):
    """What an engine does for a request; its methods are called in one of its threads."""

    def read(self) -> Inputs:
        """The model's inputs."""

    def finish(self, result: Answered | Exception) -> None:
        """Takes the outcome; a LateError where it would have come too late."""


class Engine:
    """Answers jobs of a queue in `threads` threads, from `start` until `stop`."""

    def __init__(
        self,
        sessions: Sessions,
        costs: LiveCosts,
        *,
        choices: Sequence[str] | None = None,
        threads: int,
        clock: Clock = time.perf_counter,
    ) -> None:
        self._sessions, self._costs, self._clock = sessions, costs, clock
        self._queue = Queue(costs, choices=choices, servers=threads)
        self._changed = threading.Condition()
        self._is_stopping = False
        # Daemons: a server that is ended at once waits for none of them.
        self._threads = [
            threading.Thread(target=self._serve, name=f"inference-{number}", daemon=True) for number in range(threads)
        ]

    def start(self) -> None:
        """Begins to answer."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Answers what waits still, and returns when that is done."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def submit(self, job: Job) -> None:
        """Takes the job in; BusyError where it, or one that waits already, would come too late."""
        with self._changed:
            now = self._clock()
            if not self._queue.offer(job, now):
                raise BusyError(self._queue.wait(now))
            self._changed.notify()

    def judge(self, job: Job, *, is_in_time: bool) -> None:
        """The job's answer was in time, or late, as the service has seen when it was sent."""
        with self._changed:
            self._queue.judge(job, self._clock(), is_in_time=is_in_time)

    def withdraw(self, job: Job) -> None:
        """Forgets a job that nobody waits for any more, unless it is being answered."""
        with self._changed:
            self._queue.remove(job)

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return len(self._queue)

    def expected(self, name: str) -> float:
        """Seconds that this submodel's model is expected to take at the moment."""
        return self._costs.model_seconds(name)

    def _serve(self) -> None:
        while (taken := self._next()) is not None:
            job, name, begin = taken
            try:
                result: Answered | Exception = self._answer(job, name, begin)
            except Exception as error:  # whatever it is, it is this request's; the thread goes on
                result = error
            with self._changed:
                self._queue.done(job)
                if isinstance(result, Answered):
                    model = result.stages["model"]
                    around = self._clock() - begin - model - result.stages["load"]
                    self._costs.saw(name, model, None if job.extra else around)
            job.work.finish(result)

    def _next(self) -> tuple[Job, str, float] | None:
        """The next job, its submodel and the time, once there is one; None where there will be none."""
        with self._changed:
            while True:
                now = self._clock()
                for late in self._queue.drop_hopeless(now):
                    late.work.finish(LateError(self._queue.wait(now)))
                if taken := self._queue.take(now):
                    return *taken, now
                if self._is_stopping:
                    return None
                self._changed.wait()

    def _answer(self, job: Job, name: str, begin: float) -> Answered:
        inputs = job.work.read()
        decoded = self._clock()
        session = self._sessions.get(name)
        loaded = self._clock()
        try:
            outputs = session.run(None, inputs)
        except Exception as error:  # onnxruntime's errors share no class of their own
            raise InputError(f"ONNX Runtime refuses the inputs: {said(error)}") from error
        ended = self._clock()
        stages = {"decode": decoded - begin, "load": loaded - decoded, "model": ended - loaded}
        return Answered(submodel=name, outputs=outputs, began=begin, ended=ended, stages=stages)
