"""Device profiles on disk: read with one-line errors, written whole (no torch)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from bstsearch.errors import InputError
from bstsearch.profiles.migrate import migrate
from bstsearch.profiles.profile import FORMAT, DeviceProfile
from bstsearch.reading import checked, read_json, shown
from bstsearch.writing import write_text


def load_profile(path: Path) -> DeviceProfile:
    """The profile in `path`, brought up to this version; InputError names the file, the row and the field at fault."""
    data = read_json(path)
    version = data.get("format")
    if isinstance(version, bool) or version not in (1, FORMAT):
        raise InputError(
            f"{path} has format {shown(version)}; this version reads formats 1 and {FORMAT}; "
            "measure it again with 'bstsearch profile --measure', or update bstsearch"
        )
    profile = checked(migrate(data, path) if version == 1 else data, DeviceProfile, path)
    if profile.device != path.stem:
        raise InputError(f"{path}, device: {shown(profile.device)}, expected {path.stem!r}, the file's name")
    return profile


def save_profile(profile: DeviceProfile, folder: Path) -> Path:
    """Writes `<device>.json` into `folder`, atomically, one row a line; returns its path.

    InputError where `load_profile` would refuse it.
    """
    path = folder / f"{profile.device}.json"
    sound = checked(msgspec.to_builtins(profile), DeviceProfile, path)  # NaN included, which JSON would lose
    write_text(path, _render(sound.to_json(), "") + "\n")
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
