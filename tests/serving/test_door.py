from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Coroutine
from typing import Any

import pytest

from bstsearch.serving.door import MOST_S, TICK_S, Door


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def tasks(door: Door, count: int, seen: list[Any]) -> list[asyncio.Task[None]]:
    """So many requests that came in this turn of the loop; each tells when it is in."""

    async def come(number: int) -> None:
        seen.append((number, await door.enter()))

    return [asyncio.create_task(come(number)) for number in range(count)]


def test_one_comes_in_at_a_time_the_latest_first_and_others_have_their_turn_between(clock: Clock) -> None:
    seen: list[Any] = []

    async def run() -> None:
        coming = await tasks(Door(clock), 4, seen)
        loop = asyncio.get_running_loop()

        def turn() -> None:  # an answer that is ready, at each turn
            if len(seen) < 12:
                seen.append("turn")
                loop.call_soon(turn)

        loop.call_soon(turn)
        await asyncio.gather(*coming)

    asyncio.run(run())
    assert [one for one in seen if one != "turn"] == [(0, True), (3, True), (2, True), (1, True)]
    entered = [place for place, one in enumerate(seen) if one != "turn"]
    assert all("turn" in seen[first:second] for first, second in itertools.pairwise(entered))


def test_who_has_waited_for_too_long_is_turned_away_before_it_is_read(clock: Clock) -> None:
    seen: list[Any] = []

    async def run() -> None:
        door = Door(clock)
        coming = await tasks(door, 3, seen)
        await asyncio.sleep(0)  # the first is in, the others wait
        clock.now = MOST_S + 0.01
        late = await tasks(door, 1, seen)
        await asyncio.gather(*coming, *late)

    asyncio.run(run())
    assert sorted(seen[1:]) == [(0, True), (1, False), (2, False)]


def test_who_gives_up_keeps_nobody_out(clock: Clock) -> None:
    seen: list[Any] = []

    async def run() -> None:
        door = Door(clock)
        coming = await tasks(door, 3, seen)
        await asyncio.sleep(0)
        coming[2].cancel()
        await asyncio.gather(*coming, return_exceptions=True)
        await door.enter()

    asyncio.run(run())
    assert seen == [(0, True), (1, True)]


def test_how_late_the_loop_is_is_seen(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    door, ticks = Door(clock), 0

    async def sleep(seconds: float) -> None:
        nonlocal ticks
        ticks += 1
        clock.now += seconds + (0.5 if ticks % 20 == 0 else 0.001)
        if ticks == 3000:
            raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", sleep)
    run: Coroutine[Any, Any, None] = door.watch()
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(run)
    assert clock.now > 3000 * TICK_S
    assert 0.2 < door.lag < 1
