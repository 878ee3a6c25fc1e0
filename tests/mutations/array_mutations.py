"""Arrays on disk: .npz archives, HDF5, safetensors and PyTorch's files, with other types, shapes, packing and lies."""

from __future__ import annotations

import io
import json
import os
import random
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mutation import Mutation, written
from numpy.typing import NDArray
from text_mutations import of_header

Arrays = Mapping[str, NDArray[Any]]

# What an array may be in place of plain numbers.
CHANGES: Mapping[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "text": lambda x: np.full(x.shape, "x"),
    "numbers as text": lambda x: x.astype("U8"),
    "bytes": lambda x: np.full(x.shape, b"1"),
    "dates": lambda x: np.full(x.shape, np.datetime64("2020-01-01")),
    "void": lambda x: np.zeros(x.shape, "V8"),
    "records": lambda x: np.zeros(x.shape, [("a", "f4"), ("b", "i4")]),
    "complex": lambda x: x.astype(complex),
    "objects": lambda x: np.full(x.shape, None, object),
    "booleans": lambda x: x.astype(bool),
    "whole numbers": lambda x: x.astype(np.int64),
    "bytes of numbers": lambda x: x.astype(np.uint8),
    "halves": lambda x: x.astype(np.float16),
    "big-endian": lambda x: x.astype(">f8"),
    "Fortran's order": lambda x: np.asfortranarray(x),
    "no rows": lambda x: x[:0] if x.ndim else np.zeros(0),
    "a number": lambda x: np.array(1.0),
    "an axis more": lambda x: x[None],
    "an axis less": lambda x: x.ravel(),
    "one row more": lambda x: np.concatenate([np.atleast_1d(x)] * 2),
    "NaN": lambda x: np.full(x.shape, np.nan),
    "infinite": lambda x: np.full(x.shape, -np.inf),
    "huge": lambda x: np.full(x.shape, 1e300),
    "negative": lambda x: -np.abs(x) - 1,
    "zeros": lambda x: np.zeros_like(x),
}
HEADERS = {
    "ten to twelve rows": "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 4), }",
    "rows below zero": "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4), }",
    "sizes that overflow": "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }",
    "rows that are text": "{'descr': '<f4', 'fortran_order': False, 'shape': ('3', 4), }",
    "no such type": "{'descr': '<q99', 'fortran_order': False, 'shape': (3, 4), }",
    "type of gigabytes": "{'descr': '|V4000000000', 'fortran_order': False, 'shape': (3, 4), }",
    "code": "__import__('os').abort()",
    "nested": "(" * 5000 + ")" * 5000,
    "a number": "1",
    "nothing": "",
}


def of_npz(content: bytes, chance: random.Random) -> Iterator[Mutation]:
    """Members of other types and shapes, missing, and packed in ways that cannot be read."""
    with np.load(io.BytesIO(content)) as file:
        arrays = dict(file)
    names = list(arrays)
    for turn, (what, change) in enumerate(CHANGES.items()):
        name = names[turn % len(names)]
        yield written(f"{name} is {what}", _npz({**arrays, name: change(arrays[name])}), is_inside=True)
        if what in ("text", "dates", "void", "complex", "no rows", "NaN", "negative"):
            other = chance.choice(names)
            yield written(f"{other} is {what} too", _npz({**arrays, other: change(arrays[other])}), is_inside=True)
    for name in names:
        rest = {other: array for other, array in arrays.items() if other != name}
        yield written(f"without {name}", _npz(rest), is_inside=True)
    for what, header in HEADERS.items():
        name = chance.choice(names)
        lying = _with_header(header, arrays[name])
        yield written(f"{name} says {what}", _npz({n: a for n, a in arrays.items() if n != name}, {name: lying}))
    yield from of_zip(content, chance)


