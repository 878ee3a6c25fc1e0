"""What a process holds: a place that it writes to, and what it is writing there (no torch).

What is being written lies beside its place under a name such as `.front.json.1f09c3d2.part`, locked by the process that
writes it. The system ends that lock however the process ends; the next command that writes there removes what nobody
holds any more, or finishes an exchange that was cut off.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bstsearch.errors import DeviceError, UsageError
from bstsearch.reading import check_utf8

PART, READY, OLD, LOCK = ".part", ".ready", ".old", ".lock"
LONGEST = 200  # bytes of a name that more is added to; file systems take 255
_LEFT = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}(?P<state>\.part|\.ready|\.old)")
_BESIDE = re.compile(r"(?P<part>\..+\.[0-9a-f]{8}\.part)-\w+")  # what SQLite keeps beside a file that it writes


@contextlib.contextmanager
def holding(path: Path, option: str = "--out") -> Iterator[None]:
    """Keeps every other process that asks for `path` out until the block ends; UsageError where one holds it already.

    `path` need not exist; `option` names another place. What processes that are gone left there, at it or in it, is
    removed or finished first.
    """
    check_utf8(path)
    place = real(path)
    lock = lock_of(place)
    missing = [folder for folder in lock.parents if not folder.exists()]
    with disk_errors(path):
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = locked(lock, os.O_RDWR | os.O_CREAT)
    if handle is None:
        raise UsageError(f"{path} is being written by another process; wait until it ends, or give another {option}")
    try:
        tidy(place.parent)
        tidy(place)
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(handle)
        with contextlib.suppress(OSError):  # what a refused command has no use for
            for folder in missing:
                folder.rmdir()


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder in the system's place for such, gone when the block ends."""
    place = Path(tempfile.gettempdir()) / "bstsearch"
    with disk_errors(place), part(place, is_folder=True) as folder:
        yield folder


@contextlib.contextmanager
def part(path: Path, *, is_folder: bool = False, seen: Path | None = None) -> Iterator[Path]:
    """A temporary beside `path`, locked by this process, and gone at the end unless it was renamed.

    What cannot be written in it is told of `path`, or of the place that it is `seen` as.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tidy(path.parent)
    temporary, handle = _new(path, is_folder=is_folder)
    try:
        yield temporary
    except DeviceError as error:
        raise DeviceError(str(error).replace(str(temporary), str(seen or path))) from error
    finally:
        _remove(temporary)
        os.close(handle)


def tidy(folder: Path) -> None:
    """Removes from `folder` what processes that are gone were writing, and finishes their exchanges."""
    try:
        entries = list(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        if match := _LEFT.fullmatch(entry.name):
            with contextlib.suppress(OSError):
                _settle(entry, match["name"], match["state"])
    for entry in entries:
        if (match := _BESIDE.fullmatch(entry.name)) and not (folder / match["part"]).exists():
            _remove(entry)


def put_in_place(ready: Path, folder: Path, last: str = "") -> None:
    """Moves the files of the folder `ready`, the one called `last` after the others, into `folder`."""
    for file in sorted(ready.iterdir(), key=lambda file: file.name == last):
        os.replace(file, folder / file.name)
    ready.rmdir()


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns what the system says of a disk into one line about `path`: a DeviceError."""
    try:
        yield
    except OSError as error:
        is_file = isinstance(error, FileExistsError)  # what lies on the way
        reason = f"{error.filename} is no folder" if is_file else error.strerror or error
        raise DeviceError(f"cannot write {path}: {reason}; nothing there was changed") from error


def real(path: Path) -> Path:
    """`path` without links; a circle of links is left as it is, and refused where it is used."""
    return Path(os.path.realpath(path))


def hidden_name(path: Path, state: str) -> Path:
    """A name beside `path` that nobody has, and that tells what lies there: `state`."""
    name = path.name if state == OLD else _short(path.name)  # an old one's name tells where it was
    return path.with_name(f".{name}.{os.urandom(4).hex()}{state}")


def lock_of(path: Path) -> Path:
    """The file whose lock keeps others out of `path`: beside it, or in it where nothing can be made beside it."""
    place = real(path)
    is_outside = place.parent != place and (os.access(place.parent, os.W_OK) or not place.is_dir())
    return (place.parent if is_outside else place) / f".{_short(place.name)}{LOCK}"


def locked(path: Path, flags: int) -> int | None:
    """The handle of the file or folder at `path`, opened so and locked; None where another process holds it."""
    while True:
        handle = os.open(path, flags, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        except OSError:
            pass  # where the disk knows no locks, nobody is kept out
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(path), os.fstat(handle)):
                return handle
        os.close(handle)  # somebody removed it meanwhile


def _new(path: Path, *, is_folder: bool) -> tuple[Path, int]:
    """A temporary beside `path`, and the handle that locks it."""
    while True:
        temporary = hidden_name(path, PART)
        if is_folder:
            temporary.mkdir()
        else:
            temporary.touch(exist_ok=False)
        with contextlib.suppress(FileNotFoundError):  # another process took it for dead before it was locked
            if (handle := locked(temporary, os.O_RDONLY)) is not None:
                return temporary, handle


@contextlib.contextmanager
def _dead(entry: Path) -> Iterator[bool]:
    """Whether nobody holds `entry` any more; it is held while the block runs."""
    handle = os.open(entry, os.O_RDONLY | os.O_NONBLOCK)  # of a pipe, nobody waits for a writer
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(handle)


def _settle(entry: Path, name: str, state: str) -> None:
    """Does away with what is left of `name`, unless a living process holds it."""
    place = entry.parent / name
    with _dead(entry) as is_dead:
        if not is_dead:
            return
        if state == READY:
            put_in_place(entry, entry.parent)
        elif state == OLD and not place.exists():
            os.replace(entry, place)
        else:
            _remove(entry)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _short(name: str) -> str:
    """`name`, or where that leaves no room for more in a name, its digest."""
    text = os.fsencode(name)
    return name if len(text) <= LONGEST else hashlib.sha256(text).hexdigest()
