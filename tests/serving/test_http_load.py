"""The benchmark's client: what it counts as lost is lost."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

import http_load
from http_load import BROKEN, REFUSED, UNANSWERED, Client, Reply, first_that_answers, replay

REQUEST = b"POST /ask HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def against(handle: Handle, act: Callable[[int], Awaitable[Any]]) -> Any:
    """What `act` returns for the port of a server that handles connections so."""

    async def run() -> Any:
        async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
            result = await act(server.sockets[0].getsockname()[1])
        while len(asyncio.all_tasks()) > 1:  # until it has seen that the client left
            await asyncio.sleep(0)
        return result

    return asyncio.run(run())


async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers, and closes the connection when the client does, or asks again."""
    with contextlib.closing(writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        await reader.read(1)


def test_a_connection_that_lay_idle_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_load, "KEPT_S", 0.0)

    async def ask(port: int) -> list[Reply]:
        async with Client(port) as client:
            return [await client.send(REQUEST) for _ in range(3)]

    assert [(reply.status, reply.content) for reply in against(answer_once, ask)] == [(200, b"ok")] * 3


def test_one_that_is_used_again_and_closed_is_broken() -> None:
    async def ask(port: int) -> list[int]:
        async with Client(port) as client:
            return [(await client.send(REQUEST)).status for _ in range(2)]

    assert against(answer_once, ask) == [200, BROKEN]


def test_what_never_comes_is_unanswered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_load, "PATIENCE_S", 0.01)

    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            await reader.read()

    async def ask(clients: Sequence[Client]) -> Reply:
        return await clients[0].send(REQUEST)

    replies, _ = against(ignore, lambda port: replay([port], ask, [0.0, 0.0], 0.01))
    assert [reply.status for reply in replies] == [UNANSWERED] * 2


def test_a_request_goes_on_to_the_next_server_where_one_refuses_it() -> None:
    replies = [Reply(status=status, seconds=0.0) for status in (REFUSED, 200, 200)]
    left = list[float]()

    class Server:
        def __init__(self, reply: Reply) -> None:
            self.reply = reply

        async def send(self, request: bytes) -> Reply:
            left.append(float(request))
            return self.reply

    def ask(*servers: Reply) -> int:
        clients: Any = [Server(reply) for reply in servers]
        return asyncio.run(first_that_answers(clients, request_of=lambda s: str(s).encode(), deadline_s=60.0)).status

    assert (ask(*replies), len(left)) == (200, 2)
    assert 60 >= left[0] > left[1] > 50
    assert (ask(replies[0], replies[0]), len(left)) == (REFUSED, 4)


def test_each_request_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Late answers are no lost ones."""
    from serving import told

    member = type("Member", (), {"id": "a", "accuracy": type("Accuracy", (), {"value": 0.5})})
    bundle: Any = type("Folder", (), {"bundle": type("Bundle", (), {"submodels": [member]})})
    answers = [Reply(status=200, seconds=seconds, content=b'{"submodel": "a"}') for seconds in (0.1, 0.2, 0.9, 2.0)]
    others = [Reply(status=status, seconds=math.inf) for status in (503, 503, BROKEN, UNANSWERED)]
    figures = told(bundle, [*answers, *others], 1.0, given_up=1)
    assert figures == {
        "right_in_time": 18.75,
        "in_time": 37.5,
        "late": 12.5,
        "refused": 12.5,
        "given_up": 12.5,
        "broken": 12.5,
        "unanswered": 12.5,
        "accepted_in_time": 60.0,
    }
