"""Requests come in one at a time, so that answers that are ready need not wait behind many of them (no torch)."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from bstsearch.serving.costs import Quantile

MOST_S = 0.25  # that a request waits before it is read
TICK_S, LAG_S = 0.02, 0.0002  # how often it is looked how late the loop is, and how late, before any was seen
TIMER_S = 0.001  # that a timer is late by itself, since epoll waits for whole milliseconds


class Door:
    """Lets one request in at each turn of the event loop; of use to one loop.

    The latest goes first: while there are more than can be read, some are read in time, rather than all too late.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._waiting: deque[tuple[float, asyncio.Future[bool]]] = deque()
        self._is_free = True
        self._lag = Quantile(LAG_S, share=0.99)

    @property
    def lag(self) -> float:
        """Seconds for which the loop does not see a request that is there: at most, but for one in a hundred."""
        return self._lag.value

    async def watch(self) -> None:
        """Looks how late the loop comes to what is due, until it is cancelled."""
        while True:
            due = self._clock() + TICK_S
            await asyncio.sleep(TICK_S)
            self._lag.see(max(LAG_S, self._clock() - due - TIMER_S))  # else it would vanish in a quiet night

    async def enter(self) -> bool:
        """Returns when it is this request's turn: True, or False where that took too long."""
        loop = asyncio.get_running_loop()
        if self._is_free:
            self._is_free = False
            loop.call_soon(self._turn, loop)
            return True
        turn: asyncio.Future[bool] = loop.create_future()
        self._waiting.append((self._clock(), turn))
        return await turn

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Lets the latest in, and turns away those that have waited for too long."""
        while self._waiting and self._waiting[0][0] < self._clock() - MOST_S:
            _tell(self._waiting.popleft()[1], False)
        self._is_free = not self._waiting
        if self._waiting:
            _tell(self._waiting.pop()[1], True)
            loop.call_soon(self._turn, loop)


def _tell(turn: asyncio.Future[bool], is_in: bool) -> None:
    if not turn.done():  # its task was cancelled
        turn.set_result(is_in)
