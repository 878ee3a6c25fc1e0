"""A change of one file, and those that can be made of any: of its bytes, and of what lies in its place."""

from __future__ import annotations

import gzip
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

BLOCK = 64  # bytes that are lost or doubled together


class Mutation(NamedTuple):
    """What is done to a file; where `is_inside`, it keeps its form, or is gone, so that another may be found wrong."""

    name: str
    apply: Callable[[Path], object]
    is_inside: bool = False


Maker = Callable[[bytes, random.Random], Iterator[Mutation]]  # of a file's content, and what chooses among places


def written(name: str, content: bytes, *, is_inside: bool = False) -> Mutation:
    """The file with another content."""
    return Mutation(name, lambda path: path.write_bytes(content), is_inside)


def of_bytes(content: bytes, chance: random.Random) -> Iterator[Mutation]:
    """Cut, flipped, lost, doubled and packed bytes."""
    size = len(content)
    for share in (0.0, chance.random(), 1.0):
        end = max(0, min(int(share * size), size - 1))
        yield written(f"cut at {end} of {size}", content[:end])
    for _ in range(3):
        yield from _flipped(content, chance)
    start = chance.randrange(max(1, size - BLOCK))
    block, rest = content[start : start + BLOCK], content[start + BLOCK :]
    yield written(f"zeros at {start}", content[:start] + bytes(len(block)) + rest)
    yield written(f"lost at {start}", content[:start] + rest)
    yield written(f"doubled at {start}", content[:start] + block + block + rest)
    yield written("bytes behind", content + bytes(range(256)))
    yield written("whole file twice", content + content)
    yield written("packed by gzip", gzip.compress(content, mtime=0))


def of_text(content: bytes, chance: random.Random) -> Iterator[Mutation]:
    """Other encodings of a text in UTF-8."""
    text = content.decode()
    yield written("a byte order mark", b"\xef\xbb\xbf" + content)
    yield written("UTF-16", text.encode("utf-16"))
    yield written("UTF-32", text.encode("utf-32-be"))
    place = content.find(b'"') + 1 or chance.randrange(len(content))
    yield written("Latin-1", content[:place] + "é".encode("latin-1") + content[place:])
    yield written("a NUL", content[:place] + b"\0" + content[place:])
    yield written("Windows' ends of lines", text.replace("\n", "\r\n").encode())
    yield written("white space only", b" \n\t\n")


def in_its_place() -> Iterator[Mutation]:
    """What is no regular file, or none at all."""
    yield Mutation("missing", Path.unlink, is_inside=True)
    yield Mutation("a pipe", lambda path: _replaced(path, os.mkfifo))
    yield Mutation("a folder", lambda path: _replaced(path, os.mkdir))
    yield Mutation("a link to itself", lambda path: _replaced(path, _link_to_itself), is_inside=True)
    yield Mutation("zeros without end", lambda path: _replaced(path, lambda own: os.symlink("/dev/zero", own)))
    yield Mutation("unreadable", lambda path: _replaced(path, lambda own: os.symlink("/proc/self/mem", own)))


def _flipped(content: bytes, chance: random.Random) -> Iterator[Mutation]:
    if content:
        place, bit = chance.randrange(len(content)), chance.randrange(8)
        changed = bytes([content[place] ^ (1 << bit)])
        yield written(f"bit {bit} of byte {place}", content[:place] + changed + content[place + 1 :])


def _replaced(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


def _link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)
