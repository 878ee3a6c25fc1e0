"""Which mutations there are of a file of each kind."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping

from array_mutations import of_h5, of_npz, of_safetensors, of_torch
from mutation import Maker, Mutation, in_its_place, of_bytes
from picture_mutations import of_jpeg, of_png
from store_mutations import (
    LMDB_OF_NPZ,
    LMDB_OF_QUESTIONS,
    LMDB_OF_RECORDS,
    of_onnx,
    of_sqlite,
)
from text_mutations import of_json, of_json_lines, of_table

KINDS: Mapping[str, Maker] = {
    "bytes": lambda _content, _chance: iter(()),
    "json": of_json,
    "json lines": of_json_lines,
    "lines": of_table("\n"),
    "csv": of_table(","),
    "tsv": of_table("\t"),
    "npz": of_npz,
    "h5": of_h5,
    "safetensors": of_safetensors,
    "torch": of_torch,
    "lmdb of npz": LMDB_OF_NPZ,
    "lmdb of records": LMDB_OF_RECORDS,
    "lmdb of questions": LMDB_OF_QUESTIONS,
    "sqlite": of_sqlite,
    "png": of_png,
    "jpeg": of_jpeg,
    "onnx": of_onnx,
}


def mutations(kind: str, content: bytes, seed: str) -> Iterator[Mutation]:
    """All mutations of a file of that kind; the same ones for the same seed."""
    chance = random.Random(seed)
    yield from of_bytes(content, chance)
    yield from KINDS[kind](content, chance)
    yield from in_its_place()
