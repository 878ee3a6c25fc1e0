"""Commands in a process of their own that is killed, or interrupted, at its n-th change to the disk."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

Run = Callable[[], int]  # a command; returns its exit code
KILL, INTERRUPT = "kill", "interrupt"

_CHANGES = {
    *("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod"),
    "crashing.change",  # of a test's own, for what Python does not tell of
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def change() -> None:
    """Counts as a change to the disk."""
    sys.audit("crashing.change")


def run_in_child(run: Run, *, moment: int = 0, how: str = KILL) -> tuple[int, int]:
    """Runs a command in a copy of this process, which ends at that change; its exit code, and how many it made.

    Changes are counted from 1; a process that is killed has the code -9, and its count is not known (0).
    """
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        _be_child(run, writer, moment, how)
    os.close(writer)
    try:
        with open(reader, "rb") as stream:
            counted = stream.read()
        _, status = os.waitpid(child, 0)
    except BaseException:  # it was waited for too long
        os.kill(child, signal.SIGKILL)
        raise
    return os.waitstatus_to_exitcode(status), int(counted or 0)


def _be_child(run: Run, writer: int, moment: int, how: str) -> None:
    done = 0

    def watch(event: str, args: tuple[object, ...]) -> None:
        nonlocal done
        if _is_change(event, args):
            done += 1
            if done == moment:
                if how == KILL:
                    os.kill(os.getpid(), signal.SIGKILL)
                raise KeyboardInterrupt

    code = 99
    with contextlib.suppress(BaseException):
        sys.addaudithook(watch)
        code = run()
    os.write(writer, str(done).encode())
    os._exit(code)


def _is_change(event: str, args: tuple[object, ...]) -> bool:
    if event == "open":
        path, _, flags = args
        return isinstance(flags, int) and bool(flags & _WRITING) and not str(path).startswith(("/dev/", "/proc/"))
    return event in _CHANGES or (event == "ctypes.dlsym" and args[1] == "renameat2")


def moments(count: int, few: int) -> list[int]:
    """Some changes to end at, and the last ones, where commands put things in place."""
    return sorted({*range(1, count + 1, max(1, count // few)), *range(max(1, count - few), count + 1)})


def contents(folder: Path, names: Iterable[str] = ("**/*",)) -> dict[str, str]:
    """A digest of each file in `folder` of those names, by its path; folders have none."""
    found = {path for name in names for path in folder.glob(name)}
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(found)
    }


def restore(folder: Path, kept: Path) -> None:
    """Makes `folder` what `kept` is."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    shutil.copytree(kept, folder, dirs_exist_ok=True, symlinks=True)
