"""The one way to change what is on disk: the new is complete before the old is touched, in one step (no torch).

What is being written lies beside its place under a name such as `.front.json.1f09c3d2.part`, locked by the process that
writes it. The system ends that lock however the process ends; the next command that writes there removes what nobody
holds any more, or finishes an exchange that was cut off.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import itertools
import json
import os
import re
import shutil
import signal
import stat
import tempfile
import threading
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from bstsearch.errors import DeviceError, UsageError
from bstsearch.reading import check_utf8

PART, READY, OLD, LOCK = ".part", ".ready", ".old", ".lock"
LONGEST = 200  # bytes of a name that more is added to; file systems take 255
_LEFT = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}(?P<state>\.part|\.ready|\.old)")
_BESIDE = re.compile(r"(?P<part>\..+\.[0-9a-f]{8}\.part)-\w+")  # what SQLite keeps beside a file that it writes
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AT_CWD, _EXCHANGE, _SWAP = -100, 2, 2  # of renameat2 (Linux) and of renamex_np (macOS)


def as_path(text: Path | str | None) -> Path | None:
    """`text` as a path; None stays None."""
    return None if text is None else Path(text)


# Files


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that replaces it when the block ends well, and goes when it does not.

    Where `path` is a link, the file behind it is replaced. The new file keeps the old one's permissions and owner.
    """
    place = _real(path)
    with _disk_errors(path):
        _check_replaceable(path)
        with _part(place) as temporary:
            usual = os.stat(temporary).st_mode
            yield temporary
            _finish(temporary, place, usual)
            os.replace(temporary, place)


def check_writable(path: Path) -> None:
    """Passes where a file can be written at `path`, which is left as it is; else what `writing` would raise."""
    with _disk_errors(path):
        _check_replaceable(path)
        with _part(_real(path)):
            pass


def write_text(path: Path, text: str) -> None:
    """Replaces `path` by `text`, atomically."""
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, data: Any) -> None:
    """Replaces `path` by `data` as indented JSON (no NaN), atomically."""
    write_text(path, json.dumps(data, indent=2, allow_nan=False) + "\n")


@contextlib.contextmanager
def writing_together(folder: Path, *, last: str) -> Iterator[Path]:
    """An empty folder whose files replace those of the same names in `folder` when the block ends well: all, or none.

    The one called `last` is put in place after the others: who finds it finds them. A process that is ended between
    two of them leaves the rest ready, and the next command that writes there goes on.
    """
    with _disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _part(folder / "files", is_folder=True) as temporary:
            usual = os.stat(temporary).st_mode & 0o666
            yield temporary
            for file in temporary.iterdir():
                if (folder / file.name).is_dir():
                    raise IsADirectoryError(errno.EISDIR, f"{file.name} is a folder")
                _finish(file, folder / file.name, usual)
            with _uninterrupted():
                ready = temporary.with_suffix(READY)
                os.replace(temporary, ready)
                _place(ready, folder, last)


# Folders


def first_free(path: Path) -> Path:
    """`path`, or where that exists the first of PATH-2, PATH-3, ... that does not."""
    numbered = (path.with_name(f"{path.name}-{number}") for number in itertools.count(2))
    return next(place for place in itertools.chain([path], numbered) if not os.path.lexists(place))


def check_free(path: Path, *, marker: str, is_forced: bool) -> None:
    """Passes where `path` may be written: it does not exist, is an empty folder, or may be replaced; else UsageError.

    It may be replaced with `is_forced`, and only where it holds `marker`: then it is one of ours.
    """
    if not os.path.lexists(path) or (path.is_dir() and _is_empty(path)):
        return
    if not is_forced:
        raise UsageError(f"{path} exists; give --force to replace it, or another --out")
    if not (path / marker).exists():
        raise UsageError(f"{path} holds no {marker}, so it is not ours to replace; give another --out")
    if path.samefile(Path.cwd()):
        raise UsageError(f"{path} is the current folder, which cannot be replaced; give another --out")


