"""Doors: where families, tasks and drivers come in, this package's own and everybody else's (no torch).

An installed package offers one by an entry point of the group "bstsearch.families", "bstsearch.tasks" or
"bstsearch.drivers"; those of this package come in so, too. A file of one's own is named as `path/file.py:NAME`. That
name has to come from the user: what a shared file (supernet, profile, front) says is looked up here, and never run.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from bstsearch.errors import InputError, UsageError
from bstsearch.reading import shown

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Kind = Literal["family", "task", "driver"]

GROUPS: dict[Kind, str] = {"family": "bstsearch.families", "task": "bstsearch.tasks", "driver": "bstsearch.drivers"}

# The options by which the user names a file.
OPTIONS: dict[Kind, str] = {"family": "--family", "task": "--data", "driver": "--via"}

# What the user named by file, or handed over, in this process; by kind and name.
_admitted: dict[tuple[Kind, str], Any] = {}
_typed: dict[tuple[Kind, str], str] = {}
_modules: list[ModuleType] = []  # what was run for that


def names(kind: Kind) -> list[str]:
    """The names of what is known of that kind: this package's, other packages', what the user named."""
    return list(dict.fromkeys([*_installed(kind), *(name for known, name in _admitted if known == kind)]))


def is_ours(kind: Kind, name: str) -> bool:
    """Whether that name is known, and what it names comes with this package.

    >>> is_ours("family", "mcan"), is_ours("family", "toy")
    (True, False)
    """
    return name in _installed(kind) and _is_ours(_installed(kind)[name])


def get(kind: Kind, name: str) -> Any:
    """The family, task or driver of that name; InputError lists the names there are."""
    if (kind, name) in _admitted:
        return _admitted[kind, name]
    if name not in _installed(kind):
        raise InputError(
            f"unknown {kind} {shown(name)}; known are {', '.join(names(kind))}; "
            f"install its package, or name its file by {OPTIONS[kind]} FILE.py:NAME"
        )
    return _installed(kind)[name].load()


def is_file(text: str) -> bool:
    """Whether `text` is of the form `path/file.py:NAME`.

    >>> is_file("pets.py:Pets"), is_file("easy-vqa")
    (True, False)
    """
    return text.rpartition(":")[0].endswith(".py")


def admit(kind: Kind, text: str) -> str:
    """Makes what the user wrote known, and returns the name that it is known by.

    `text` is a name, which is returned as it is, or `path/file.py:NAME`, which is run: InputError where the file does
    not exist, fails, or has no such NAME.
    """
    if not is_file(text):
        return text
    name = admit_object(kind, _load(text))
    _typed[kind, name] = text
    return name


def typed(kind: Kind, name: str) -> str | None:
    """The `path/file.py:NAME` by which the user made it known in this process; None where it came in otherwise."""
    return _typed.get((kind, name))


def files(kind: Kind) -> list[str]:
    """Each `path/file.py:NAME` of that kind that the user has named in this process."""
    return [text for (known, _), text in _typed.items() if known == kind]


def admit_object(kind: Kind, thing: Any) -> str:
    """Makes `thing` known by its attribute `name`, which is returned; UsageError where it has none, or it is taken."""
    name = getattr(thing, "name", None)
    if not isinstance(name, str) or not name:
        raise UsageError(f"the {kind} {thing!r} has no name; give it one, as in name = 'pets'")
    if name in _installed(kind):
        raise UsageError(f"there is a {kind} named {name!r} already; give yours another name")
    _admitted[kind, name] = thing
    return name


def _installed(kind: Kind) -> dict[str, EntryPoint]:
    return _entry_points(GROUPS[kind])


@functools.cache
def _entry_points(group: str) -> dict[str, EntryPoint]:
    """Name -> entry point, this package's first; of equal names this package's too."""
    from importlib.metadata import entry_points  # here, since it takes a tenth of what showing a profile does

    found = sorted(entry_points(group=group), key=lambda point: (not _is_ours(point), point.name))
    by_name: dict[str, EntryPoint] = {}
    for point in found:
        by_name.setdefault(point.name, point)
    return by_name


def _is_ours(point: EntryPoint) -> bool:
    return point.value.startswith("bstsearch.")


def _load(text: str) -> Any:
    file, _, name = text.rpartition(":")
    module = _run(Path(file).absolute())
    if not hasattr(module, name):
        public = ", ".join(key for key in vars(module) if not key.startswith("_")) or "nothing"
        raise InputError(f"{file} defines no {name!r}, but {public}")
    return getattr(module, name)


@functools.cache
def _run(path: Path) -> ModuleType:
    """The module in `path`, run once."""
    if not path.is_file():
        raise InputError(f"{path} is no Python file that exists")
    name = f"bstsearch_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses and pickling of data loaders look
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # its neighbours can be imported; last, so that they hide nothing
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise InputError(f"{path} cannot be run: {_place(error, path)}{type(error).__name__}: {error}") from error
    _modules.append(module)
    return module


def fault_of(error: BaseException) -> str | None:
    """Where in a file that the user named `error` came from, as "pets.py, line 12"; None where it did not."""
    frame = _last_frame(error, {str(module.__file__) for module in _modules})
    return f"{frame.filename}, line {frame.lineno}" if frame else None


def _place(error: Exception, path: Path) -> str:
    """Where in the file the error came from."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"line {error.lineno}: "
    frame = _last_frame(error, {str(path)})
    return f"line {frame.lineno}: " if frame else ""


def _last_frame(error: BaseException, files: set[str]) -> traceback.FrameSummary | None:
    """The frame nearest to the error that lies in one of the files."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    return next((frame for frame in frames if frame.filename in files), None)
