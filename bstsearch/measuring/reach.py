"""Which device is meant, which driver reaches it, and with which options; refused where unclear (no torch)."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bstsearch import doors
from bstsearch.errors import InputError, UsageError
from bstsearch.measuring.driver import Driver
from bstsearch.profiles.stored import LOCAL, check_name

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
    if inspect.isabstract(found):
        raise UsageError(f"the driver {name} lacks open; write what bstsearch.Driver says of it")
    return found


def make_driver(kind: type[Driver], options: Mapping[str, object]) -> Driver:
    """The driver with these options; UsageError names one that it does not have, lacks, or cannot take."""
    try:
        return kind(**options)
    except ValidationError as error:
        raise UsageError(_problem(kind, error.errors(include_url=False)[0])) from error


def check_stray_options(options: Mapping[str, object]) -> None:
    """Passes where this machine's driver, which is used if none is named, has all these options; else UsageError."""
    for name in options:
        if name not in get_driver(LOCAL).model_fields:
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


def _problem(kind: type[Driver], error: ErrorDetails) -> str:
    """What is wrong with an option, in one line."""
    name = str(error["loc"][0]) if error["loc"] else ""
    if error["type"] == "extra_forbidden":
        return _stray(name, kind)
    if error["type"] == "missing":
        return f"--via {kind.name} needs {_spelled(name)}; give it: {kind.model_fields[name].description}"
    message = error["msg"].removeprefix("Value error, ")
    return f"{_spelled(name) or kind.name} of --via {kind.name}: {message[:1].lower()}{message[1:]}, not {_cut(error)}"


def _stray(name: str, kind: type[Driver] | None) -> str:
    """What to say of an option that the driver, or without one this machine, has no use for."""
    where = kind.name if kind else "this machine"
    if ways := [other.name for other in _installed() if name in other.model_fields]:
        words = " or ".join(f"--via {way}" for way in ways)
        return f"{_spelled(name)} goes with {words}, not with {where}"
    kind = kind or get_driver(LOCAL)
    fields = [f"{key} ({field.description})" for key, field in kind.model_fields.items()]
    return f"driver {kind.name!r} has no option {name!r}; its options: {', '.join(fields) or 'none'}"


def _spelled(name: str) -> str:
    """An option as it is written on the command line, which has words of its own for those that come installed."""
    is_known = any(name in kind.model_fields for kind in _installed())
    return f"--{name.replace('_', '-')}" if is_known else f"--option {name}=VALUE"


def _installed() -> list[type[Driver]]:
    """The drivers of this package."""
    kinds: list[Any] = [doors.get("driver", name) for name in doors.names("driver")]
    return [kind for kind in kinds if kind.__module__.startswith("bstsearch.measuring.")]


def _cut(error: ErrorDetails) -> str:
    text = repr(error["input"])
    return text if len(text) <= 40 else f"{text[:37]}..."
