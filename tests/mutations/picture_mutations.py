"""Pictures whose chunks, sizes and remarks lie."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Iterator

from mutation import Mutation, written


def of_png(content: bytes, chance: random.Random) -> Iterator[Mutation]:
    """Chunks of a picture that lie, are missing or doubled."""
    chunks = list(_chunks(content))
    for size in ((0, 5), (2**31 - 1, 2**31 - 1), (100_000, 100_000), (2**32 - 1, 1), (20_000, 20_000)):
        data = struct.pack(">II", *size) + chunks[0][1][8:]
        yield written(f"{size[0]} x {size[1]}", _png([(b"IHDR", data), *chunks[1:]]))
    for place, value in ((8, 3), (9, 77), (10, 9), (12, 1)):
        data = bytearray(chunks[0][1])
        data[place] = value
        yield written(f"header byte {place} is {value}", _png([(b"IHDR", bytes(data)), *chunks[1:]]))
    for number, (name, _) in enumerate(chunks):
        yield written(f"without {name.decode()}", _png([*chunks[:number], *chunks[number + 1 :]]))
    bomb = zlib.compress(bytes(1 << 26))
    for name, data in (
        (b"zTXt", b"a\0\0" + bomb),
        (b"iCCP", b"a\0\0" + bomb),
        (b"tEXt", b"x" * 300_000),
        (b"acTL", b""),
    ):
        yield written(f"a chunk {name.decode()}", _png([chunks[0], (name, data), *chunks[1:]]))
    yield written("no data", _png([chunks[0], (b"IDAT", b""), chunks[-1]]))
    yield written("a text", b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    for head in (
        b"GIF89a" + b"\xff" * 20,
        b"BM" + b"\xff" * 60,
        b"II*\0\x08\0\0\0\xff\xff" + b"\xff" * 60,
        b"8BPS\0\1",
    ):
        yield written(f"begins as {head[:4]!r}", head + content)
    yield written("PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 5\n%%EndComments\n")


def of_jpeg(content: bytes, chance: random.Random) -> Iterator[Mutation]:
    """Another size, markers that are missing, and what no camera would write about a picture."""
    place = max(content.find(b"\xff\xc0"), content.find(b"\xff\xc2")) + 5
    for height, width in ((0, 0), (65_535, 65_535), (1, 65_535), (0, 20)):
        yield written(f"{width} x {height}", content[:place] + struct.pack(">HH", height, width) + content[place + 4 :])
    for marker in (b"\xff\xc4", b"\xff\xdb", b"\xff\xda", b"\xff\xd9", b"\xff\xd8"):
        yield written(f"without {marker.hex()}", content.replace(marker, b"\xff\xfe"))
    for what, exif in {
        "none": b"",
        "ones": b"\xff" * 40,
        "loop": b"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\x08",
    }.items():
        part = b"Exif\0\0" + exif
        yield written(
            f"Exif of {what}", content[:2] + b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part + content[2:]
        )


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 8
    while place < len(content):
        (size,) = struct.unpack(">I", content[place : place + 4])
        yield content[place + 4 : place + 8], content[place + 8 : place + 8 + size]
        place += 12 + size


def _png(chunks: list[tuple[bytes, bytes]]) -> bytes:
    with io.BytesIO() as stream:
        stream.write(b"\x89PNG\r\n\x1a\n")
        for name, data in chunks:
            stream.write(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))
        return stream.getvalue()
