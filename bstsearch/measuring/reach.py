"""Which device is meant, which driver reaches it, and with which options; refused where unclear (no torch)."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

import msgspec
from msgspec import Meta, structs

from bstsearch import doors
from bstsearch.errors import InputError, UsageError
from bstsearch.measuring.driver import Driver
from bstsearch.profiles.stored import LOCAL, check_name
from bstsearch.reading import said, shown

if TYPE_CHECKING:
    from bstsearch.profiles.profile import DeviceProfile

# How like a stored name (difflib) a slip is: "pixle7" and "raspberrypi" are, "laptop" is less like "x86-laptop".
SLIP = 0.8


def get_driver(text: str) -> type[Driver]:
    """The driver of that name, or in the file named as path/file.py:NAME.

    Raises:
        InputError: the file does not exist, fails, or has no such NAME.
        UsageError: there is no such driver, or what has that NAME is none.
    """
    name = doors.admit("driver", text)
    if name not in doors.names("driver"):
        raise UsageError(
            f"unknown driver {name!r}; give one of {', '.join(doors.names('driver'))}, or a file's: --via FILE.py:NAME"
        )
    found = doors.get("driver", name)
    if not (isinstance(found, type) and issubclass(found, Driver)):
        raise UsageError(f"{text} is no driver; make it a subclass of bstsearch.Driver")
    check_name(name, "driver")  # profiles keep it
    if found.open is Driver.open:
        raise UsageError(f"the driver {name} lacks open; write what bstsearch.Driver says of it")
    return found


def make_driver(kind: type[Driver], options: Mapping[str, object]) -> Driver:
    """The driver with these options; UsageError names one that it does not have, lacks, or cannot take."""
    fields = {field.name: field for field in structs.fields(kind)}
    for name in options:
        if name not in fields:
            raise UsageError(_stray(name, kind))
    values = {name: _value(kind, fields[name], value) for name, value in options.items()}
    for name, field in fields.items():
        if field.required and name not in options:
            raise UsageError(f"--via {kind.name} needs {_spelled(name)}; give it: {_descriptions(kind)[name]}")
    try:
        return kind(**values)
    except ValueError as error:  # what its own __post_init__ refuses
        raise UsageError(f"--via {kind.name}: {said(error)}") from error


def check_stray_options(options: Mapping[str, object]) -> None:
    """Passes where this machine's driver, which is used if none is named, has all these options; else UsageError."""
    for name in options:
        if name not in _descriptions(get_driver(LOCAL)):
            raise UsageError(_stray(name, None))


def check_meant(device: str, before: DeviceProfile | None, known: Sequence[str], *, is_shipped: bool) -> None:
    """Passes where `device` can be this machine, though no driver was named; else UsageError or InputError.

    That is `local`, and a name under which the user has measured this machine `before`: under any other one its numbers
    would be taken for that device's. `known` are names to take a slip for.
    """
    others = [name for name in doors.names("driver") if name != LOCAL]
    ways = f"{', '.join(others[:-1])} or {others[-1]}"
    if before is not None and (before.via != LOCAL or is_shipped):
        raise UsageError(
            f"device {device!r} ({before.obtained}, {before.hardware.title}) is not known to be this machine; "
            f"say how to reach it with --via {ways} (or --via {LOCAL}, if it is)"
        )
    if before is None and device != LOCAL:
        near = difflib.get_close_matches(device.lower(), known, n=3, cutoff=SLIP)
        question = f"did you mean {', '.join(near)}? " if near else ""
        raise InputError(
            f"no profile of device {device!r}; {question}"
            f"to measure it, add --via {LOCAL} if it is this machine, else --via {ways}"
        )


def _value(kind: type[Driver], field: structs.FieldInfo, given: object) -> Any:
    """The option's value as its type has it, from text or a value; UsageError where it is none."""
    is_list = get_origin(_bare(field.type)) in (tuple, list)
    parts = [part.strip() for part in given.split(",")] if is_list and isinstance(given, str) else given
    try:
        value = msgspec.convert(parts, field.type, strict=False, dec_hook=_path)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # of text that is no UTF-8
        expected = said(error).partition(", got ")[0].partition(" - at ")[0].replace("`", "").replace(" | null", "")
        what = f"{expected[:1].lower()}{expected[1:]}, not {shown(given)}"
        remedy = "; write it like 0,1" if is_list else ""
        raise UsageError(f"{_spelled(field.name)} of --via {kind.name}: {what}{remedy}") from error
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{_spelled(field.name)} of --via {kind.name}: expected a finite number, not {shown(given)}")
    return value


def _path(kind: type, value: object) -> Path:
    if kind is Path and isinstance(value, Path):
        return value
    if kind is not Path or not isinstance(value, str) or not value:
        raise ValueError(f"Expected {'a path' if kind is Path else kind.__name__}")
    return Path(value)


def _bare(kind: Any) -> Any:
    """A type without what `Annotated` says of it."""
    return get_args(kind)[0] if hasattr(kind, "__metadata__") else kind


def _descriptions(kind: type[Driver]) -> dict[str, str]:
    """The driver's options, and what it says of each."""
    return {field.name: _description(field.type) for field in structs.fields(kind)}


def _description(kind: Any) -> str:
    metas = [meta for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, Meta)]
    return next((meta.description for meta in metas if meta.description), "")


def _stray(name: str, kind: type[Driver] | None) -> str:
    """What to say of an option that the driver, or without one this machine, has no use for."""
    where = kind.name if kind else "this machine"
    if ways := [other.name for other in _installed() if name in _descriptions(other)]:
        words = " or ".join(f"--via {way}" for way in ways)
        return f"{_spelled(name)} goes with {words}, not with {where}"
    kind = kind or get_driver(LOCAL)
    fields = [f"{key} ({description})" for key, description in _descriptions(kind).items()]
    return f"driver {kind.name!r} has no option {shown(name)}; its options: {', '.join(fields) or 'none'}"


def _spelled(name: str) -> str:
    """An option as it is written on the command line, which has words of its own for those that come installed."""
    is_known = any(name in _descriptions(kind) for kind in _installed())
    return f"--{name.replace('_', '-')}" if is_known else f"--option {name}=VALUE"


def _installed() -> list[type[Driver]]:
    """The drivers of this package."""
    kinds: list[Any] = [doors.get("driver", name) for name in doors.names("driver")]
    return [kind for kind in kinds if kind.__module__.startswith("bstsearch.measuring.")]
