"""Databases and graphs: damaged pages, other values, rows and tables that are missing."""

from __future__ import annotations

import random
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from array_mutations import of_npz
from mutation import Mutation, of_bytes, written
from text_mutations import VALUES

PAGE = 4096
# As MessagePack can hold them.
OBJECTS: dict[str, Any] = {
    "nothing": None,
    "true": True,
    "-1": -1,
    "0.5": 0.5,
    "NaN": float("nan"),
    "infinite": float("inf"),
    "2^63": 2**63,
    "text": "x",
    "bytes": b"x",
    "long text": "a" * 300_000,
    "control characters": "\x1b[31m\n\u202e\0",
    "list": [],
    "list of null": [None],
    "object": {},
    "numbered": {1: 2},
    "traversal": "../../../etc/passwd",
}


def of_pages(content: bytes, chance: random.Random) -> Iterator[Mutation]:
    """Pages of a database lost, of other pages, or with another number where one is expected."""
    pages = [content[start : start + PAGE] for start in range(0, len(content), PAGE)]
    numbers = list(range(len(pages)))
    for number in chance.sample(numbers, min(4, len(numbers))):
        for what, page in (("zeros", bytes(PAGE)), ("ones", b"\xff" * PAGE), ("the first", pages[0])):
            changed = [*pages[:number], page, *pages[number + 1 :]]
            yield written(f"page {number} is {what}", b"".join(changed))
    for _ in range(16):
        number = chance.choice([0, 0, 1, chance.choice(numbers)]) if len(numbers) > 1 else 0
        place = number * PAGE + chance.randrange(0, 160, 2)
        value = chance.choice([0, 1, 0x7FFF, 0xFFFF, chance.randrange(1 << 16)])
        changed_bytes = content[:place] + struct.pack("<H", value) + content[place + 2 :]
        yield written(f"{value:#x} at {place}", changed_bytes[: len(content)])


def of_lmdb(make_value: Callable[[bytes, random.Random], Iterator[Mutation]]) -> Any:
    """Makes mutations of pages, and of the first value, whose own mutations `make_value` knows."""

    def make(content: bytes, chance: random.Random) -> Iterator[Mutation]:
        yield from of_pages(content, chance)
        records = _records(content)
        first = next(key for key in records if key != b"__keys__")
        yield _stored("without the first key", {k: v for k, v in records.items() if k != first}, is_inside=True)
        yield _stored("no keys", {})
        for value in (*of_bytes(records[first], chance), *make_value(records[first], chance)):
            changed = _applied(value, records[first])
            yield _stored(f"a value: {value.name}", {**records, first: changed}, is_inside=True)

    return make


def of_question(value: bytes, chance: random.Random) -> Iterator[Mutation]:
    """Other fields in MessagePack in an LZ4 frame."""
    import lz4.frame
    import msgpack

    for name, packed in _of_msgpack(lz4.frame.decompress(value), chance):
        yield written(name, lz4.frame.compress(packed))
    yield written("nested", lz4.frame.compress(b"\x91" * 100_000 + b"\xc0"))
    yield written("a bomb", lz4.frame.compress(msgpack.dumps({"input_ids": "a" * (1 << 24)})))


def of_record(value: bytes, chance: random.Random) -> Iterator[Mutation]:
    """Other fields in MessagePack."""
    for name, packed in _of_msgpack(value, chance):
        yield written(name, packed)
    yield written("nested", b"\x91" * 100_000 + b"\xc0")
    yield written("a size that lies", b"\xdd\xff\xff\xff\xff\xc0")


def of_sqlite(content: bytes, chance: random.Random) -> Iterator[Mutation]:
    """Pages, and rows and tables of Optuna's database changed by SQL."""
    yield from of_pages(content, chance)
    statements = {f"attributes are {name}": ("UPDATE {} SET value_json = ?", value) for name, value in VALUES.items()}
    tables = ("trial_user_attributes", "study_user_attributes")
    for turn, (name, (statement, value)) in enumerate(statements.items()):
        yield _by_sql(name, statement.format(tables[turn % 2]), value)
    keys = ("latency_ms", "macs", "accuracy_correct", "id", "space", "supernet", "objectives", "metric")
    for turn, (name, value) in enumerate(VALUES.items()):
        for table in tables:
            key = keys[turn % len(keys)]
            yield _by_sql(f"{table}: {key} is {name}", f"UPDATE {table} SET value_json = ? WHERE key = '{key}'", value)
    for table in ("studies", "trials", "trial_values", "version_info", "study_directions", *tables):
        yield _by_sql(f"without rows of {table}", f"DELETE FROM {table}")
        yield _by_sql(f"without {table}", f"DROP TABLE {table}")
    yield _by_sql("no such state", "UPDATE trials SET state = 'XXX'")
    yield _by_sql("values are text", "UPDATE trial_values SET value = 'x'")
    yield _by_sql("values are huge", "UPDATE trial_values SET value = 9e999")
    yield _by_sql("another schema", "UPDATE version_info SET schema_version = 99, library_version = 'x'")
    yield _by_sql("another name", "UPDATE studies SET study_name = 'x'")


