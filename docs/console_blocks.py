"""Runs the console blocks of the documents in an empty folder and writes back what they print: part of `make docs`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
PROMPT = "$ "
PROGRESS = re.compile(r"^[^\n]*: (?:\d+ of \d+ \(\d+ %\).*|\d+ s so far)\n", re.MULTILINE)  # where it is slow


def commands(block: str) -> list[str]:
    """The commands of a console block: its lines behind a prompt."""
    return [line.removeprefix(PROMPT) for line in block.splitlines() if line.startswith(PROMPT)]


def run(command: str, folder: Path) -> str:
    """What `command` prints in `folder`, as a reader of this environment would see it; raises where it fails.

    Progress is left out, since it differs from run to run.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path, "COLUMNS": "100"}
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{command!r} ended with {done.returncode}:\n{done.stdout}")
    return PROGRESS.sub("", done.stdout)


def rewritten(text: str, run_command: Callable[[str], str]) -> str:
    """`text` with every console block holding its commands, each followed by what it prints now."""
    return BLOCK.sub(
        lambda match: "".join(f"{PROMPT}{command}\n{run_command(command)}" for command in commands(match[0])), text
    )


def prepare(folder: Path) -> None:
    """Puts into `folder` what the README takes for granted: the pictures in docs/."""
    (folder / "docs").symlink_to(ROOT / "docs")


if __name__ == "__main__":
    for document in (ROOT / "docs" / "published.md", ROOT / "README.md"):
        with tempfile.TemporaryDirectory() as name:
            prepare(Path(name))
            text = document.read_text(encoding="utf-8")
            document.write_text(rewritten(text, lambda command, name=name: run(command, Path(name))), encoding="utf-8")
