"""Device profiles on disk: read with one-line errors, written whole (no torch)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bstsearch.errors import InputError
from bstsearch.profiles.migrate import migrate
from bstsearch.profiles.profile import FORMAT, DeviceProfile
from bstsearch.reading import read_json
from bstsearch.writing import write_text


def load_profile(path: Path) -> DeviceProfile:
    """The profile in `path`, brought up to this version; InputError names the file, the row and the field at fault."""
    data = read_json(path)
    if data.get("format") not in (1, FORMAT):
        raise InputError(
            f"device profile {path} has format {data.get('format')!r}; this version reads formats 1 and {FORMAT}; "
            "measure it again with 'bstsearch profile --measure', or update bstsearch"
        )
    try:
        profile = DeviceProfile.model_validate(migrate(data) if data["format"] == 1 else data)
    except ValidationError as error:
        raise InputError(f"device profile {path}, {_first_problem(error, data)}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"device profile {path} says format 1, but is not as it was: {error!r}") from error
    if profile.device != path.stem:
        raise InputError(f"device profile {path}, device: {profile.device!r}, expected {path.stem!r}, the file's name")
    return profile


def save_profile(profile: DeviceProfile, folder: Path) -> Path:
    """Writes `<device>.json` into `folder`, atomically, one row a line; returns its path."""
    path = folder / f"{profile.device}.json"
    write_text(path, _render(profile.model_dump(mode="json"), "") + "\n")
    return path


def _render(value: Any, indent: str) -> str:
    """Indented JSON in which whatever holds no further lists of objects takes one line, if it is in a list."""
    inner = indent + "  "
    if isinstance(value, dict) and value:
        lines = [f"{inner}{json.dumps(key)}: {_render(entry, inner)}" for key, entry in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        return "[\n" + ",\n".join(inner + _entry(entry, inner) for entry in value) + f"\n{indent}]"
    return json.dumps(value, allow_nan=False)


def _entry(value: Any, indent: str) -> str:
    is_flat = not any(isinstance(entry, dict | list) and _has_objects(entry) for entry in value.values())
    return json.dumps(value, allow_nan=False) if is_flat else _render(value, indent)


def _has_objects(value: Any) -> bool:
    return isinstance(value, dict) or any(isinstance(entry, dict) for entry in value)


def _first_problem(error: ValidationError, data: Mapping[str, Any]) -> str:
    first = error.errors(include_url=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    found = "" if first["type"] in ("missing", "value_error") else f", not {_short(first['input'])}"
    place = _place(first["loc"], data)
    return f"{place}{': ' if place else ''}{message[0].lower()}{message[1:]}{found}"


def _place(steps: Sequence[int | str], data: Any) -> str:
    """The way to a field, rows counted from 1 and named where they have an id."""
    words = []
    for step in steps:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            data = None
        if not isinstance(step, int):
            words.append(step)
        elif isinstance(data, dict) and "id" in data:
            words.append(f"row {step + 1} ({data['id']})")
        else:
            words.append(f"entry {step + 1}")
    return ", ".join(words)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
