"""The body of a request, read within limits: how large, how slow, and how much of all requests at once (no torch)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from bstsearch.serving.limits import Limits, RefusedError


class Bodies:
    """Reads bodies, and counts the bytes of those that are in memory."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._held = limits, 0

    @contextlib.asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """The whole body, which counts while the block runs; RefusedError tells what is wrong with it.

        One that is too large is refused by what its head says, or as soon as more has come.
        """
        self._check_size(_declared(request))
        content = bytearray()
        try:
            async with asyncio.timeout(self._limits.slowest_s):
                async for chunk in request.stream():
                    content += chunk
                    self._held += len(chunk)
                    self._check_size(len(content))
                    if self._held > self._limits.held:
                        raise RefusedError(503, "too many large requests at once; send it again later", retry_s=1)
            yield bytes(content)
        except TimeoutError:
            slowest = self._limits.slowest_s
            raise RefusedError(408, f"the body did not come within {slowest:g} s; send it faster") from None
        except ClientDisconnect:
            raise RefusedError(400, "the client left before the whole body was there") from None
        finally:
            self._held -= len(content)

    def _check_size(self, size: int) -> None:
        if size > self._limits.body:
            raise RefusedError(413, f"the body has over {self._limits.body:,} bytes; send a smaller picture")


def _declared(request: Request) -> int:
    """The size that the head of the request states; 0 where it states none."""
    text = request.headers.get("content-length", "0")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0
