"""What a request may ask for at most, and how it is refused (no torch)."""

from __future__ import annotations

import dataclasses

MEBIBYTE = 1 << 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds on a request: bytes, pixels, characters, milliseconds, parts of a form; and on all of them together.

    `axis` is how long an axis of a tensor may be that has no size of its own. `slowest_s` is how long a client may take
    to send the head of a request, and its body.
    """

    body: int = 8 * MEBIBYTE
    pixels: int = 25_000_000
    question: int = 1000
    deadline_ms: float = 60_000
    slowest_s: float = 10
    held: int = 128 * MEBIBYTE
    connections: int = 512
    parts: int = 16
    axis: int = 1024


class ClientLeftError(Exception):
    """Nobody waits for the answer any more."""


class BrokenError(Exception):
    """The server cannot answer, through no fault of the client's: one line that says why."""


class RefusedError(Exception):
    """A request that is answered with an error: its HTTP status and one line that says why.

    Where not all of its body was read, its connection is of no use any more.
    """

    def __init__(self, status: int, line: str, *, retry_s: float | None = None, is_read: bool = True) -> None:
        super().__init__(line)
        self.status, self.line, self.retry_s, self.is_read = status, line, retry_s, is_read
