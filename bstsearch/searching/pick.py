"""A submodel picked from a front file by row or id, with where it comes from (no torch)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bstsearch.errors import InputError
from bstsearch.model.supernet_folder import SupernetFolder, read_folder
from bstsearch.reading import digest, parsing, shown
from bstsearch.score import Score
from bstsearch.searching.front_file import FrontFile, read_front
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.pricing import get_profile, make_pricer
from bstsearch.space import Submodel
from bstsearch.space_names import TRAINED


@dataclass(frozen=True, kw_only=True)
class Pick:
    """A submodel of the front file at `path`; `row` counts from 1, None for one that is not on the front.

    The search need not have scored it: then its candidate has no accuracy yet.
    """

    path: Path
    front: FrontFile
    candidate: Candidate
    row: int | None

    @property
    def score(self) -> Score:
        """Its score, which it must have."""
        assert self.candidate.accuracy is not None
        return self.candidate.accuracy

    def __str__(self) -> str:
        """Which submodel was taken, whatever it was named by."""
        device, known = self.front.origin.device["name"], self.candidate.accuracy
        words = "not scored yet" if known is None else self.front.objectives.metric.words(known.value)
        return f"{self.candidate.id} ({self._place}): {words}, {self.candidate.latency} on {device}"

    @property
    def _place(self) -> str:
        if self.row:
            return f"row {self.row} of {self.path}"
        return f"in {self.path}, but not on the front" if self.candidate.accuracy else f"not in {self.path}"


def export_folder(candidate: Candidate) -> Path:
    """The default folder for an exported submodel."""
    return Path("export") / candidate.id


def read_pick(path: Path, name: str, *, space: str = TRAINED, profiles: Path | None = None) -> Pick:
    """The row number, id or "recommended" one `name` of the front file at `path`.

    It must be in `space`, a part of what the supernet was trained on. One that the search
    has not scored gets its costs from the front's device profile, which is looked for in `profiles` first. InputError
    where there is no such row, or the front is stale; UsageError for a submodel outside the space.
    """
    front = read_front(path)
    folder = _supernet(front, path)
    within = folder.part(space)
    if name in {one.id for one in front.candidates if one.accuracy is not None} or not name.startswith("w"):
        candidate = front.pick(name)
        within.get_submodel(candidate.id)  # or UsageError
    else:
        candidate = _new(front, folder, within.get_submodel(name), profiles, path)
    row = front.front.index(candidate) + 1 if candidate in front.front else None
    return Pick(path=path, front=front, candidate=candidate, row=row)


def read_rows(path: Path, names: Sequence[str] = (), *, space: str = TRAINED) -> list[Pick]:
    """The rows of the front file at `path` that these numbers or ids name, in their order there; without any, all.

    They must be in `space`, a part of what the supernet was trained on. InputError where there is no such row, or the
    front is stale; UsageError for a submodel outside the space.
    """
    front = read_front(path)
    within = _supernet(front, path).part(space)
    chosen = {front.pick(name).id for name in names} or {one.id for one in front.front}
    rows = [
        Pick(path=path, front=front, candidate=candidate, row=row)
        for row, candidate in enumerate(front.front, start=1)
        if candidate.id in chosen
    ]
    if strangers := chosen - {pick.candidate.id for pick in rows}:
        raise InputError(f"{path}: {shown(min(strangers))} is not on the front; give rows of 1 to {len(front.front)}")
    for pick in rows:
        within.get_submodel(pick.candidate.id)  # or UsageError
    return rows


def _supernet(front: FrontFile, path: Path) -> SupernetFolder:
    """The supernet that the front is of; InputError where it has changed since."""
    origin = front.origin.supernet
    with parsing(path):
        folder = read_folder(Path(origin["path"]))
        now = folder.digest()
    if now != origin["digest"]:
        raise InputError(
            f"{path} is older than its supernet {shown(origin['path'])} (scored at {shown(origin['digest'])}, "
            f"now {now}); run 'bstsearch pareto --force' again"
        )
    return folder


def _new(front: FrontFile, folder: SupernetFolder, submodel: Submodel, profiles: Path | None, path: Path) -> Candidate:
    """What a submodel that was not scored costs on the front's device; InputError where its profile has changed."""
    device = front.origin.device
    file, profile = get_profile(folder, str(device["name"]), profiles)
    if (now := digest(file)) != device["digest"]:
        raise InputError(
            f"{path} was made with another profile than {file} ({shown(device['digest'])}, now {now}); "
            "run 'bstsearch pareto --force' again"
        )
    return make_pricer(folder, profile)(submodel)