def of_zip(content: bytes, chance: random.Random) -> Iterator[Mutation]:
    """An archive that is encrypted, packed in an unknown way, broken inside or lies about sizes."""
    for what, at, value in (("encrypted", (6, 8), 1), ("method 99", (8, 10), 99), ("method deflate64", (8, 10), 9)):
        yield written(what, _with_fields(content, at, struct.pack("<H", value)))
    for what, at, value in (("size of 2 GB", (22, 24), 2**31), ("packed size", (18, 20), 2**31), ("sum", (14, 16), 7)):
        yield written(f"another {what}", _with_fields(content, at, struct.pack("<I", value)))
    packed = _deflated(content)
    start = packed.find(b"PK\x03\x04") + 60
    yield written("deflated", packed, is_inside=True)
    for _ in range(3):
        place = chance.randrange(start, min(len(packed), start + 200))
        yield written(f"broken stream at {place}", packed[:place] + b"\xff\xff\xff" + packed[place + 3 :])
    yield written("empty archive", b"PK\x05\x06" + bytes(18))


def of_h5(content: bytes, chance: random.Random) -> Iterator[Mutation]:
    """Data sets of other types and shapes, groups and links in their place, and sizes that nothing fills."""
    import h5py

    with h5py.File(io.BytesIO(content)) as file:
        names = [name for name in file if isinstance(file[name], h5py.Dataset)]

    def changed(what: str, name: str, change: Callable[[Any, str, Any], object]) -> Mutation:
        def apply(path: Path) -> None:
            with h5py.File(path, "r+") as file:
                old = file[name][()]
                del file[name]
                change(file, name, old)

        return Mutation(f"{name} is {what}", apply, is_inside=True)

    def array_of(change: Callable[[NDArray[Any]], NDArray[Any]]) -> Callable[[Any, str, Any], object]:
        return lambda file, name, old: file.__setitem__(name, change(old))

    for turn, (what, change) in enumerate(CHANGES.items()):
        if what not in ("text", "numbers as text", "dates", "objects"):  # which HDF5 has no words for
            yield changed(what, names[turn % len(names)], array_of(change))
    others: Mapping[str, Callable[[Any, str, Any], object]] = {
        "missing": lambda file, name, old: None,
        "a group": lambda file, name, old: file.create_group(name),
        "text": lambda file, name, old: file.create_dataset(name, shape=old.shape, dtype=h5py.string_dtype()),
        "ten to fifteen rows": lambda file, name, old: file.create_dataset(
            name, (10**15, *old.shape[1:]), "f4", chunks=(1, *old.shape[1:])
        ),
        "ten to twelve columns": lambda file, name, old: file.create_dataset(
            name, (*old.shape[:2], 10**12), "f4", chunks=(*old.shape[:2], 8)
        ),
        "in another file": lambda file, name, old: file.__setitem__(name, h5py.ExternalLink("/etc/passwd", "/x")),
        "a link to itself": lambda file, name, old: file.__setitem__(name, h5py.SoftLink(f"/{name}")),
        "a link to nothing": lambda file, name, old: file.__setitem__(name, h5py.SoftLink("/none")),
        "empty": lambda file, name, old: file.create_dataset(name, dtype="f4"),
        "a reference": lambda file, name, old: file.create_dataset(name, old.shape, h5py.ref_dtype),
        "bytes of a file": lambda file, name, old: file.create_dataset(
            name, old.shape, "f4", external=[("/dev/zero", 0, old.nbytes)]
        ),
    }
    for what, make in others.items():
        for name in names:
            yield changed(what, name, make)


