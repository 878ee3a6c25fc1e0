"""Reads damaged files one after the other, and prints what came of each; what the tests start as a process.

    python attempts.py FOLDER ROOM SEED STEP FIRST

Of the mutations of each file, every STEP-th is tried. A line of JSON is printed before each attempt and after it, from
number FIRST on: so whoever reads them knows which one ended the process or never comes back.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import shutil
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TextIO

HERE = Path(__file__).parent
PACKAGE = HERE.parents[1] / "bstsearch"
MOST_MEMORY = 4 << 30  # bytes beyond those in use before the first attempt
LONGEST = 300  # characters of a message
KEPT = 400  # characters of a fault that are printed


class Case(NamedTuple):
    """One damage of one file of a reader's."""

    reader: Any
    file: str
    mutation: Any

    @property
    def name(self) -> str:
        """What is tried, for people."""
        return f"{self.reader.name}, {self.file}: {self.mutation.name}"


def main() -> None:
    """Reads the command line and tries everything."""
    root, room, seed, step, first = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), *map(int, sys.argv[4:])
    find_imports()
    report, noise = _report(root)
    readers = importlib.import_module("readers").ROOMS[room]
    sound = {reader.name: made(reader, root / "sound") for reader in readers}
    kinds = {reader.name: _kinds(read(reader, copied(sound[reader.name], root / "first"))) for reader in readers}
    _bound_memory()
    for number, case in enumerate(_cases(readers, sound, seed, step)):
        if number >= first:
            _print(report, {"number": number, "name": case.name})
            fault = _attempt(case, copied(sound[case.reader.name], root / str(number)), kinds[case.reader.name], noise)
            _print(report, {"number": number, "fault": fault})
            shutil.rmtree(root / str(number), ignore_errors=True)


def find_imports() -> None:
    """Lets the readers use the helpers of other tests."""
    sys.path[:0] = [str(HERE.parent / name) for name in ("", "families", "formats", "tasks", "mutations")]


def _cases(readers: Any, sound: dict[str, Path], seed: int, step: int) -> Iterator[Case]:
    mutations, first = importlib.import_module("mutators").mutations, seed
    for reader in readers:
        for file, kind in reader.files.items():
            found = list(mutations(kind, (sound[reader.name] / file).read_bytes(), f"{seed} {file}"))
            yield from (Case(reader, file, mutation) for mutation in found[first % step :: step * reader.step])
            first += 1  # so that files of one kind differ in what is tried


def _attempt(case: Case, folder: Path, kinds: Any, noise: Path) -> str | None:
    """What is wrong with how the reader takes it; None where nothing is."""
    from bstsearch.errors import BstsearchError

    case.mutation.apply(folder / case.file)
    os.truncate(noise, 0)
    try:
        found = _kinds(read(case.reader, folder))
        fault = None if found == kinds else f"read as {found}, expected {kinds}"
    except BstsearchError as error:
        fault = _message_fault(error, case, folder)
    except BaseException as error:  # whatever is no word for the user
        fault = f"{type(error).__name__}: {str(error)[:KEPT]!r} at {_place(error)}"
    sys.stderr.flush()
    printed = noise.read_text(errors="replace")
    return fault or (f"printed {printed[:KEPT]!r}" if printed else None)


def _message_fault(error: Exception, case: Case, folder: Path) -> str | None:
    message, faults = str(error), []
    if type(error).__name__ == "BstsearchError":
        faults.append("is a bug")
    if not _begins_with_its_file(message, case, folder):
        faults.append("does not begin with the file")
    if not message.isprintable():
        faults.append("is no plain line")
    if len(message) >= LONGEST:
        faults.append(f"has {len(message)} characters")
    return f"message {' and '.join(faults)}: {message[:KEPT]!r}" if faults else None


def _begins_with_its_file(message: str, case: Case, folder: Path) -> bool:
    """Whether the message begins with the damaged file, with a folder that it lies in, or with another that names it.

    Where a file keeps its form, or is gone, another one may be found to be wrong.
    """
    if case.reader.is_relative:
        return message.startswith(case.file)
    if not message.startswith(str(folder)):
        return False
    target = folder / case.file
    paths = [str(path) for path in (target, *target.parents) if path.is_relative_to(folder)]
    begins = any(message.startswith(path) and not message[len(path) :].startswith("/") for path in paths)
    return begins or case.mutation.is_inside or target.name in message


def read(reader: Any, folder: Path) -> object:
    """What the reader finds in `folder`."""
    os.chdir(folder)
    return reader.read(folder)


def _kinds(value: object) -> object:
    return [type(one).__name__ for one in value] if isinstance(value, list) else type(value).__name__


def _place(error: BaseException) -> str:
    """The last line of the package that the error went through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if str(PACKAGE) in frame.filename]
    return f"{Path(frames[-1].filename).relative_to(PACKAGE)}:{frames[-1].lineno}" if frames else "no line of ours"


def made(reader: Any, root: Path) -> Path:
    """The folder of the reader's sound files, made where it is not there yet."""
    folder = root / reader.make.__name__
    if not (root / f"{folder.name}.done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        reader.make(folder)
        (root / f"{folder.name}.done").touch()
    return folder


def copied(folder: Path, to: Path) -> Path:
    """A copy of `folder`, in place of what is at `to`."""
    shutil.rmtree(to, ignore_errors=True)
    return Path(shutil.copytree(folder, to))


def _report(root: Path) -> tuple[TextIO, Path]:
    """Where outcomes are printed, and the file that gets all that others print from now on."""
    import torch

    torch.set_num_threads(1)
    report, noise = os.fdopen(os.dup(1), "w"), root / "noise"
    handle = os.open(noise, os.O_CREAT | os.O_RDWR | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    for category in (UserWarning, RuntimeWarning, FutureWarning):
        warnings.filterwarnings("always", category=category)
    return report, noise


def _bound_memory() -> None:
    """What asks for more than any of these files needs gets a MemoryError, whatever the machine has."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MOST_MEMORY,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _print(report: TextIO, line: dict[str, Any]) -> None:
    report.write(json.dumps(line) + "\n")
    report.flush()


if __name__ == "__main__":
    ERRORS = os.fdopen(os.dup(2), "w")
    try:
        main()
    except Exception:
        traceback.print_exc(file=ERRORS)
        sys.exit(1)
