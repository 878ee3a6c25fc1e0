"""Starts the attempts, and starts them again behind each that ended the process or did not come back.

    python tests/mutations/try_mutations.py SEEDS [ROOM ...]

tries all mutations with other numbers drawn for each seed, prints what is wrong, and exits with 1 where anything is.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ATTEMPTS = Path(__file__).with_name("attempts.py")
ROOMS = ("stores", "questions", "records", "searching", "published")  # as in readers.py
STARTING = 300.0  # seconds to make sound files


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of one attempt; `fault` is None where nothing is wrong."""

    name: str
    fault: str | None


def outcomes(room: str, seed: int = 0, step: int = 1, deadline: float = 60.0) -> list[Outcome]:
    """Every `step`-th attempt of a room; `deadline` is for each of them, in seconds."""
    found: list[Outcome] = []
    # Not pytest's folder, whose path alone may take half of what a message may have.
    with tempfile.TemporaryDirectory(prefix="m", dir="/tmp") as folder:
        while True:
            before = len(found)
            ended = _run(Path(folder), [room, str(seed), str(step)], found, deadline)
            if ended is None:
                return found
            if len(found) == before:
                raise RuntimeError(f"the sound files of {room} cannot be read: {ended}")


def _run(folder: Path, words: list[str], found: list[Outcome], deadline: float) -> str | None:
    """Adds outcomes until the process ends; returns how, None where it came to the end of its list."""
    command = [sys.executable, str(ATTEMPTS), str(folder), *words, str(len(found))]
    with (
        (folder / "errors").open("wb+") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=_environment()) as process,
    ):
        name = ""
        for line in _lines(process, deadline):
            if line is None:
                process.kill()
                found.append(Outcome(name, f"did not end within {deadline:.0f} s"))
                return "killed"
            if "name" in line:
                name = line["name"]
            else:
                found.append(Outcome(name, line["fault"]))
                name = ""
        code = process.wait()
        if name:
            found.append(Outcome(name, f"ended the process: {_words(code)}"))
        errors.seek(0)
        return None if code == 0 else f"{_words(code)} {errors.read()[-2000:].decode(errors='replace')}"


def _lines(process: subprocess.Popen[bytes], deadline: float) -> Iterator[dict[str, Any] | None]:
    """What the process prints; None where it is silent for longer than `deadline` once it has begun."""
    assert process.stdout is not None
    handle, rest, patience = process.stdout.fileno(), b"", STARTING
    while select.select([handle], [], [], patience)[0]:
        read = os.read(handle, 1 << 16)
        if not read:
            return
        *lines, rest = (rest + read).split(b"\n")
        patience = deadline
        yield from map(json.loads, lines)
    yield None


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


def _words(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit {code}"


def main() -> None:
    """Reads the command line, tries, prints."""
    seeds, rooms = int(sys.argv[1]), sys.argv[2:] or list(ROOMS)
    counts: collections.Counter[str] = collections.Counter()
    for seed in range(seeds):
        for room in rooms:
            for one in outcomes(room, seed, deadline=float(os.environ.get("DEADLINE", "60"))):
                counts["attempts"] += 1
                counts["faults"] += one.fault is not None
                if one.fault is not None:
                    print(f"{one.name}\n    {one.fault}", flush=True)  # noqa: T201
    print(dict(counts))  # noqa: T201
    sys.exit(counts["faults"] > 0)


if __name__ == "__main__":
    main()