def of_safetensors(content: bytes, chance: random.Random) -> Iterator[Mutation]:
    """Another length of the header, other values in it, and other numbers behind it."""
    (size,) = struct.unpack("<Q", content[:8])
    header, data = content[8 : 8 + size].decode(), content[8 + size :]
    for length in (0, 1, size - 1, size + 1, len(content), 2**31, 2**63, 2**64 - 1):
        yield written(f"header of {length}", struct.pack("<Q", length) + content[8:])
    yield written("NaN", content[: 8 + size] + struct.pack("<f", float("nan")) * (len(data) // 4), is_inside=True)

    def within(text: str) -> bytes:
        encoded = text.encode("utf-8", "surrogatepass")
        return struct.pack("<Q", len(encoded)) + encoded + data

    yield from of_header(header.rstrip(), chance, within)
    names = [name for name in json.loads(header) if name != "__metadata__"]
    for dtype in ("F64", "I64", "BF16", "BOOL", "F8_E5M2", "U64", "C64"):
        tensors = json.loads(header)
        tensors[chance.choice(names)]["dtype"] = dtype
        yield written(f"dtype {dtype}", within(json.dumps(tensors)), is_inside=True)


def of_torch(content: bytes, chance: random.Random) -> Iterator[Mutation]:
    """A checkpoint that holds something else than plain tensors."""
    import torch

    named = torch.load(io.BytesIO(content), weights_only=True)
    first = next(iter(named))
    tensor = named[first]
    others: Mapping[str, object] = {
        "a list": [1.0],
        "text": "x",
        "none": None,
        "a function": os.abort,
        "an array": np.zeros(3),
        "complex": tensor.to(torch.complex64),
        "whole numbers": tensor.long(),
        "sparse": tensor.to_sparse(),
        "on no device": tensor.to("meta"),
        "NaN": torch.full_like(tensor, float("nan")),
        "halves": tensor.half(),
        "no rows": tensor[:0],
        "an axis more": tensor[None],
        "huge by strides": torch.zeros(1).expand(10**6, 10**6),
        "nested": _nested(300),
    }
    for what, value in others.items():
        for is_zip in (True, False):
            yield written(f"{first[:20]} is {what}, {is_zip}", _saved({**named, first: value}, is_zip), is_inside=True)
    for what, value in {"a tensor": tensor, "a list": [tensor], "nothing": {}, "a number": 1, "text": "x"}.items():
        yield written(f"all is {what}", _saved(value, is_zip=True))
    yield written("numbered", _saved({1: tensor}, is_zip=True), is_inside=True)
    yield written("long name", _saved({"a" * 300_000: "x", "\x1b[31m\n": "y"}, is_zip=True), is_inside=True)
    yield written("control characters", _saved({"\x1b[31m\n": tensor, **named}, is_zip=True), is_inside=True)
    if zipfile.is_zipfile(io.BytesIO(content)):
        yield from of_zip(content, chance)


def _saved(value: object, is_zip: bool) -> bytes:
    import torch

    with io.BytesIO() as stream:
        torch.save(value, stream, _use_new_zipfile_serialization=is_zip)
        return stream.getvalue()


def _nested(depth: int) -> object:
    found: object = 1.0
    for _ in range(depth):
        found = [found]
    return found


def _npz(arrays: Arrays, raw: Mapping[str, bytes] | None = None) -> bytes:
    with io.BytesIO() as stream:
        np.savez(stream, allow_pickle=True, **arrays)
        if raw:
            with zipfile.ZipFile(stream, "a") as archive:
                for name, content in raw.items():
                    archive.writestr(f"{name}.npy", content)
        return stream.getvalue()


def _with_header(header: str, array: NDArray[Any]) -> bytes:
    text = (header + " " * (-(len(header) + 11) % 64) + "\n").encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + array.tobytes()


def _deflated(content: bytes) -> bytes:
    with io.BytesIO() as stream:
        with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
            for name in old.namelist():
                new.writestr(name, old.read(name))
        return stream.getvalue()


def _with_fields(content: bytes, at: tuple[int, int], value: bytes) -> bytes:
    """The archive with this value in every local and central header, where the field lies `at` in each."""
    changed = bytearray(content)
    for sign, offset in ((b"PK\x03\x04", at[0]), (b"PK\x01\x02", at[1])):
        place = content.find(sign)
        while place >= 0:
            changed[place + offset : place + offset + len(value)] = value
            place = content.find(sign, place + 4)
    return bytes(changed)
