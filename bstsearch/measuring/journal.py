"""Rounds of a measurement that is not finished, kept as they come (no torch).

The first line of the file tells what was measured; each further line holds the visits of one round. So a round is
written once, and a killed process loses at most the line that it was writing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec import Struct

from bstsearch.errors import InputError
from bstsearch.measuring.driver import Run, Timed
from bstsearch.measuring.estimator import Rounds
from bstsearch.reading import decoded, read_text
from bstsearch.writing import write_text

FORMAT = 3


class _Line(Struct, forbid_unknown_fields=True):
    """The visits of a round by submodel, or that `--strict` has refused those before."""

    visits: dict[str, tuple[Timed, ...]] = {}
    is_refused: bool = False


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
        *whole, cut = read_text(self.path).split("\n") if self.path.exists() else [""]
        head = self._line(1, whole[0], dict[str, Any]) if whole else {}
        is_ours = (head.get("format"), head.get("origin")) == (FORMAT, self.origin)
        lines = [self._line(number, line, _Line) for number, line in enumerate(whole[1:], start=2)] if is_ours else []
        if not is_ours or (is_strict and any(line.is_refused for line in lines)):
            self.path.unlink(missing_ok=True)
            return {}
        if cut:  # else the next round would be written behind it
            write_text(self.path, "".join(f"{line}\n" for line in whole))
        for line in lines:
            for name, visit in line.visits.items():
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

    def _line(self, number: int, line: str, kind: Any) -> Any:
        """The line as a `kind`; InputError where it is something else."""
        try:
            return decoded(line, kind, f"{self.path}, line {number}")
        except InputError as error:
            raise InputError(f"{error}; remove the file, which holds an interrupted measurement") from error
