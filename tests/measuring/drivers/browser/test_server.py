"""The server spoken to by plain HTTP, by strangers and by those who mean ill."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import numpy as np
import pytest
from phone import ENVIRONMENT, Phone, Start, kinds, time_once

from bstsearch.errors import DeviceError
from bstsearch.measuring.drivers.browser import driver as browser
from bstsearch.measuring.drivers.browser import server as browser_server
from bstsearch.measuring.drivers.browser.address import lan_addresses
from bstsearch.measuring.drivers.browser.server import LARGEST_POST

GIGABYTE = 10**9


def test_the_page_its_graphs_and_inputs_are_served_isolated(knock: Phone) -> None:
    for name, kind in (("", "text/html"), ("page.css", "text/css"), ("worker.js", "text/javascript")):
        status, headers, content = knock.get(name)
        assert (status, headers["Content-Type"].split(";")[0]) == (200, kind)
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert content
    assert knock.get("1.onnx")[2] == b"large" * 10
    assert knock.get("inputs.bin")[2] == np.arange(3).tobytes() + b"\1\1"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/TOKEN",
        "/wrong/",
        "/wrong/page.js",
        "/TOKENx/",
        "/TOKEN/other.js",
        "/TOKEN/../browser.py",
        "/TOKEN/%2e%2e/browser.py",
        "/TOKEN//etc/passwd",
        "/TOKEN/page/",
        "/TOKEN/ort/ort.wasm.bundle.min.mjs",
        "/favicon.ico",
        "/%00",
        "/tök/",
    ],
)
def test_anything_else_is_not_found_and_says_nothing(knock: Phone, path: str) -> None:
    with socket.create_connection(("127.0.0.1", knock.port), timeout=20) as connection:
        target = path.replace("TOKEN", knock.token)
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost:{knock.port}\r\n\r\n".encode())
        connection.shutdown(socket.SHUT_WR)
        answer = read_all(connection)
    assert answer == b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


def test_other_methods_and_nonsense_get_no_page_of_http_servers(knock: Phone) -> None:
    for method in ("PUT", "DELETE", "OPTIONS", "HEAD"):
        status, headers, content = knock.request(method, f"/{knock.token}/")
        assert (status, content) == (404, b"")
        assert "Server" not in headers
    with socket.create_connection(("127.0.0.1", knock.port), timeout=20) as connection:
        connection.sendall(b"hello there, web server\r\n\r\n")
        assert b"<" not in read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize("name", ["hello", "ask", "done", "failed", "alive", "leave"])
def test_posts_with_another_token_are_not_found(knock: Phone, name: str) -> None:
    stranger = Phone(f"http://localhost:{knock.port}/{'a' * 16}/")
    assert stranger.post(name, **ENVIRONMENT) == (404, None)
    assert knock.post("ask") == (409, None)  # nobody has said hello


@pytest.mark.parametrize("host", ["evil.example", "evil.example:PORT", "192.168.1.5:PORT", "", "localhost:1"])
def test_a_name_made_to_lead_here_is_refused(knock: Phone, host: str) -> None:
    for method in ("GET", "POST"):
        headers = {"Host": host.replace("PORT", str(knock.port))}
        assert knock.request(method, f"/{knock.token}/", b"{}", headers)[0] == 404
    assert knock.request("GET", f"/{knock.token}/", headers={"Host": f"127.0.0.1:{knock.port}"})[0] == 200


def test_tokens_differ_and_are_long(start: Start) -> None:
    tokens = {start().phone.token for _ in range(3)}
    assert len(tokens) == 3
    assert all(len(token) == 16 and token.isalnum() for token in tokens)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (f"Content-Length: {GIGABYTE}", 413),
        (f"Content-Length: {LARGEST_POST + 1}", 413),
        (f"Content-Length: {'9' * 5000}", 413),
        ("Transfer-Encoding: chunked", 411),
        (f"Transfer-Encoding: chunked\r\nContent-Length: {GIGABYTE}", 411),
        ("X-None: 1", 411),
        ("Content-Length: -5", 411),
        ("Content-Length: many", 411),
        (f"Content-Length: {GIGABYTE}\r\nExpect: 100-continue", 413),
    ],
)
def test_a_body_too_long_is_refused_unread(knock: Phone, headers: str, status: int) -> None:
    with socket.create_connection(("127.0.0.1", knock.port), timeout=20) as connection:
        head = f"POST /{knock.token}/done HTTP/1.1\r\nHost: localhost:{knock.port}\r\n{headers}\r\n\r\n"
        connection.sendall(head.encode())  # and not a byte of the body
        answer = read_all(connection)  # to its end: the server hangs up
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Connection: close" in answer
    assert knock.get("page.js")[0] == 200


@pytest.mark.parametrize(
    "start_of_a_request",
    ["", "GET /TOKEN/ HTTP/1.1\r\nHost: loc", "POST /TOKEN/done HTTP/1.1\r\nHost: HOST\r\nContent-Length: 9\r\n\r\n{"],
)
def test_who_falls_silent_is_hung_up_on(knock: Phone, monkeypatch: pytest.MonkeyPatch, start_of_a_request: str) -> None:
    monkeypatch.setattr(browser_server._Handler, "timeout", 0.05)
    head = start_of_a_request.replace("TOKEN", knock.token).replace("HOST", f"localhost:{knock.port}")
    with socket.create_connection(("127.0.0.1", knock.port), timeout=20) as connection:
        connection.sendall(head.encode())
        assert read_all(connection) == b""


MALFORMED = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b'{"page": 5, "task": 1}',
    b'{"page": "PAGE"}',
    b'{"page": "PAGE", "task": "1"}',
    b'{"page": "PAGE", "task": 1, "more": 2}',
    b'{"page": "../../etc", "task": 1}',
    b'{"page": "PAGE", "task": 3, "times_ms": [[1.0, -1.0], [1.0]]}',
    b'{"page": "PAGE", "task": 3, "times_ms": [[1.0, NaN], [1.0]]}',
    b'{"page": "PAGE", "task": 3, "times_ms": [[1.0, 1e999], [1.0]]}',
    b'{"page": "PAGE", "task": 3, "times_ms": [["1", 1.0], [1.0]]}',
    b'{"page": "PAGE", "task": 3, "times_ms": [[1.0], [1.0]]}',
    b'{"page": "PAGE", "task": 3, "times_ms": [[1.0, 1.0]]}',
    b'{"page": "PAGE", "task": 3, "times_ms": []}',
    b'{"page": "PAGE", "task": 3}',
    b'{"page": "PAGE", "task": 3, "runtime": {"version": "1", "threads": 1, "clock_ms": 1}}',
    b"[" * 100_000,
]


def test_malformed_results_are_noted_and_the_job_goes_on(start: Start) -> None:
    session = start(time_once)
    phone = session.phone
    phone.hello()
    kinds(phone, 2)
    assert phone.ask()["kind"] == "time"
    before = len(session.notes)
    for number, body in enumerate(MALFORMED, start=1):
        answer = phone.request("POST", f"/{phone.token}/done", body.replace(b"PAGE", phone.page.encode()))
        assert (answer[0], answer[2]) == (400, b""), body
        assert len(session.notes[before:]) == number
        assert session.notes[-1].startswith("ignored a ")
        assert len(session.notes[-1]) < 100
    assert kinds(phone, 2) == ["time", "finish"]
    assert session.end() == [(1.0, 1.0), (1.0,)]


def test_a_port_in_use_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(DeviceError, match=f"cannot serve on port {port}: Address already in use"),
            browser.open_device(note=lambda _: None, port=port),
        ):
            pass


def test_without_lan_only_this_computer_is_served(knock: Phone) -> None:
    for address in addresses():
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, knock.port), timeout=20)


def test_with_lan_the_network_is_served_under_its_address(start: Start) -> None:
    if not addresses():
        pytest.skip("this computer is in no network")
    session = start(is_lan=True)
    assert addresses()[0] in session.phone.address
    assert session.phone.request("GET", f"/{session.phone.token}/", headers={"Host": "my-laptop"})[0] == 200
    assert session.phone.request("GET", "/wrong/")[0] == 404


def addresses() -> Sequence[str]:
    try:
        return lan_addresses()
    except DeviceError:
        return []
