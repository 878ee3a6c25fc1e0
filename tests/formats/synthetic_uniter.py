"""Writes small folders as UNITER's public code lays them out: txt_db/*.db and img_db/<part of COCO>."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

lmdb, lz4 = pytest.importorskip("lmdb"), pytest.importorskip("lz4.frame")
msgpack = pytest.importorskip("msgpack")

CLS, SEP, MASK = 101, 102, 103
FEATURES = 8
ANSWERS = ("net", "pitcher", "yes", "no")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """A question of a synthetic text database; `target` maps answer numbers to scores, None for a test set."""

    id: str
    pieces: tuple[int, ...]
    image: str
    target: Mapping[int, float] | None


def image_record(name: str, boxes: int, features: int = FEATURES) -> dict[str, NDArray[Any]]:
    """The arrays of one image, the same for the same name: the last quarter of the boxes is not confident."""
    random = np.random.default_rng(list(name.encode()))
    corners = np.sort(random.random((boxes, 2, 2)), axis=1)
    low, high = corners[:, 0], corners[:, 1]
    return {
        "features": random.standard_normal((boxes, features)).astype(np.float16),
        "norm_bb": np.concatenate([low, high, high - low], 1).astype(np.float16),
        "conf": np.where(np.arange(boxes) < boxes * 3 // 4, 0.9, 0.1).astype(np.float16),
    }


def write_text(folder: Path, questions: Sequence[Asked]) -> None:
    """A text database with its side files."""
    records = {question.id: packed_question(question) for question in questions}
    write_lmdb(folder, records)
    side: dict[str, Any] = {
        "id2len.json": {question.id: len(question.pieces) for question in questions},
        "txt2img.json": {question.id: question.image for question in questions},
        "img2txts.json": {
            image: [question.id for question in questions if question.image == image]
            for image in {question.image for question in questions}
        },
        "meta.json": {
            "bert": "bert-base-cased",
            "CLS": CLS,
            "SEP": SEP,
            "MASK": MASK,
            "UNK": 100,
            "v_range": [106, 999],
        },
    }
    for name, data in side.items():
        (folder / name).write_text(json.dumps(data))


def packed_question(question: Asked) -> bytes:
    """The value of a question in a text database."""
    record: dict[str, Any] = {
        "question_id": int(question.id) if question.id.isdigit() else question.id,
        "question": "what is this",
        "toked_question": ["what", "is", "this"],
        "input_ids": list(question.pieces),
        "img_fname": question.image,
    }
    if question.target is not None:
        record["target"] = {"labels": list(question.target), "scores": list(question.target.values())}
    return bytes(lz4.compress(msgpack.dumps(record, use_bin_type=True)))


def write_images(folder: Path, database: str, boxes: Mapping[str, int], features: int = FEATURES) -> None:
    """Images (name -> number of boxes) in a database of that name, or as .npz files where it is empty."""
    folder.mkdir(parents=True, exist_ok=True)
    records = {name: image_record(name, count, features) for name, count in boxes.items()}
    if not database:
        for name, record in records.items():
            (folder / name).write_bytes(_archive(record))
        return
    pack = _archive if database.endswith("_compressed") else _msgpack_numpy
    write_lmdb(folder / database, {name: pack(record) for name, record in records.items()})
    if database.startswith("feat_th"):
        (folder / "nbb_th0.2_max100_min10.json").write_text(json.dumps(dict(boxes)))


def write_lmdb(folder: Path, records: Mapping[str, bytes]) -> None:
    """An LMDB folder with these values."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = lmdb.open(str(folder), map_size=1 << 24)
    with environment.begin(write=True) as transaction:
        for key, value in records.items():
            transaction.put(key.encode(), value)
        transaction.put(b"__keys__", json.dumps(list(records)).encode())
    environment.close()


def _archive(record: Mapping[str, NDArray[Any]]) -> bytes:
    with io.BytesIO() as writer:
        np.savez_compressed(writer, features=record["features"], norm_bb=record["norm_bb"], conf=record["conf"])
        return writer.getvalue()


def _msgpack_numpy(record: Mapping[str, NDArray[Any]]) -> bytes:
    packed = {
        name: {b"nd": True, b"type": array.dtype.str, b"kind": b"", b"shape": array.shape, b"data": array.tobytes()}
        for name, array in record.items()
    }
    return bytes(msgpack.dumps(packed, use_bin_type=True))
