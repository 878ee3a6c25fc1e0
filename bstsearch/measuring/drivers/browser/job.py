"""A job that one page does task by task, while the thread that gave it waits (no torch)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import structs

from bstsearch.errors import DeviceError
from bstsearch.measuring.drivers.browser.protocol import Done, Hello, Post, Preparing, Task
from bstsearch.reading import plain

# A page whose process the phone has ended, mostly for want of memory, is loaded anew, and then fails in the same way.
MOST_LOADS = 5
TASK_S = 3600.0  # for one task of a page that says that it is alive
LONGEST_REASON = 200  # characters of what a page says went wrong
LOOK_S = 1.0  # how often a page that waits for graphs is told how many there are
AGAIN = "what was measured is kept; run the same command again to go on"


class RefusedError(Exception):
    """A post that cannot be taken, though it is well formed; `status` is HTTP's."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Job:
    """Tasks for one page, which owns the job from its hello on.

    The page has left where nothing was heard of it for `patience_s`. Methods may be called from any thread.
    """

    def __init__(self, patience_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.patience_s = patience_s
        # A page that waits for a task asks again after this long, and one at work tells that it is alive.
        self.pulse_s = min(15.0, patience_s / 4)
        self._clock, self._changed = clock, threading.Condition()
        self._owner: str | None = None
        self._phone: Hello | None = None
        self._heard = clock()
        self._has_left = self._is_closed = False
        self._task: Task | None = None
        self._preparing: Preparing | None = None
        self._number = self._loads = 0
        self._done: Done | None = None
        self._failure: str | None = None

    def hello(self, post: Hello) -> bool:
        """Takes the page on, and returns True where it is the first; RefusedError (409) where it is another phone's."""
        with self._changed:
            is_first = self._phone is None
            if not is_first and not self._may_take_over(post):
                raise RefusedError(409)
            self._owner, self._phone, self._has_left = post.page, post, False
            self._loads += not is_first
            self._hear()
            return is_first

    def ask(self, post: Post) -> Mapping[str, Any] | None:
        """The task in hand; where there is none for a while, what is prepared meanwhile, if anything."""
        with self._changed:
            self._check_owner(post)
            self._changed.wait_for(self._has_work, LOOK_S if self._preparing else self.pulse_s)
            self._check_owner(post)
            if self._task and not self._done:
                return self._task.as_json(self._number)
            return self._preparing.as_json() if self._preparing else None

    def hear(self, post: Post) -> None:
        """Notes that the page is there."""
        with self._changed:
            self._check_owner(post)

    def finish(self, post: Done) -> None:
        """Takes what a task led to, once; RefusedError (400) where it is not what the task asked for."""
        with self._changed:
            self._check_owner(post)
            if post.task != self._number or self._task is None or self._done:
                return  # said before, by a page that did not hear the answer
            if not self._task.accepts(post):
                raise RefusedError(400)
            self._done, self._loads = post, 0
            self._changed.notify_all()

    def fail(self, post: Post, message: str) -> None:
        """Ends the job: whoever waits for a task gets a DeviceError with `message`."""
        with self._changed:
            self._check_owner(post)
            self._failure = " ".join(plain(message).split())[:LONGEST_REASON]
            self._changed.notify_all()

    def leave(self, post: Post) -> None:
        """Lets the same phone go on in another page, at once."""
        with self._changed:
            self._check_owner(post)
            self._has_left = True

    def prepare(self, preparing: Preparing | None) -> None:
        """Sets what a page shows that waits for its first graphs; DeviceError where one has come, and cannot go on."""
        with self._changed:
            self._preparing = preparing
            self._refuse_failure()

    def has_phone(self) -> bool:
        """Whether a page has come, and has not left since."""
        with self._changed:
            return self._is_here()

    def wait_for_phone(self, patience_s: float, address: str) -> Hello:
        """The page that is here, or comes within `patience_s`; DeviceError where none does."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_here() or self._failure, patience_s)
            if self._phone is None:
                raise DeviceError(
                    f"no browser opened {address} within {patience_s:g} s; is the phone on the same network, "
                    "and does this computer's firewall let it in? Run the same command again"
                )
            return self._phone

    def give(self, task: Task) -> None:
        """Sets the task in hand, also for a page that has yet to come."""
        with self._changed:
            self._task, self._done = task, None
            self._number += 1
            self._loads = 0
            self._changed.notify_all()

    def result(self, patience_s: float = TASK_S) -> Done:
        """What the task in hand led to; DeviceError where the page fails, leaves, or takes over `patience_s`."""
        with self._changed:
            assert self._task, "a task is given first"
            end = self._clock() + patience_s
            while (done := self._result()) is None:
                self._check_phone(self._task)
                if (left_s := end - self._clock()) <= 0:
                    raise DeviceError(f"the phone did not answer while it was {self._task.doing}; {AGAIN}")
                self._changed.wait(min(self.pulse_s, left_s))
            return done

    def run(self, task: Task, patience_s: float = TASK_S) -> Done:
        """What the task led to, given and waited for."""
        self.give(task)
        return self.result(patience_s)

    def close(self) -> None:
        """Lets go of pages that wait for a task."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _result(self) -> Done | None:
        return self._done

    def _has_work(self) -> bool:
        return self._is_closed or (self._task is not None and not self._done)

    def _is_here(self) -> bool:
        return self._phone is not None and not self._has_left and not self._is_silent(self.patience_s)

    def _is_silent(self, seconds: float) -> bool:
        return self._clock() - self._heard > seconds

    def _may_take_over(self, post: Hello) -> bool:
        """A page loaded anew may; so may another of the same phone, when the first has gone or is silent."""
        if structs.replace(post, page=self._owner) != self._phone:
            return False
        return post.page == self._owner or self._has_left or self._is_silent(2 * self.pulse_s)

    def _check_owner(self, post: Post) -> None:
        if self._is_closed:
            raise RefusedError(410)
        if post.page != self._owner:
            raise RefusedError(409)
        self._hear()

    def _hear(self) -> None:
        self._heard = self._clock()
        self._changed.notify_all()

    def _refuse_failure(self) -> None:
        if self._failure:
            has_begun = self._task is not None and self._task.kind != "start"
            raise DeviceError(f"the phone cannot go on: {self._failure}{f'; {AGAIN}' if has_begun else ''}")

    def _check_phone(self, task: Task) -> None:
        self._refuse_failure()
        if self._loads > MOST_LOADS:
            raise DeviceError(
                f"the phone has loaded the page anew {self._loads} times while it was {task.doing}, so it is probably "
                "out of memory; close its other pages and apps, or measure a smaller supernet"
            )
        if self._is_silent(self.patience_s):
            raise DeviceError(f"the phone left while it was {task.doing}; {AGAIN}")
