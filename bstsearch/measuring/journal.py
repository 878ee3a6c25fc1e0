"""Rounds of a measurement that is not finished, kept as they come (no torch).

The first line of the file tells what was measured; each further line holds the visits of one round. So a round is
written once, and a killed process loses at most the line that it was writing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bstsearch.errors import InputError
from bstsearch.measuring.driver import Run
from bstsearch.measuring.estimator import Rounds
from bstsearch.reading import read_text
from bstsearch.writing import write_text

FORMAT = 3


@dataclass(frozen=True, kw_only=True)
class Journal:
    """A file of rounds. It is good only for the same graphs on the same device; `origin` tells them apart."""

    path: Path
    origin: dict[str, Any]
    _written: dict[str, int] = field(default_factory=dict, init=False, repr=False)

    def load(self, *, is_strict: bool = False) -> dict[str, list[tuple[Run, ...]]]:
        """The rounds in the file, to which others will be added; none where it is missing, or of another origin.

        Rounds that `--strict` has refused are none for it, either: it would refuse them again.
        """
        rounds: dict[str, list[tuple[Run, ...]]] = {}
        lines = list(self._lines())
        head = lines[0] if lines else {}
        is_refused = any(line.get("is_refused") for line in lines[1:])
        if (head.get("format"), head.get("origin")) != (FORMAT, self.origin) or (is_strict and is_refused):
            self.path.unlink(missing_ok=True)
            return {}
        for line in lines[1:]:
            for name, visit in line.get("visits", {}).items():
                rounds.setdefault(name, []).append(tuple(Run(*run) for run in visit))
        self._written.update({name: len(visits) for name, visits in rounds.items()})
        return rounds

    def add(self, rounds: Rounds) -> None:
        """Adds those of `rounds` to the file that it does not hold yet."""
        while visits := self._next(rounds):
            self._append({"visits": visits})
            self._written.update({name: self._written.get(name, 0) + 1 for name in visits})

    def mark_refused(self) -> None:
        """Notes that `--strict` has refused these rounds."""
        self._append({"is_refused": True})

    def _next(self, rounds: Rounds) -> dict[str, tuple[Run, ...]]:
        """For every graph, the first visit that is not in the file."""
        counts = {name: self._written.get(name, 0) for name in rounds}
        return {name: visits[counts[name]] for name, visits in rounds.items() if counts[name] < len(visits)}

    def _append(self, line: dict[str, Any]) -> None:
        if not self.path.exists():
            write_text(self.path, json.dumps({"format": FORMAT, "origin": self.origin}) + "\n")
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")

    def _lines(self) -> Iterator[dict[str, Any]]:
        """The whole lines of the file; InputError where one of them, or the file, is something else."""
        if not self.path.exists():
            return
        *whole, _cut = read_text(self.path).split("\n")
        for number, line in enumerate(whole, start=1):
            try:
                data = json.loads(line)
            except ValueError:
                data = None
            if not isinstance(data, dict):
                raise InputError(
                    f"interrupted measurement {self.path}, line {number}, is no round; remove it to start anew"
                )
            yield data
