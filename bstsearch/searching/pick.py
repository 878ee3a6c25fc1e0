"""A submodel picked from a front file by row or id, with where it comes from (no torch)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bstsearch.errors import InputError
from bstsearch.model.supernet_folder import read_folder
from bstsearch.reading import parsing, shown
from bstsearch.score import Score
from bstsearch.searching.front_file import FrontFile, read_front
from bstsearch.searching.pareto import Candidate


@dataclass(frozen=True, kw_only=True)
class Pick:
    """A submodel of the front file at `path`; `row` counts from 1, None for one that is not on the front."""

    path: Path
    front: FrontFile
    candidate: Candidate
    row: int | None

    @property
    def score(self) -> Score:
        """What the search found; every candidate that can be picked has been scored."""
        assert self.candidate.accuracy is not None
        return self.candidate.accuracy

    def __str__(self) -> str:
        """Which submodel was taken, whatever it was named by."""
        place = f"row {self.row} of {self.path}" if self.row else f"in {self.path}, but not on the front"
        device = self.front.origin.device["name"]
        words = self.front.objectives.metric.words(self.score.value)
        return f"{self.candidate.id} ({place}): {words}, {self.candidate.latency} on {device}"


def export_folder(candidate: Candidate) -> Path:
    """The default folder for an exported submodel."""
    return Path("export") / candidate.id


def read_pick(path: Path, name: str) -> Pick:
    """The row number, id or "recommended" one `name` of the front file at `path`.

    InputError where there is none, or it is stale.
    """
    front = read_front(path)
    candidate = front.pick(name)
    origin = front.origin.supernet
    with parsing(path):
        now = read_folder(Path(origin["path"])).digest()
    if now != origin["digest"]:
        raise InputError(
            f"{path} is older than its supernet {shown(origin['path'])} (scored at {shown(origin['digest'])}, "
            f"now {now}); run 'bstsearch pareto --force' again"
        )
    row = front.front.index(candidate) + 1 if candidate in front.front else None
    return Pick(path=path, front=front, candidate=candidate, row=row)
