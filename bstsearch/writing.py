"""The one way to change what is on disk: the new is complete before the old is touched, in one step (no torch)."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import shutil
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from bstsearch.errors import UsageError
from bstsearch.exchange import link, swap, uninterrupted
from bstsearch.holding import (
    OLD,
    PART,
    READY,
    disk_errors,
    hidden_name,
    lock_of,
    locked,
    part,
    put_in_place,
    real,
)


def as_path(text: Path | str | None) -> Path | None:
    """`text` as a path; None stays None."""
    return None if text is None else Path(text)


# Files


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that replaces it when the block ends well, and goes when it does not.

    Where `path` is a link, the file behind it is replaced. The new file keeps the old one's permissions and owner.
    """
    place = real(path)
    with disk_errors(path):
        _check_replaceable(path)
        with part(place) as temporary:
            usual = os.stat(temporary).st_mode
            yield temporary
            _finish(temporary, place, usual)
            os.replace(temporary, place)


def check_writable(path: Path) -> None:
    """Passes where a file can be written at `path`, which is left as it is; else what `writing` would raise."""
    with disk_errors(path):
        _check_replaceable(path)
        with part(real(path)):
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
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with part(folder / "files", is_folder=True, seen=folder) as temporary:
            usual = os.stat(temporary).st_mode & 0o666
            yield temporary
            for file in temporary.iterdir():
                if (folder / file.name).is_dir():
                    raise IsADirectoryError(errno.EISDIR, f"{file.name} is a folder")
                _finish(file, folder / file.name, usual)
            with uninterrupted():
                ready = temporary.with_suffix(READY)
                os.replace(temporary, ready)
                put_in_place(ready, folder, last)


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
    return {entry.name for entry in folder.iterdir()} <= {lock_of(folder).name}


@contextlib.contextmanager
def writing_folder(path: Path, *, marker: str, own: Collection[str], is_forced: bool = False) -> Iterator[Path]:
    """An empty folder beside `path` that becomes `path` when the block ends well.

    An existing `path` is treated as `check_free` does, and stays as it is until the new one is complete; what it holds
    beside our `own` names is kept.
    """
    check_free(path, marker=marker, is_forced=is_forced)
    with disk_errors(path), part(real(path), is_folder=True, seen=path) as temporary:
        usual = os.stat(temporary).st_mode
        yield temporary
        for file in temporary.rglob("*"):
            _flush(file)
        _finish(temporary, path, usual)
        check_free(path, marker=marker, is_forced=is_forced)  # another process may have been faster
        replace_folder(real(path), temporary, own)


def replace_folder(path: Path, new: Path, own: Collection[str]) -> None:
    """Makes the folder `new` the folder `path`, in one step; an old `path` goes, but for what is none of our `own`.

    `own` are names that the old folder's kind has, so that what the new one lacks of them is gone.
    """
    if not path.exists():
        os.replace(new, path)
        return
    for entry in path.iterdir():
        if entry.name not in own and not os.path.lexists(new / entry.name):
            link(entry, new / entry.name)
    with uninterrupted():
        old = _exchange(path, new)
    shutil.rmtree(old, ignore_errors=True)


def discard(folder: Path) -> None:
    """Removes `folder`: from the first moment on there is none of it at its place."""
    place = real(folder)
    gone = hidden_name(place, PART)
    with disk_errors(folder):
        os.replace(place, gone)
    shutil.rmtree(gone, ignore_errors=True)


# How


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


def _check_replaceable(path: Path) -> None:
    """Refuses what is there and is no file: a device's name in /dev would become a file's."""
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is there and is no file; give another name")


def _exchange(path: Path, new: Path) -> Path:
    """Puts `new` in the place of `path`; returns where the old is now.

    At no moment is neither there, where the system can.
    """
    if swap(path, new):
        return new
    old, handle = hidden_name(path, OLD), locked(path, os.O_RDONLY)  # held, or another process brought it back at once
    try:
        os.replace(path, old)  # `tidy` brings it back where this process ends here
        os.replace(new, path)
    finally:
        if handle is not None:
            os.close(handle)
    return old
