from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bstsearch import reading
from bstsearch.errors import InputError, UsageError
from bstsearch.reading import (
    Count,
    Line,
    Positive,
    checked,
    decoded,
    digest,
    mapped,
    opened,
    parsing,
    plain,
    read_format,
    read_json,
    read_text,
    shown,
)


class Thing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A record with one field of each sort."""

    size: Positive = 1.0
    shares: tuple[Fraction, ...] = ()
    counts: dict[str, Count] = {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Even:
    """A dataclass that looks at itself."""

    number: int

    def __post_init__(self) -> None:
        if self.number % 2:
            raise UsageError(f"{self.number} is odd")


def refused(read: Callable[[], object], where: object) -> str:
    """What is said of it, behind the place it begins with; short, on one line, and without control characters."""
    with pytest.raises(InputError) as found:
        read()
    message = str(found.value)
    assert message.startswith(str(where))
    assert len(message) - len(str(where)) < 200
    assert message.isprintable()
    return message.removeprefix(str(where))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ": empty"),
        (b'{"size": 1', ": malformed (Input data was truncated); is it truncated?"),
        (b"\xff\xfe{", ": malformed (invalid character (byte 0)); is it truncated?"),
        (b"[1, 2]", ": expected object, got array"),
        (b"null", ": expected object, got null"),
        (b'{"size": "1"}', ", size: expected float, got str"),
        (b'{"size": true}', ", size: expected float, got bool"),
        (b'{"size": NaN}', ": malformed (invalid character (byte 9)); is it truncated?"),
        (b'{"size": 1e999}', ", size: number out of range"),
        (b'{"size": -1}', ", size: expected float > 0.0"),
        (b'{"shares": ["1/2", "1/0"]}', ", shares[1]: expected a fraction such as 1/2, got '1/0'"),
        (b'{"counts": {"a": 1, "b": 0}}', ", counts[...]: expected int >= 1"),
        (b'{"x\\u001b[2J": 1}', ": object contains unknown field x [2J"),
    ],
)
def test_wrong_json_is_one_line_with_the_place(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    assert refused(lambda: read_json(path, Thing), path) == message


@pytest.mark.parametrize(
    "content",
    [b"[" * 200_000, b'{"a":' * 200_000, b'{"' + b"k" * 300_000 + b'": 1}', b'{"size": ' + b"9" * 300_000 + b"}"],
    ids=["arrays", "objects", "key", "number"],
)
@pytest.mark.parametrize("kind", [Thing, Any, dict[str, Any]])
def test_endless_json_is_one_short_line_or_read(tmp_path: Path, content: bytes, kind: Any) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    try:
        assert read_json(path, kind)
    except InputError:
        refused(lambda: read_json(path, kind), path)


@pytest.mark.parametrize("kind", [Thing, dict[str, Any]])
def test_a_key_that_stands_twice_is_refused(tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"size": 1.5, "counts": {"a": 1, "b": 2}, "size": 2.5}')
    assert refused(lambda: read_json(path, kind), path) == ": the key 'size' stands there twice; keep one"
    path.write_text('{"counts": {"a": 1, "a": 1}}')
    assert refused(lambda: read_json(path, kind), path) == ": the key 'a' stands there twice; keep one"
    path.write_text(f'{{"size": 1, "shares": [], "size": 2}}{" " * reading.BY_HAND}')
    assert read_json(path, kind), "files of data sets are read once"


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a").write_text('{"size": 2}', encoding="utf-8-sig")
    assert read_json(tmp_path / "a", Thing) == Thing(size=2.0)
    assert read_text(tmp_path / "a") == '{"size": 2}'
    assert decoded("\ufeff{}", Thing, "it") == Thing()


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        for read in (read_text, reading.check_file):
            assert refused(functools.partial(read, path), path) == ": a device, pipe or socket; expected a file"
    assert refused(lambda: read_text(tmp_path), tmp_path) == ": a folder; expected a file"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for read in (read_text, digest, read_json, reading.check_file):
        assert refused(functools.partial(read, path), path) == " does not exist"
    path.write_text("12")
    assert refused(lambda: reading.read_bytes(path, 1), path) == ": 2 bytes; expected 1 at most"
    assert "Not a directory" in refused(lambda: read_text(path / "b"), path / "b")
    path.write_bytes("ä".encode("latin-1"))
    assert refused(lambda: read_text(path), path) == " is no text in UTF-8 (byte 0 is e4); save it as UTF-8"


@pytest.mark.parametrize(
    "error",
    [RecursionError(), MemoryError(), KeyError("x" * 500), OSError("\x1b[1m"), OSError(5, "a\nb" * 200), EOFError()],
)
def test_whatever_a_library_raises_is_one_line(error: Exception) -> None:
    def read() -> None:
        with parsing("a.npz"):
            raise error

    refused(read, "a.npz")


def test_a_dataclass_has_no_other_keys(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"number": 2, "colour": 3}')
    message = ": unknown field 'colour'; its fields: number"
    assert refused(lambda: read_json(path, Even), path) == message
    assert refused(lambda: checked({"number": 2, "colour": 3}, Even, "a reply"), "a reply") == message
    path.write_text('{"number": 2}')
    assert read_json(path, Even) == Even(number=2)


@pytest.mark.parametrize("found", [None, 0, 3, True, "1", 1.0, "x" * 300_000])
def test_another_format_is_refused_first(tmp_path: Path, found: object) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"colour": 1, "format": found}))
    message = refused(lambda: read_format(path, Thing, 1, 2), path)
    assert message == f" has format {shown(found)}; this version reads format 1 and 2"


def test_a_format_that_is_known_is_no_field(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"format": 2, "size": 3}')
    assert read_format(path, Thing, 1, 2) == Thing(size=3.0)
    assert refused(lambda: read_format(path, Even, 2), path) == ": unknown field 'size'; its fields: number"


@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb", "\u202e", "x" * 301])
def test_a_line_is_short_and_moves_no_cursor(text: str) -> None:
    assert refused(lambda: checked([text], list[Line], "it"), "it").startswith(", [0]: expected str ")
    assert checked("ä <b> [1] %", Line, "it") == "ä <b> [1] %"


def test_an_error_of_ours_gets_its_place_once() -> None:
    def read(message: str) -> None:
        with parsing("a.json"):
            raise InputError(message)

    assert refused(lambda: read("wrong"), "a.json") == ": wrong"
    assert refused(lambda: read("a.json: wrong"), "a.json") == ": wrong"


def test_what_is_being_opened_stays_under_the_same_guard(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")

    def read() -> None:
        with opened(tmp_path / "a"):
            raise RecursionError

    assert refused(read, tmp_path / "a") == ": nested too deep"


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, "1", None, 10**400])
def test_plain_data_is_held_to_the_same_rules(value: object) -> None:
    assert refused(lambda: checked({"size": value}, Thing, "a reply"), "a reply").startswith(", size: ")


def test_a_dataclass_is_built_and_says_what_is_wrong_with_it() -> None:
    assert checked({"number": 2}, Even, "it") == Even(number=2)
    assert refused(lambda: checked({"number": 3}, Even, "it"), "it") == ": 3 is odd"


def test_what_is_shown_is_cut_and_plain() -> None:
    assert len(reading.shown("x" * 300_000)) == reading.SHOWN
    assert reading.shown("\x1b[31m") == "'\\x1b[31m'"
    assert plain("a\x1b]0;title\x07b\u202ec\r\n") == "a ]0;title b c "


def test_a_digest_is_of_the_contents_in_order(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("1")
    other.write_text("2")
    both = hashlib.sha256(hashlib.sha256(b"1").digest() + hashlib.sha256(b"2").digest()).hexdigest()
    assert digest(one, other) == both[:16]
    assert digest(other, one) != digest(one, other)


def test_a_mapped_file_is_read_as_it_lies_and_refused_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf[1, 2]")
    with mapped(path) as content:
        assert decoded(content, list[int], path) == [1, 2]
        assert bytes(content[3:]) == b"[1, 2]"
    path.write_bytes(b"")

    def read() -> None:
        with mapped(path):
            pass

    assert refused(read, path) == ": empty"
    path.unlink()
    os.mkfifo(path)
    assert refused(read, path) == ": a device, pipe or socket; expected a file"


def test_a_part_of_a_file_and_the_file_are_named_once(tmp_path: Path) -> None:
    path = tmp_path / "a, b.tsv"
    for said in ("does not exist", "is empty"):
        with pytest.raises(InputError) as error, parsing(f"{tmp_path / 'a.tsv'}, image '7'"):
            raise InputError(f"{tmp_path / 'a.tsv'} {said}")
        assert str(error.value) == f"{tmp_path / 'a.tsv'} {said}"
    with pytest.raises(InputError) as error, parsing(path):
        raise InputError("is empty")
    assert str(error.value) == f"{path}: is empty"


def test_what_is_no_folder_is_told_apart_from_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "circle").symlink_to("circle")
    assert reading.no_folder(tmp_path / "file") == f"{tmp_path}/file is no folder"
    assert reading.no_folder(tmp_path / "circle") == f"{tmp_path}/circle is no folder"
    assert reading.no_folder(tmp_path / "nowhere") == f"{tmp_path}/nowhere does not exist"