def _is_empty(folder: Path) -> bool:
    """Whether nothing is in `folder`, but for its lock."""
    return {entry.name for entry in folder.iterdir()} <= {_lock_of(folder).name}


@contextlib.contextmanager
def writing_folder(path: Path, *, marker: str, own: Collection[str], is_forced: bool = False) -> Iterator[Path]:
    """An empty folder beside `path` that becomes `path` when the block ends well.

    An existing `path` is treated as `check_free` does, and stays as it is until the new one is complete; what it holds
    beside our `own` names is kept.
    """
    check_free(path, marker=marker, is_forced=is_forced)
    with _disk_errors(path), _part(_real(path), is_folder=True) as temporary:
        usual = os.stat(temporary).st_mode
        yield temporary
        for file in temporary.rglob("*"):
            _flush(file)
        _finish(temporary, path, usual)
        check_free(path, marker=marker, is_forced=is_forced)  # another process may have been faster
        replace_folder(_real(path), temporary, own)


def replace_folder(path: Path, new: Path, own: Collection[str]) -> None:
    """Makes the folder `new` the folder `path`, in one step; an old `path` goes, but for what is none of our `own`.

    `own` are names that the old folder's kind has, so that what the new one lacks of them is gone.
    """
    if not path.exists():
        os.replace(new, path)
        return
    for entry in path.iterdir():
        if entry.name not in own and not os.path.lexists(new / entry.name):
            _link(entry, new / entry.name)
    with _uninterrupted():
        old = _exchange(path, new)
    shutil.rmtree(old, ignore_errors=True)


def discard(folder: Path) -> None:
    """Removes `folder`: from the first moment on there is none of it at its place."""
    place = _real(folder)
    gone = _name(place, PART)
    with _disk_errors(folder):
        os.replace(place, gone)
    shutil.rmtree(gone, ignore_errors=True)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder in the system's place for such, gone when the block ends."""
    place = Path(tempfile.gettempdir()) / "bstsearch"
    with _disk_errors(place), _part(place, is_folder=True) as folder:
        yield folder


@contextlib.contextmanager
def holding(path: Path, option: str = "--out") -> Iterator[None]:
    """Keeps every other process that asks for `path` out until the block ends; UsageError where one holds it already.

    `path` need not exist; `option` names another place. What processes that are gone left there, at it or in it, is
    removed or finished first.
    """
    check_utf8(path)
    place = _real(path)
    lock = _lock_of(place)
    missing = [folder for folder in lock.parents if not folder.exists()]
    with _disk_errors(path):
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = _locked(lock, os.O_RDWR | os.O_CREAT)
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


# How


