"""What another program writes into a pipe, and what it reads from one: in bounded time and length (no torch)."""

from __future__ import annotations

import os
import select
import time

CHUNK = 1 << 16
ATOMIC = 4096  # bytes that a pipe takes without waiting where it takes any (PIPE_BUF)


class TooLateError(Exception):
    """The other program said nothing, or took nothing, for too long."""


class TooLongError(Exception):
    """The other program said more than can be meant."""


class Replies:
    """The end of a pipe from which to read; what is not taken yet is at most `most` bytes."""

    def __init__(self, handle: int, most: int) -> None:
        self._handle, self._most, self._kept = handle, most, bytearray()

    def line(self, seconds: float) -> bytes:
        """The next line with its end, or without one the last words of a program that ended.

        TooLateError after `seconds`, TooLongError beyond the bound.
        """
        end, looked = time.monotonic() + seconds, 0
        while (place := self._kept.find(b"\n", looked)) < 0:
            looked = len(self._kept)
            if not self._take(end):
                break
        line = bytes(self._kept[: place + 1] if place >= 0 else self._kept)
        del self._kept[: len(line)]
        return line

    def everything(self, seconds: float) -> bytes:
        """What the program says until it ends; TooLateError after `seconds`, TooLongError beyond the bound."""
        end = time.monotonic() + seconds
        while self._take(end):
            pass
        return bytes(self._kept)

    def discard(self, seconds: float) -> None:
        """Lets the program say what it likes until it ends, for `seconds` at the most."""
        end = time.monotonic() + seconds
        while _is_ready(self._handle, end) and os.read(self._handle, CHUNK):
            pass

    def _take(self, end: float) -> bool:
        """Waits for more; returns False where there is no more to come."""
        if len(self._kept) > self._most:
            raise TooLongError
        if not _is_ready(self._handle, end):
            raise TooLateError
        data = os.read(self._handle, CHUNK)
        self._kept += data
        return bool(data)


def write_all(handle: int, data: bytes, seconds: float) -> None:
    """Writes `data` into a pipe; TooLateError where the other program takes nothing for `seconds`."""
    rest = memoryview(data)
    while rest:
        if not select.select([], [handle], [], seconds)[1]:
            raise TooLateError
        rest = rest[os.write(handle, rest[:ATOMIC]) :]


def _is_ready(handle: int, end: float) -> bool:
    """Whether there is something to read before `end`; False after it even where there is, so nobody talks on."""
    left_s = end - time.monotonic()
    return left_s > 0 and bool(select.select([handle], [], [], left_s)[0])