def of_onnx(content: bytes, chance: random.Random) -> Iterator[Mutation]:
    """A graph of unknown parts, without its numbers, or with numbers in a file elsewhere."""
    import onnx

    def changed(what: str, change: Callable[[Any], object]) -> Mutation:
        model = onnx.load_from_string(content)
        change(model)
        return written(what, model.SerializeToString(), is_inside=True)

    def elsewhere(model: Any) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../../../etc/passwd")

    yield changed("unknown operator", lambda model: setattr(model.graph.node[0], "op_type", "a" * 300_000))
    yield changed("operator of text", lambda model: setattr(model.graph.node[0], "op_type", "\x1b[31m\n"))
    yield changed("no weights", lambda model: model.graph.ClearField("initializer"))
    yield changed("huge weights", lambda model: model.graph.initializer[0].dims.append(10**12))
    yield changed("weights elsewhere", elsewhere)
    yield changed("no nodes", lambda model: model.graph.ClearField("node"))
    yield changed("no outputs", lambda model: model.graph.ClearField("output"))
    yield changed("another version", lambda model: setattr(model.opset_import[0], "version", 999))
    yield changed("inputs of another name", lambda model: setattr(model.graph.input[0], "name", "x"))


def _of_msgpack(packed: bytes, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    import msgpack

    record = msgpack.loads(packed, raw=False, strict_map_key=False)
    places = list(_places(record))
    names = list(OBJECTS)
    for turn in range(max(len(names), len(places))):
        place, name = places[turn % len(places)], names[turn % len(names)]
        yield f"{place} is {name}", msgpack.dumps(_with(record, place, OBJECTS[name]))
    for key in record:
        yield f"without {key}", msgpack.dumps({other: value for other, value in record.items() if other != key})
    for name, value in OBJECTS.items():
        yield f"all is {name}", msgpack.dumps(value)


def _places(record: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if place:
        yield place
    if isinstance(record, dict):
        for key, value in record.items():
            yield from _places(value, (*place, key))
    elif isinstance(record, list) and record:
        yield from _places(record[0], (*place, 0))


def _with(record: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    inner = _with(record[place[0]], place[1:], value)
    if isinstance(record, dict):
        return {**record, place[0]: inner}
    return [inner, *record[1:]]


def _records(content: bytes) -> dict[bytes, bytes]:
    import lmdb

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "data.mdb").write_bytes(content)
        with closing(lmdb.open(folder, readonly=True, lock=False)) as environment, environment.begin() as transaction:
            return {bytes(key): bytes(value) for key, value in transaction.cursor()}


def _stored(name: str, records: dict[bytes, bytes], *, is_inside: bool = False) -> Mutation:
    def apply(path: Path) -> None:
        import lmdb

        with tempfile.TemporaryDirectory() as folder:
            with closing(lmdb.open(folder, map_size=1 << 26)) as environment, environment.begin(write=True) as changes:
                for key, value in records.items():
                    changes.put(key, value)
            shutil.copy(Path(folder) / "data.mdb", path)

    return Mutation(name, apply, is_inside)


def _applied(mutation: Mutation, value: bytes) -> bytes:
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(value)
        mutation.apply(Path(file.name))
        return Path(file.name).read_bytes()


def _by_sql(name: str, statement: str, *values: str) -> Mutation:
    def apply(path: Path) -> None:
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("PRAGMA foreign_keys = OFF")
            database.execute(statement, values)

    return Mutation(name, apply, is_inside=True)


LMDB_OF_NPZ = of_lmdb(of_npz)
LMDB_OF_RECORDS = of_lmdb(of_record)
LMDB_OF_QUESTIONS = of_lmdb(of_question)
