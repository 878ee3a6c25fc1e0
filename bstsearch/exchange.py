"""Names swapped in one step, where no signal cuts in, and files that lie in two places at once (no torch)."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AT_CWD, _EXCHANGE, _SWAP = -100, 2, 2  # of renameat2 (Linux) and of renamex_np (macOS)


def swap(one: Path, other: Path) -> bool:
    """Swaps two names in one step; False where this system, or this disk, cannot."""
    library = ctypes.CDLL(None, use_errno=True)
    if hasattr(library, "renameat2"):
        done = library.renameat2(_AT_CWD, os.fsencode(one), _AT_CWD, os.fsencode(other), _EXCHANGE)
    elif hasattr(library, "renamex_np"):
        done = library.renamex_np(os.fsencode(one), os.fsencode(other), _SWAP)
    else:
        return False
    if done and (number := ctypes.get_errno()) not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        raise OSError(number, os.strerror(number))
    return not done


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Lets signals that end a command wait until the block is done."""
    if threading.current_thread() is not threading.main_thread():  # where Python handles no signal
        yield
        return
    waiting: list[int] = []
    before = {one: signal.signal(one, lambda number, _frame: waiting.append(number)) for one in _SIGNALS}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler or signal.SIG_DFL)
        for number in waiting:
            signal.raise_signal(number)


def link(entry: Path, place: Path) -> None:
    """The same file or folder at a second place, its bytes shared where the disk can."""
    if entry.is_dir() and not entry.is_symlink():
        shutil.copytree(entry, place, symlinks=True, copy_function=_link_file)
    else:
        _link_file(str(entry), str(place))


def _link_file(source: str, place: str) -> None:
    try:
        os.link(source, place, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, place, follow_symlinks=False)
