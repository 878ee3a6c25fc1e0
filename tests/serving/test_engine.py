from __future__ import annotations

import threading
from typing import Any

import pytest

from bstsearch.serving.costs import LiveCosts
from bstsearch.serving.engine import Answered, BusyError, Engine, LateError
from bstsearch.serving.scheduling import Job

WAIT_S = 20.0  # for another thread, on a busy machine


class Sessions:
    """One session for all, which runs when it is let."""

    def __init__(self) -> None:
        self.let, self.began = threading.Semaphore(0), threading.Semaphore(0)
        self.order: list[Any] = []

    def get(self, name: str) -> Any:
        return self

    def run(self, _names: None, inputs: Any) -> list[Any]:
        self.began.release()
        assert self.let.acquire(timeout=WAIT_S)
        self.order.append(inputs["x"])
        return [inputs["x"]]


class Work:
    """Remembers its outcome."""

    def __init__(self, value: Any) -> None:
        self._value, self._done = value, threading.Event()
        self._result: Any = None

    def read(self) -> dict[str, Any]:
        if isinstance(self._value, Exception):
            raise self._value
        return {"x": self._value}

    def finish(self, result: Answered | Exception) -> None:
        self._result = result
        self._done.set()

    @property
    def result(self) -> Any:
        assert self._done.wait(WAIT_S)
        return self._result


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions() -> Sessions:
    return Sessions()


@pytest.fixture
def engine(sessions: Sessions, clock: Clock) -> Engine:
    return Engine(sessions, LiveCosts({"large": 4.0, "small": 1.0}), threads=1, clock=clock)  # type: ignore[arg-type]


def submit(engine: Engine, value: Any, deadline: float) -> tuple[Job, Work]:
    work = Work(value)
    job = Job(deadline=deadline, work=work)
    engine.submit(job)
    return job, work


def test_jobs_are_answered_in_the_order_of_their_deadlines(engine: Engine, sessions: Sessions) -> None:
    works = [submit(engine, number, deadline)[1] for number, deadline in enumerate((60.0, 20.0, 40.0))]
    engine.start()
    sessions.let.release(3)
    assert [work.result.outputs for work in works] == [[0], [1], [2]]
    assert sessions.order == [1, 2, 0]
    engine.stop()


def test_a_job_that_fails_disturbs_no_other(engine: Engine, sessions: Sessions) -> None:
    failing, sound = submit(engine, ValueError("bad"), 20.0)[1], submit(engine, 1, 40.0)[1]
    engine.start()
    sessions.let.release()
    assert isinstance(failing.result, ValueError)
    assert sound.result.outputs == [1]
    engine.stop()


def test_stopping_answers_what_waits(engine: Engine, sessions: Sessions) -> None:
    works = [submit(engine, number, 60.0)[1] for number in range(3)]
    sessions.let.release(3)
    engine.start()
    engine.stop()
    assert [work.result.outputs for work in works] == [[0], [1], [2]]


def test_a_job_that_was_withdrawn_is_not_answered(engine: Engine, sessions: Sessions) -> None:
    left, kept = submit(engine, 0, 20.0)[0], submit(engine, 1, 40.0)[1]
    engine.withdraw(left)
    sessions.let.release(2)
    engine.start()
    engine.stop()
    assert kept.result.outputs == [1]
    assert sessions.order == [1]


def test_what_comes_too_late_is_refused_at_once_or_when_it_is_known(
    engine: Engine, sessions: Sessions, clock: Clock
) -> None:
    with pytest.raises(BusyError):
        submit(engine, 0, 0.5)
    works = [submit(engine, number, deadline)[1] for number, deadline in enumerate((5.0, 6.0))]
    engine.start()
    assert sessions.began.acquire(timeout=WAIT_S)
    clock.now = 5.5  # the first one took longer than was to be expected
    sessions.let.release()
    assert works[0].result.outputs == [0]
    assert isinstance(works[1].result, LateError)
    engine.stop()
