"""Reads an LMDB folder and answers on standard output: a process of its own, since a damaged page ends it (no torch).

    python lmdb_child.py FOLDER

LMDB maps its file into memory and follows the numbers in it; a signal is the answer to wrong ones. A request is a
letter and a key with its length, a reply a letter and bytes with their length; this ends when standard input does.
"""

from __future__ import annotations

import itertools
import os
import struct
import sys
from pathlib import Path
from typing import IO, Any

VALUE, KEYS = b"v", b"k"  # requests: the value of a key; all keys, parted by zero bytes
FOUND, ABSENT, FAILED = b"+", b"-", b"!"  # replies; with the last one comes what LMDB says
HEAD = struct.Struct("<cQ")
DATA = "data.mdb"


def send(stream: IO[bytes], kind: bytes, content: bytes) -> None:
    """Writes a request or a reply."""
    stream.write(HEAD.pack(kind, len(content)))
    stream.write(content)
    stream.flush()


def receive(stream: IO[bytes], most: int) -> tuple[bytes, bytes]:
    """A request or a reply; EOFError where the other side is gone, ValueError for more than `most` bytes."""
    kind, size = HEAD.unpack(_whole(stream, HEAD.size))
    if size > most:
        raise ValueError(f"{size:,} bytes; expected {most:,} at most")
    return kind, _whole(stream, size)


def serve(folder: Path, requests: IO[bytes], replies: IO[bytes]) -> None:
    """Opens `folder`, says so, and answers until there are no more requests."""
    import lmdb

    try:
        environment = _opened(folder)
    except Exception as error:  # whatever LMDB makes of a damaged file
        return send(replies, FAILED, _said(error, folder))
    send(replies, FOUND, b"")
    while True:
        try:
            kind, key = receive(requests, sys.maxsize)
        except EOFError:
            return None
        try:
            found = _keys(environment) if kind == KEYS else _value(environment, key)
            send(replies, ABSENT if found is None else FOUND, found or b"")
        except (lmdb.Error, MemoryError) as error:
            send(replies, FAILED, _said(error, folder))


def _opened(folder: Path) -> Any:
    import lmdb

    # No lock file: the folder may lie on a disk that is read only, and nobody writes to it.
    environment = lmdb.open(str(folder), readonly=True, create=False, lock=False, readahead=False)
    needed = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    size = os.stat(folder / DATA).st_size
    if size < needed:
        raise ValueError(f"{DATA} is truncated: it has {size} bytes of {needed}")
    return environment


def _value(environment: Any, key: bytes) -> bytes | None:
    with environment.begin() as transaction:
        found: bytes | None = transaction.get(key)
    return found


def _keys(environment: Any) -> bytes:
    most = environment.stat()["entries"]  # pages that name each other would have no end
    with environment.begin() as transaction, transaction.cursor() as cursor:
        return b"\0".join(itertools.islice(cursor.iternext(values=False), most))


def _said(error: Exception, folder: Path) -> bytes:
    return (str(error).removeprefix(f"{folder}: ") or type(error).__name__).encode(errors="replace")


def _whole(stream: IO[bytes], size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise EOFError
    return content


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.stdin.buffer, sys.stdout.buffer)