@contextlib.contextmanager
def _part(path: Path, *, is_folder: bool = False) -> Iterator[Path]:
    """A temporary beside `path`, locked by this process, and gone at the end unless it was renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tidy(path.parent)
    temporary, handle = _new(path, is_folder=is_folder)
    try:
        yield temporary
    finally:
        _remove(temporary)
        os.close(handle)


def _new(path: Path, *, is_folder: bool) -> tuple[Path, int]:
    """A temporary beside `path`, and the handle that locks it."""
    while True:
        temporary = _name(path, PART)
        if is_folder:
            temporary.mkdir()
        else:
            temporary.touch(exist_ok=False)
        with contextlib.suppress(FileNotFoundError):  # another process took it for dead before it was locked
            if (handle := _locked(temporary, os.O_RDONLY)) is not None:
                return temporary, handle


def _finish(new: Path, path: Path, usual: int) -> None:
    """Gives `new` the permissions and the owner of what it replaces, or those `usual`, once its bytes are on the disk.

    Else a machine that loses its power may find the new name, and nothing in the file.
    """
    _flush(new)
    try:
        before = os.stat(path)
    except OSError:
        os.chmod(new, stat.S_IMODE(usual))
        return
    with contextlib.suppress(OSError):  # only root gives files to others
        os.chown(new, before.st_uid, before.st_gid)
    os.chmod(new, stat.S_IMODE(before.st_mode))


def _flush(file: Path) -> None:
    """Waits until a file's bytes are on the disk, not in the system's memory alone."""
    if not file.is_file() or file.is_symlink():
        return
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _real(path: Path) -> Path:
    """`path` without links; a circle of links is left as it is, and refused where it is used."""
    return Path(os.path.realpath(path))


def _check_replaceable(path: Path) -> None:
    """Refuses what is there and is no file: a device's name in /dev would become a file's."""
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is there and is no file; give another name")


def _name(path: Path, state: str) -> Path:
    name = path.name if state == OLD else _short(path.name)  # an old one's name tells where it was
    return path.with_name(f".{name}.{os.urandom(4).hex()}{state}")


def _short(name: str) -> str:
    """`name`, or where that leaves no room for more in a name, its digest."""
    text = os.fsencode(name)
    return name if len(text) <= LONGEST else hashlib.sha256(text).hexdigest()


def _lock_of(path: Path) -> Path:
    """The file whose lock keeps others out of `path`: beside it, or in it where nothing can be made beside it."""
    place = _real(path)
    is_outside = place.parent != place and (os.access(place.parent, os.W_OK) or not place.is_dir())
    return (place.parent if is_outside else place) / f".{_short(place.name)}{LOCK}"


def _locked(path: Path, flags: int) -> int | None:
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
            _place(entry, entry.parent)
        elif state == OLD and not place.exists():
            os.replace(entry, place)
        else:
            _remove(entry)


def _place(ready: Path, folder: Path, last: str = "") -> None:
    for file in sorted(ready.iterdir(), key=lambda file: file.name == last):
        os.replace(file, folder / file.name)
    ready.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _link(entry: Path, place: Path) -> None:
    """The same file or folder at a second place, its bytes shared where the disk can."""
    if entry.is_dir() and not entry.is_symlink():
        shutil.copytree(entry, place, symlinks=True, copy_function=_link_file)
    else:
        _link_file(str(entry), str(place))


def _link_file(source: str, place: str) -> None:
    try:
        os.link(source, place, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, place, follow_symlinks=False)


def _exchange(path: Path, new: Path) -> Path:
    """Puts `new` in the place of `path`; returns where the old is now.

    At no moment is neither there, where the system can.
    """
    if _swap(path, new):
        return new
    old, handle = _name(path, OLD), _locked(path, os.O_RDONLY)  # held, or another process brought it back at once
    try:
        os.replace(path, old)  # `tidy` brings it back where this process ends here
        os.replace(new, path)
    finally:
        if handle is not None:
            os.close(handle)
    return old


def _swap(one: Path, other: Path) -> bool:
    """Swaps two names in one step; False where this system, or this disk, cannot."""
    library = ctypes.CDLL(None, use_errno=True)
    if hasattr(library, "renameat2"):
        done = library.renameat2(_AT_CWD, os.fsencode(one), _AT_CWD, os.fsencode(other), _EXCHANGE)
    elif hasattr(library, "renamex_np"):
        done = library.renamex_np(os.fsencode(one), os.fsencode(other), _SWAP)
    else:
        return False
    if done and (number := ctypes.get_errno()) not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        raise OSError(number, os.strerror(number))
    return not done


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Lets signals that end a command wait until the block is done."""
    if threading.current_thread() is not threading.main_thread():  # where Python handles no signal
        yield
        return
    waiting: list[int] = []
    before = {one: signal.signal(one, lambda number, _frame: waiting.append(number)) for one in _SIGNALS}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler or signal.SIG_DFL)
        for number in waiting:
            signal.raise_signal(number)


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        is_file = isinstance(error, FileExistsError)  # what lies on the way
        reason = f"{error.filename} is no folder" if is_file else error.strerror or error
        raise DeviceError(f"cannot write {path}: {reason}; nothing there was changed") from error
