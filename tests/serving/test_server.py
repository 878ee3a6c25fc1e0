"""The real process: its socket, its signals, its connections."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from bstsearch.errors import DeviceError, InputError, UsageError
from bstsearch.serving.server import Options, open_server
from http_load import Client, Reply, replay

WAIT_S = 60.0  # for another process, on a busy machine


def test_an_address_that_cannot_be_had_is_named_before_anything_is_opened(bundle_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            DeviceError, match=f"cannot listen on '127.0.0.1', port {port}: .*; choose another with --port"
        ):
            open_server(Options(bundle=bundle_folder, port=port))
    with pytest.raises(DeviceError, match=r"cannot listen on '203\.0\.113\.7', port 0"):
        open_server(Options(bundle=bundle_folder, host="203.0.113.7", port=0))


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"memory_mb": float("nan")}, "--memory-mb is nan; give"),
        ({"memory_mb": float("inf")}, "--memory-mb is inf"),
        ({"page": Path("nowhere")}, "nowhere does not exist; give a folder of"),
        ({"host": ""}, "--host is empty; give an address"),
    ],
)
def test_what_cannot_be_meant_is_refused(bundle_folder: Path, options: Any, line: str) -> None:
    with pytest.raises((InputError, UsageError), match=line):
        open_server(Options(bundle=bundle_folder, **options))


def test_a_folder_that_is_no_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"elastic\.json does not exist; export the bundle again"):
        open_server(Options(bundle=tmp_path))


def test_replies_are_sent_at_once(bundle_folder: Path) -> None:
    server = open_server(Options(bundle=bundle_folder, port=0))
    with server.socket, socket.create_connection(server.socket.getsockname(), timeout=WAIT_S):
        connection, _ = server.socket.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@contextlib.contextmanager
def serving(
    bundle: Path, *options: str, program: tuple[str, ...] = ("-m", "bstsearch", "serve")
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server of the bundle, and its port."""
    command = [sys.executable, *program, str(bundle), "--port", "0", "--threads", "1", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r":(\d+);", line)
            assert found, line
            yield process, int(found.group(1))
        finally:
            process.kill()


FORM = "multipart/form-data; boundary=x"


def form(picture: bytes, deadline_ms: int) -> bytes:
    head = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n'
    body = head % b"question" + b"what color is it?\r\n" + head % b"deadline_ms" + b"%d\r\n" % deadline_ms
    return (
        body + b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n' + picture + b"\r\n--x--\r\n"
    )


def ask(port: int, picture: bytes, deadline_ms: int = 60_000) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    with contextlib.closing(connection):
        connection.request("POST", "/ask", form(picture, deadline_ms), {"Content-Type": FORM})
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_once_all_that_was_accepted_has_its_answer(
    bundle_folder: Path, picture: bytes, number: int
) -> None:
    with serving(bundle_folder) as (process, port):
        assert ask(port, picture)[0] == 200
        found: list[Any] = []

        def keep_asking() -> None:
            with contextlib.suppress(ConnectionRefusedError, ConnectionResetError):  # not accepted: it has ended
                while True:
                    found.append(ask(port, picture)[0])

        threads = [threading.Thread(target=keep_asking) for _ in range(8)]
        for thread in threads:
            thread.start()
        while len(found) < 40:
            time.sleep(0.01)
        process.send_signal(number)
        out, err = process.communicate(timeout=WAIT_S)
        for thread in threads:
            thread.join()
    assert process.returncode == 0
    assert set(found) == {200}
    assert out == "ended; all that was accepted has been answered\n"
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_second_interruption_ends_it_at_once(bundle_folder: Path, picture: bytes) -> None:
    with serving(bundle_folder) as (process, port), contextlib.ExitStack() as stack:
        assert ask(port, picture)[0] == 200
        slow = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=WAIT_S))
        slow.sendall(b"POST /ask HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")
        assert ask(port, picture)[0] == 200  # so that it has seen the other one
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):
            while True:  # until it takes no connection any more, and waits for that body
                socket.create_connection(("127.0.0.1", port), timeout=WAIT_S).close()
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 130
    assert "ended" not in out
    assert "Traceback" not in err


@pytest.mark.slow
def test_many_connections_and_clients_that_leave_disturb_no_other(bundle_folder: Path, picture: bytes) -> None:
    with serving(bundle_folder) as (process, port), contextlib.ExitStack() as stack:
        for _ in range(200):
            idle = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=WAIT_S))
            idle.sendall(b"POST /ask HTTP/1.1\r\nContent-Length: 1000")
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as leaving:
                leaving.sendall(b"POST /ask HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")
        assert ask(port, picture)[0] == 200
        more = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)) for _ in range(400)]
        assert more[-1].recv(100).startswith(b"HTTP/1.1 503 ")
        more[0].sendall(b"GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert more[0].recv(100).startswith(b"HTTP/1.1 200 ")
        stack.close()
        while (status := try_to_ask(port, picture)) == 503:  # until it has noticed that they left
            time.sleep(0.05)
        assert status == 200
        assert process.poll() is None


def try_to_ask(port: int, picture: bytes) -> int:
    try:
        return ask(port, picture)[0]
    except (json.JSONDecodeError, ConnectionError):  # refused before anything was read
        return 503


@pytest.mark.slow
def test_in_an_overload_each_request_is_answered_in_time_or_refused(bundle_folder: Path, picture: bytes) -> None:
    """Five times as many requests come as the large submodel can answer, half as many again as the small one can."""
    body = form(picture, 300)
    head = f"POST /ask HTTP/1.1\r\nHost: a\r\nContent-Type: {FORM}\r\nContent-Length: {len(body)}\r\n\r\n"
    slow = (str(Path(__file__).parent / "slow_server.py"), "serve")

    async def send(clients: Sequence[Client]) -> Reply:
        return await clients[0].send(head.encode() + body)

    with serving(bundle_folder, program=slow) as (process, port):
        assert ask(port, picture)[0] == 200
        before = psutil.Process(process.pid).memory_info().rss
        replies, _ = asyncio.run(replay([port], send, [number / 125 for number in range(300)], 0.3))
        growth = psutil.Process(process.pid).memory_info().rss - before
        assert ask(port, picture)[0] == 200
    assert {reply.status for reply in replies} == {200, 503}
    answered = [reply for reply in replies if reply.status == 200]
    assert sum(reply.seconds <= 0.3 for reply in answered) >= 0.8 * len(answered)
    assert growth < 50_000_000


@pytest.mark.slow
def test_two_processes_share_an_address_and_their_metrics(bundle_folder: Path, picture: bytes) -> None:
    with serving(bundle_folder, "--workers", "2") as (process, port):
        assert [ask(port, picture)[0] for _ in range(8)] == [200] * 8
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
        with contextlib.closing(connection):
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        assert 'bstsearch_requests_total{outcome="in time"} 8.0' in text
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=WAIT_S)
    assert (process.returncode, out) == (0, "ended; all that was accepted has been answered\n")
