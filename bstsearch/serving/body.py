"""The body of a request, read within limits: how large, how slow, and how much of all requests at once (no torch)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from bstsearch.serving.limits import ClientLeftError, Limits, RefusedError

DROPPING_S = 1.0


class Bodies:
    """Reads bodies, and counts the bytes of those that are in memory."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._held = limits, 0

    @contextlib.asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """The whole body, which counts while the block runs; RefusedError tells what is wrong with it.

        ClientLeftError where the client leaves before it is there.
        One that is too large is refused by what its head says, or as soon as more has come.
        """
        content = bytearray()
        try:
            await self._fill(content, request)
            yield bytes(content)
        finally:
            self._held -= len(content)

    async def _fill(self, content: bytearray, request: Request) -> None:
        """Reads the body into `content`; errors as of `read`."""
        slowest = self._limits.slowest_s
        try:
            async with asyncio.timeout(slowest):
                self._check_size(_declared(request))
                async for chunk in request.stream():
                    content += chunk
                    self._held += len(chunk)
                    self._check_size(len(content))
        except TimeoutError:
            line = f"the body did not come within {slowest:g} s; send it faster"
            raise RefusedError(408, line, is_read=False) from None
        except ClientDisconnect:
            raise ClientLeftError from None
        except RefusedError:
            self._held -= len(content)
            content.clear()
            await _drop(request)
            raise

    def _check_size(self, size: int) -> None:
        if size > self._limits.body:
            line = f"the body has over {self._limits.body:,} bytes; send a smaller picture"
            raise RefusedError(413, line, is_read=False)
        if self._held > self._limits.held:
            raise RefusedError(503, "too many large requests at once; send it again later", retry_s=1, is_read=False)


async def _drop(request: Request) -> None:
    """Reads on for a while, without keeping it: most clients look for an answer only once they have sent all."""
    with contextlib.suppress(TimeoutError, ClientDisconnect, RuntimeError):  # Starlette's, where all was read already
        async with asyncio.timeout(DROPPING_S):
            async for _ in request.stream():
                pass


def _declared(request: Request) -> int:
    """The size that the head of the request states; 0 where it states none."""
    text = request.headers.get("content-length", "0")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0
