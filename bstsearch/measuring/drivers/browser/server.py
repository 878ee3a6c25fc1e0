"""A small web server for one page and one job; whoever does not know its token learns nothing from it (no torch)."""

from __future__ import annotations

import contextlib
import hmac
import json
import secrets
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

from bstsearch.errors import DeviceError, InputError
from bstsearch.measuring.drivers.browser.files import ORT_CDN, ServedFile
from bstsearch.measuring.drivers.browser.job import Job, RefusedError
from bstsearch.measuring.drivers.browser.protocol import Done, Failed, Hello, Post, browser_of
from bstsearch.reading import decoded

LARGEST_POST = 1_000_000  # bytes; the times of 1,000 submodels take a tenth of it
IDLE_S = 60.0  # how long a connection may say nothing
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # those that are not mistaken for another when typed

AnyPost = TypeVar("AnyPost", bound=Post)
Answer = Mapping[str, Any] | None


def new_token() -> str:
    """A random word of 79 bits that may be typed by hand."""
    return "".join(secrets.choice(_LETTERS) for _ in range(16))


class PageServer(ThreadingHTTPServer):
    """Serves `files` and takes posts for `job`, both under `/TOKEN/`; everything else is not found.

    Files may be added while it runs. DeviceError where it cannot have the port.
    """

    daemon_threads = True

    def __init__(
        self,
        host: str,
        port: int,
        *,
        files: dict[str, ServedFile],
        config: Mapping[str, Any],
        job: Job,
        note: Callable[[str], None],
    ) -> None:
        self.files, self.config, self.job, self.note = files, config, job, note
        self.token = new_token()
        self._open: set[socket.socket] = set()
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else "there are only 65535"
            raise DeviceError(f"cannot serve on port {port}: {reason}; choose another, or 0 for a free one") from error
        # A page elsewhere whose name was made to lead here must not talk to us; names of this machine are known.
        is_loopback = host == "127.0.0.1"
        port = self.server_address[1]
        self.hosts = {f"{name}:{port}" for name in ("localhost", "127.0.0.1")} if is_loopback else None

    def process_request(self, request: Any, client_address: Any) -> None:
        """Handles a connection in a thread of its own."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Closes a connection."""
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's
        """Says nothing of a connection that broke: the job says what came of it."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            self.note(f"could not answer the page: {error!r}")

    def server_close(self) -> None:
        """Closes the port, and every connection once what it asked for has been answered."""
        super().server_close()
        for request in list(self._open):
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RD)


@contextlib.contextmanager
def running(server: PageServer) -> Iterator[PageServer]:
    """The server, at work while the block runs; then its job is over, too."""
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.job.close()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        name = self._name()
        file = None if name is None else self.server.files.get(name)
        if file is None:
            self._send(HTTPStatus.NOT_FOUND)
        else:
            self._send(HTTPStatus.OK, file.read(), file.type)

    def do_POST(self) -> None:
        takers: dict[str, Callable[[bytes], Answer]] = {
            "hello": self._hello,
            "ask": self._ask,
            "alive": self._alive,
            "done": self._done,
            "failed": self._failed,
            "leave": self._leave,
        }
        taker = takers.get(self._name() or "")
        if taker is None:
            self._refuse(HTTPStatus.NOT_FOUND)
        elif (body := self._body()) is not None:
            self._take(taker, body)

    def handle_expect_100(self) -> bool:
        """Lets `do_POST` look first: a client that asks whether to send goes on by itself where it hears nothing."""
        return True

    def send_error(self, code: int, *_: Any, **__: Any) -> None:
        """Answers what http.server itself refuses, without the page that it would write."""
        self._refuse(HTTPStatus.NOT_FOUND if code == HTTPStatus.NOT_IMPLEMENTED else code)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Keeps no log."""

    def _name(self) -> str | None:
        """What follows `/TOKEN/`; None where the token, or the host that was asked for, is not ours."""
        start, *rest = self.path.partition("?")[0].split("/", 2)
        if start or len(rest) < 2:  # "/TOKEN" is not "/TOKEN/": relative addresses in the page would lead elsewhere
            return None
        is_token = hmac.compare_digest(rest[0].encode("utf-8", "replace"), self.server.token.encode())
        hosts = self.server.hosts
        is_host = hosts is None or self.headers.get("Host", "").lower() in hosts
        return rest[1] if is_token and is_host else None

    def _body(self) -> bytes | None:
        """The post's body; None where its length is not told, or too much, and that has been answered."""
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            self._refuse(HTTPStatus.LENGTH_REQUIRED)
            return None
        if len(length) > 9 or int(length) > LARGEST_POST:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return None
        return self.rfile.read(int(length))

    def _take(self, taker: Callable[[bytes], Answer], body: bytes) -> None:
        try:
            answer = taker(body)
        except RefusedError as refused:
            self._send(refused.status)
        except InputError as error:
            self.server.note(f"ignored {error}")
            self._send(HTTPStatus.BAD_REQUEST)
        else:
            text = b"" if answer is None else json.dumps(answer).encode()
            self._send(HTTPStatus.OK if text else HTTPStatus.NO_CONTENT, text, "application/json")

    def _read(self, body: bytes, kind: type[AnyPost]) -> AnyPost:
        post: AnyPost = decoded(body, kind, f"a malformed message to '{self._name()}'")
        return post

    def _hello(self, body: bytes) -> Answer:
        post = self._read(body, Hello)
        is_first = self.server.job.hello(post)
        arrival = f"{browser_of(post)} has come; it loads onnxruntime-web"
        self.server.note(arrival if is_first else "the page was loaded anew; going on")
        return self.server.config

    def _ask(self, body: bytes) -> Answer:
        return self.server.job.ask(self._read(body, Post))

    def _alive(self, body: bytes) -> Answer:
        self.server.job.hear(self._read(body, Post))
        return None

    def _done(self, body: bytes) -> Answer:
        try:
            self.server.job.finish(post := self._read(body, Done))
        except RefusedError as refused:
            if refused.status == HTTPStatus.BAD_REQUEST:
                self.server.note(f"ignored a result that does not fit task {post.task}")
            raise
        return None

    def _failed(self, body: bytes) -> Answer:
        post = self._read(body, Failed)
        self.server.job.fail(post, post.message)
        return None

    def _leave(self, body: bytes) -> Answer:
        self.server.job.leave(self._read(body, Post))
        return None

    def _refuse(self, status: int) -> None:
        """Answers without having read the body, so the connection cannot go on."""
        self.close_connection = True
        self._send(status)

    def _send(self, status: int, content: bytes = b"", kind: str = "text/plain") -> None:
        self.send_response_only(status)
        for name, value in (_HEADERS if content else {}).items():
            self.send_header(name, value)
        if content:
            self.send_header("Content-Type", kind)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


_CDN = ORT_CDN.split("/npm/")[0]
_HEADERS = {
    # These make the page "cross-origin isolated" where its address is https or localhost: WASM then has threads.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    # blob: is for the threads of onnxruntime-web, and for its script, which is run after its hash was checked.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' blob: 'wasm-unsafe-eval'; worker-src 'self' blob:; "
        f"connect-src 'self' blob: {_CDN}; style-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",  # else the CDN would be told the token
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
