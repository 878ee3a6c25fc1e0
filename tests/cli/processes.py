"""Programs that tests start: none goes on behind the block that started it, however that ends."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from os import PathLike
from typing import Any


@contextlib.contextmanager
def running(words: Sequence[str | PathLike[str]], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """The process while the block runs; killed with it, where Popen's own block would wait for its end."""
    with subprocess.Popen(words, **options) as process:
        try:
            yield process
        finally:
            process.kill()  # does nothing where it has ended
