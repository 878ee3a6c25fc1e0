"""Requests over HTTP at given times, whether or not those before have their answer (open loop), and what came back.

The clock of a request starts when it is its turn, before a connection is looked for, and ends when the last byte of the
reply is read that counts. How late the client itself was, busy with other replies, is measured by a timer beside
(`Lag`). A connection that lay idle is not used again: servers close them, uvicorn after five seconds, and what is
written then is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import re
import statistics
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

MOST_CONNECTIONS, WARM = 256, 16
KEPT_S = 3.0  # seconds after which an idle connection is not used again
PATIENCE_S = 10.0  # after the last request was sent, and its deadline
TICK_S = 0.005
BROKEN, UNANSWERED = 0, -1
REFUSED = 503


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reply:
    """What came back: its HTTP status and content, and the seconds that it took.

    The status is BROKEN where the connection was closed instead, UNANSWERED where nothing ever came.
    """

    status: int
    seconds: float
    content: bytes = b""


class Connection(asyncio.Protocol):
    """One connection, for one request at a time."""

    def __init__(self) -> None:
        self.used = time.perf_counter()
        self._came = bytearray()
        self._reply: asyncio.Future[Reply] | None = None
        self._transport: asyncio.BaseTransport | None = None
        self.is_open = True

    async def send(self, request: bytes) -> Reply:
        """The reply to a request."""
        assert isinstance(self._transport, asyncio.WriteTransport)
        self._reply = asyncio.get_running_loop().create_future()
        self._came.clear()
        self.used = time.perf_counter()
        if self.is_open:
            self._transport.write(request)
        else:
            self._finish(BROKEN)
        return await self._reply

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """More of the reply is there."""
        self._came += data
        head, gap, body = bytes(self._came).partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if gap and len(body) >= (int(length.group(1)) if length else 0):
            self.is_open = self.is_open and b"connection: close" not in head.lower()
            self._finish(int(head.split()[1]), body)

    def connection_lost(self, _error: Exception | None) -> None:
        """It was closed, by whomever."""
        self.is_open = False
        self._finish(BROKEN)

    def close(self) -> None:
        """Closes it."""
        self.is_open = False
        if self._transport is not None:
            self._transport.close()

    def _finish(self, status: int, content: bytes = b"") -> None:
        if self._reply is not None and not self._reply.done():
            now = time.perf_counter()
            self._reply.set_result(Reply(status=status, seconds=now - self.used, content=content))
            self.used = now


class Client:
    """Connections to a port of this machine, each used again once its reply is there; MOST_CONNECTIONS at most."""

    def __init__(self, port: int) -> None:
        self._port, self._idle, self._all = port, list[Connection](), list[Connection]()
        self._free = asyncio.Semaphore(MOST_CONNECTIONS)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in self._all:
            connection.close()
        await asyncio.sleep(0)  # in which they are closed

    async def warm(self, count: int) -> None:
        """Opens so many connections."""
        self._idle += [await self._connected() for _ in range(count)]

    async def send(self, request: bytes) -> Reply:
        """The reply to a request; one that comes while all connections are in use waits before its clock starts."""
        async with self._free:
            try:
                connection = await self._connection()
            except OSError:
                return Reply(status=BROKEN, seconds=0.0)
            reply = await connection.send(request)
        if connection.is_open:
            self._idle.append(connection)
        else:
            connection.close()
        return reply

    async def _connection(self) -> Connection:
        """The one used last, unless it lay idle; else a new one."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and time.perf_counter() - connection.used < KEPT_S:
                return connection
            connection.close()
        return await self._connected()

    async def _connected(self) -> Connection:
        _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", self._port)
        self._all = [one for one in self._all if one.is_open] + [connection]
        return connection


async def first_that_answers(
    clients: Sequence[Client], *, request_of: Callable[[float], bytes], deadline_s: float
) -> Reply:
    """The reply of the first server that does not refuse the request for the time that is left then, or the last's.

    Its seconds are those since the call.
    """
    start, reply = time.perf_counter(), Reply(status=REFUSED, seconds=0.0)
    for client in clients:
        left_s = start + deadline_s - time.perf_counter()
        if reply.status != REFUSED or left_s <= 0:
            break
        reply = await client.send(request_of(left_s))
    return dataclasses.replace(reply, seconds=time.perf_counter() - start)


class Lag:
    """How late the client's own loop is, by a timer."""

    def __init__(self) -> None:
        self.seconds = list[float]()

    async def watch(self) -> None:
        """Looks until it is cancelled."""
        while True:
            due = time.perf_counter() + TICK_S
            await asyncio.sleep(TICK_S)
            self.seconds.append(time.perf_counter() - due)

    @property
    def high(self) -> float:
        """What one in a hundred exceeds."""
        return statistics.quantiles(self.seconds, n=100)[-1] if len(self.seconds) > 1 else 0.0


async def replay(
    ports: Sequence[int],
    ask: Callable[[Sequence[Client]], Coroutine[Any, Any, Reply]],
    times: Sequence[float],
    deadline_s: float,
) -> tuple[list[Reply], Lag]:
    """What `ask` returns with clients of those ports, called at each of the times, and how late this client was."""
    lag = Lag()
    gc.collect()
    gc.freeze()  # so that no collection looks through all that is there while replies wait
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client(port)) for port in ports]
        for client in clients:
            await client.warm(WARM)
        watch = asyncio.create_task(lag.watch())
        start, sent = time.perf_counter(), list[asyncio.Task[Reply]]()
        for at in times:
            await asyncio.sleep(max(0.0, start + at - time.perf_counter()))
            sent.append(asyncio.create_task(ask(clients)))
        done, never = await asyncio.wait(sent, timeout=deadline_s + PATIENCE_S)
        for task in (*never, watch):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch
    return [*(task.result() for task in done), *[Reply(status=UNANSWERED, seconds=float("inf"))] * len(never)], lag
