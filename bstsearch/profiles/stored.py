"""Where device profiles are kept and found by name (no torch)."""

from __future__ import annotations

import difflib
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bstsearch import environment
from bstsearch.errors import DeviceError, InputError, UsageError

LOCAL = "local"  # the device that is this machine, whatever else it is called

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


def check_name(name: str, kind: str = "device") -> None:
    """Passes where `name` can be a device's (or driver's) and a file's name; else UsageError."""
    if not re.fullmatch(NAME, name):
        raise UsageError(
            f"{name!r} is no {kind} name; use up to 64 letters, digits, '.', '_' and '-', a letter or digit first"
        )


def profile_folders(option: Path | None) -> list[Path]:
    """Where profiles are looked for, in order: `option`, $BSTSEARCH_PROFILES, ./profiles, those shipped."""
    chosen = [folder for folder in (option, environment.profiles_folder()) if folder]
    return [*chosen, Path("profiles"), shipped_folder()]


def shipped_folder() -> Path:
    """Where the profiles lie that come with bstsearch: in the wheel inside the package, in a checkout beside it."""
    in_wheel = Path(__file__).with_name("shipped")
    return in_wheel if in_wheel.is_dir() else Path(__file__).parents[2] / "profiles"


def home_folder(option: Path | None) -> Path:
    """Where a new profile goes: `option`, else $BSTSEARCH_PROFILES, else ./profiles; DeviceError where it cannot."""
    folder = profile_folders(option)[0]
    existing = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    try:  # to find out before a measurement, not after it
        tempfile.TemporaryFile(dir=existing).close()
    except OSError as error:
        reason = error.strerror or error
        raise DeviceError(f"cannot write to {folder}: {reason}; choose another folder with --profiles DIR") from error
    return folder


def stored_profiles(folders: Sequence[Path]) -> dict[str, Path]:
    """Device name -> its file; of equal names the one in the earlier folder."""
    files = [path for folder in reversed(folders) for path in folder.glob("*.json")]
    return {path.stem: path for path in files}


def get_profile_file(name: str, folders: Sequence[Path]) -> Path:
    """The file of device `name`; InputError lists near names, or all where none is near."""
    check_name(name)
    stored = stored_profiles(folders)
    if name not in stored:
        near = difflib.get_close_matches(name.lower(), stored, n=3)
        known = f"did you mean {', '.join(near)}?" if near else f"stored are: {', '.join(sorted(stored)) or 'none'}."
        raise InputError(
            f"no profile of device {name!r}; {known} 'bstsearch devices' lists all; {_how_to_measure(name)}"
        )
    return stored[name]


def _how_to_measure(name: str) -> str:
    if name == LOCAL:
        return "'bstsearch profile' measures this machine"
    return f"'bstsearch profile --device {name} --via browser --lan' measures it, as do --via ssh, adb, and local"
