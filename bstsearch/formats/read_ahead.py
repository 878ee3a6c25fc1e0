"""Rows read from disk by several threads, in order, the next batch while the present one is worked on."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

READERS = 4  # decompressing and decoding, which take most of the time, run beside each other in threads

Read = TypeVar("Read")


def read_ahead(read: Callable[[int], Read], batches: Iterable[list[int]]) -> Iterator[list[Read]]:
    """What `read` makes of each row of each batch; its errors are raised when their batch is asked for."""
    pool = ThreadPoolExecutor(READERS, thread_name_prefix="read-ahead")
    waiting: collections.deque[list[Future[Read]]] = collections.deque()
    try:
        for rows in batches:
            waiting.append([pool.submit(read, row) for row in rows])
            if len(waiting) > 1:
                yield [future.result() for future in waiting.popleft()]
        while waiting:
            yield [future.result() for future in waiting.popleft()]
    finally:
        pool.shutdown(cancel_futures=True)
