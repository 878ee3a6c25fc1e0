"""Values in JSON, lines of JSON, and tables: of another type, huge, missing, doubled, nested, hostile."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mutation import Mutation, of_text, written

DEEP, LONG = 200_000, 300_000
HERE = "<<here>>"  # stands for a value while JSON is written
Place = tuple[str | int, ...]

# As JSON is written, not as Python has it: half of these no Python value stands for.
VALUES = {
    "null": "null",
    "true": "true",
    "0": "0",
    "-1": "-1",
    "0.5": "0.5",
    "1e400": "1e400",
    "1e308": "1e308",
    "10^30": "1" + "0" * 30,
    "2^63": str(2**63),
    "5,000 digits": "9" * 5000,
    "NaN": "NaN",
    "-Infinity": "-Infinity",
    "text": '"x"',
    "empty text": '""',
    "a number as text": '"12"',
    "long text": f'"{"a" * LONG}"',
    "control characters": r'"\u001b[2J\u001b[31mred\u202e\n\u0000\u0007"',
    "half a character": r'"\ud800"',
    "another folder": '"../../../../etc/passwd"',
    "percent": '"50 %s?*[!"',
    "not ASCII": '"äπ漢🙂"',
    "list": "[]",
    "list of null": "[null]",
    "list of lists": "[[[]]]",
    "long list": f"[{'0,' * 20_000}0]",
    "object": "{}",
    "object of list": '{"a": [1]}',
    "nested": "[" * DEEP + "]" * DEEP,
    "nested objects": '{"a":' * DEEP + "0" + "}" * DEEP,
    "nothing": "",
}
KEYS = {"unknown": "no such key", "long": "k" * LONG, "control characters": "\x1b[31m\n\u202e", "empty": ""}


def of_json(content: bytes, chance: random.Random) -> Iterator[Mutation]:
    """Other encodings, and another value at every place."""
    yield from of_text(content, chance)
    yield from _of_document(content.decode(), chance, lambda text: text)


def of_json_lines(content: bytes, chance: random.Random) -> Iterator[Mutation]:
    """The same of one JSON document a line; one line of each is changed."""
    yield from of_text(content, chance)
    lines = content.decode().splitlines(keepends=True)
    for row in (0, len(lines) - 1):
        before, after = "".join(lines[:row]), "".join(lines[row + 1 :])
        yield from _of_document(lines[row], chance, lambda text, a=before, b=after: f"{a}{text}\n{b}")


def of_header(header: str, chance: random.Random, within: Callable[[str], bytes]) -> Iterator[Mutation]:
    """Another value at every place of JSON inside a file, which `within` makes of it."""
    for mutation, text in _texts(header, chance):
        yield written(mutation, within(text), is_inside=True)


def of_table(separator: str) -> Callable[[bytes, random.Random], Iterator[Mutation]]:
    """Makes mutations of lines with `separator` between their fields."""

    def make(content: bytes, chance: random.Random) -> Iterator[Mutation]:
        yield from of_text(content, chance)
        lines = content.decode().splitlines()
        yield written("a line twice", _text([*lines, lines[-1]]), is_inside=True)
        yield written("lines turned round", _text(lines[::-1]), is_inside=True)
        yield written("an empty line", _text([lines[0], "", *lines[1:]]), is_inside=True)
        yield written("a line without end", content.rstrip(b"\n") + b"a" * LONG, is_inside=True)
        row = chance.randrange(len(lines))
        fields = lines[row].split(separator)
        yield from _of_fields(lines, row, fields, separator, chance)

    return make


def _of_fields(
    lines: Sequence[str], row: int, fields: Sequence[str], separator: str, chance: random.Random
) -> Iterator[Mutation]:
    def changed(name: str, new: Sequence[str]) -> Mutation:
        return written(name, _text([*lines[:row], separator.join(new), *lines[row + 1 :]]), is_inside=True)

    others = ("", "x", "-1", "0", "1e400", "NaN", "1" + "0" * 30, "\x1b[31m", "b'12'", "a" * LONG, "äπ漢🙂", "=", "0.5")
    for column in range(len(fields)):
        yield changed(f"without field {column}", [*fields[:column], *fields[column + 1 :]])
        for other in chance.sample(others, min(len(others), max(3, 24 // len(fields)))):
            yield changed(f"field {column} is {other[:20]!r}", [*fields[:column], other, *fields[column + 1 :]])
    yield changed("a field more", [*fields, "1"])


def _of_document(text: str, chance: random.Random, within: Callable[[str], str]) -> Iterator[Mutation]:
    for name, changed in _texts(text, chance):
        yield written(name, within(changed).encode("utf-8", "surrogatepass"), is_inside=True)


def _texts(text: str, chance: random.Random) -> Iterator[tuple[str, str]]:
    document = json.loads(text)
    for name in ("null", "list", "object", "text", "nested", "0", "nothing"):
        yield f"all is {name}", VALUES[name]
    places = list(_places(document))
    chance.shuffle(places)
    names = list(VALUES)
    for turn in range(max(len(names), min(2 * len(places), 2 * len(names)))):
        place, name = places[turn % len(places)], names[(turn + turn // len(places)) % len(names)]
        yield f"{_name(place)} is {name}", _with_value(document, place, VALUES[name])
    for place in places[:6]:
        yield f"{_name(place)} is missing", _with_value(document, place, None)
    for name, key in KEYS.items():
        holder = chance.choice([(), *(place for place in places if isinstance(_at(document, place), dict))])
        if isinstance(_at(document, holder), dict):
            yield f"{_name(holder)} has {name} key", _with_value(document, (*holder, key), "1")
    if twice := next((place for place in places if isinstance(place[-1], str)), None):
        key = json.dumps(twice[-1])
        yield f"{_name(twice)} twice", _with_value(document, twice, f"0, {key}: 1")


def _places(document: Any, place: Place = ()) -> Iterator[Place]:
    """Where values are: of a list, and of an object of many alike, only the first."""
    if place:
        yield place
    if isinstance(document, dict):
        keys = list(document)
        for key in keys if len(keys) < 30 else keys[:1]:
            yield from _places(document[key], (*place, key))
    elif isinstance(document, list) and document:
        yield from _places(document[0], (*place, 0))


def _with_value(document: Any, place: Place, value: str | None) -> str:
    """The document as JSON with `value`, as it is written, at `place`; without the place where it is None."""
    changed = json.loads(json.dumps(document))
    holder, last = _at(changed, place[:-1]), place[-1]
    if value is None:
        del holder[last]
        return json.dumps(changed)
    holder[last] = HERE
    return json.dumps(changed).replace(f'"{HERE}"', value)


def _at(document: Any, place: Place) -> Any:
    for step in place:
        document = document[step]
    return document


def _name(place: Place) -> str:
    return re.sub(r"[^\x20-\x7e]", "?", ".".join(map(str, place)))[:60] or "all"


def _text(lines: Sequence[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()
