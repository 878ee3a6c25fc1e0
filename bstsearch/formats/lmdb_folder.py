"""Values of an LMDB folder, read only; whatever is wrong with it is one line that names folder and key."""

from __future__ import annotations

import contextlib
import functools
import select
import signal
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import IO

from bstsearch.environment import for_script
from bstsearch.errors import InputError
from bstsearch.formats import lmdb_child
from bstsearch.formats.lmdb_child import DATA, FAILED, FOUND, KEYS, VALUE, receive, send
from bstsearch.reading import REASON, check_file, needing, parsing, plain, shown

MOST = 1 << 28  # bytes of a value, and of all keys
ANSWER_S = 120.0  # for one value, from the slowest disk
WAIT_S = 10.0  # for a process whose input has ended


class LmdbFolder:
    """An LMDB folder, read by a process of its own, which ends with this object and with whoever holds it.

    `open_lmdb` makes one. Several threads may ask: they take turns. After a damaged page has ended the process, the
    next question starts another.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._turn = threading.Lock()
        self._process = self._start()

    def __contains__(self, key: str) -> bool:
        return key.encode() in self._keys

    def value(self, key: str) -> bytes:
        """The bytes under `key`; InputError where there is no such key, or the folder is damaged there."""
        with parsing(f"{self.path}, key {shown(key)}"):
            found = self._ask(VALUE, key.encode())
            if found is None:
                raise InputError("not there; the folder belongs to other questions or is incomplete")
            return found

    @functools.cached_property
    def _keys(self) -> frozenset[bytes]:
        with parsing(self.path):
            return frozenset((self._ask(KEYS, b"") or b"").split(b"\0"))

    def _ask(self, kind: bytes, key: bytes) -> bytes | None:
        with self._turn:
            if self._process.poll() is not None:
                self._process = self._start()
            return _answer(self._process, kind, key)

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, lmdb_child.__file__, str(self.path.absolute())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=for_script(),
            start_new_session=True,  # what the keyboard sends is for the parent, with which this ends
        )
        weakref.finalize(self, _end, process)
        with parsing(self.path):
            _answer(process)
        return process


def open_lmdb(path: Path) -> LmdbFolder:
    """The LMDB folder at `path`; InputError where it is none or was not copied to its end."""
    with needing(f"reading {path}"):
        import lmdb  # noqa: F401 - its process needs it
    check_file(path / DATA, sys.maxsize)
    return LmdbFolder(path)


def _answer(process: subprocess.Popen[bytes], kind: bytes = b"", key: bytes = b"") -> bytes | None:
    """What a process replies, to a request where there is one; None is said to what is not there."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if kind:
            send(process.stdin, kind, key)
        _await(process.stdout)
        answer, content = receive(process.stdout, MOST)
    except BaseException as error:
        _end(process)  # what it says next would be taken for the answer to another question
        if not isinstance(error, EOFError | OSError):
            raise
        reason = error if isinstance(error, TimeoutError) else f"reading it ended with {_status(process)}"
        raise InputError(f"{reason}; is it damaged? Copy the folder again") from error
    if answer == FAILED:
        raise InputError(f"LMDB says {plain(content.decode(errors='replace'))[:REASON]}; copy the folder again")
    return content if answer == FOUND else None


def _await(replies: IO[bytes]) -> None:
    """Passes once there is something to read: pages that name each other can keep LMDB going for ever."""
    poll = select.poll()
    poll.register(replies, select.POLLIN)
    if not poll.poll(1000 * ANSWER_S):
        raise TimeoutError(f"LMDB does not answer for {ANSWER_S:g} s")


def _status(process: subprocess.Popen[bytes]) -> str:
    code = process.returncode
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """Closes both ends; a process that then goes on is killed."""
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            pipe and pipe.close()
    try:
        process.wait(WAIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
