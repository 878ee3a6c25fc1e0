"""Rounds of a measurement that was interrupted, kept until it is finished (no torch)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bstsearch.devices.rounds import Rounds
from bstsearch.files import read_json, write_text


@dataclass(frozen=True, kw_only=True)
class Partial:
    """A file of rounds, good only for the same graphs on the same device, which `origin` tells apart."""

    path: Path
    origin: dict[str, Any]

    def load(self) -> dict[str, list[tuple[float, ...]]]:
        """The rounds in the file; none where there is no file, or it is of another origin."""
        if not self.path.exists():
            return {}
        data = read_json(self.path, "interrupted measurement")
        if data.get("origin") != self.origin:
            return {}
        return {name: [tuple(times) for times in rounds] for name, rounds in data["rounds"].items()}

    def save(self, rounds: Rounds) -> None:
        """Replaces the file by these rounds."""
        data = {"origin": self.origin, "rounds": rounds}
        # On one line, which Python's encoder writes ten times as fast: this happens after every round.
        write_text(self.path, json.dumps(data, allow_nan=False) + "\n")

    def remove(self) -> None:
        """Removes the file, since the measurement is finished."""
        self.path.unlink(missing_ok=True)
