"""The folder of a front: which one it is, where its study lies, and how all its files change in one step (no torch)."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from bstsearch.errors import BstsearchError, DeviceError
from bstsearch.holding import holding
from bstsearch.searching.front_file import NAME, FrontFile, read_front, write_front
from bstsearch.searching.provenance import Provenance
from bstsearch.writing import writing_together

OUT = Path("front")
STUDY = "study.db"  # as in study_file.py, which loads Optuna
NEW_STUDY = "study.new.db"  # of a forced search, until that is finished
CSV, PICTURE, PAGE = SHOWING = ("front.csv", "front.png", "front.html")  # what shows people a front file

# Writes a front's files: the front, the folder to write them into, and the folder whose files they become.
Write = Callable[[FrontFile, Path, Path], None]


def study_name(*, is_forced: bool) -> str:
    """The name of the study that a search goes on in."""
    return NEW_STUDY if is_forced else STUDY


def write_alone(file: FrontFile, new: Path, out: Path) -> None:
    """Writes front.json into `new`; files in `out` that show another front go."""
    write_front(file, new / NAME)
    if not _is_shown(file, out):
        for name in SHOWING:
            (out / name).unlink(missing_ok=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrontFolder:
    """The folder at `path`. A forced search has a study of its own in it; the old files stay until it is finished."""

    path: Path
    is_forced: bool

    @property
    def front(self) -> Path:
        """The front file."""
        return self.path / NAME

    @property
    def study(self) -> Path:
        """The study that a search goes on in."""
        return self.path / study_name(is_forced=self.is_forced)

    def write(self, file: FrontFile, write: Write) -> None:
        """Replaces all files of the front by those that `write` makes, and the study by that of a forced search."""
        with writing_together(self.path, last=NAME) as new:
            if self.is_forced:
                shutil.copyfile(self.study, new / STUDY)
            write(file, new, self.path)
            if self.is_forced:
                from bstsearch.searching import study_file

                study_file.remove_journal(self.path / STUDY)

    def forget(self) -> None:
        """Removes the study of a forced search that is finished."""
        if self.is_forced:
            from bstsearch.searching import study_file

            study_file.remove_study(self.study)


@contextlib.contextmanager
def holding_all(folders: Iterable[Path]) -> Iterator[None]:
    """Keeps other searches out of these folders until the block ends; UsageError where one holds one of them."""
    with contextlib.ExitStack() as stack:
        for folder in dict.fromkeys(folders):
            if os.path.lexists(folder) and not folder.is_dir():  # a link to nothing included
                raise DeviceError(f"cannot write {folder}: it is no folder; give another --out")
            stack.enter_context(holding(folder))
        yield


def choose_folder(origin: Provenance, *, is_alone: bool) -> Path:
    """The folder for results of this origin: front/, front/DEVICE, front/DEVICE-2, ...

    It is the one that holds results of the same origin, else the first that is free.
    With several devices at once (not `is_alone`), each has a folder of its name. Where an origin cannot be read the
    folder is taken for the same: the search says what is wrong with it.
    """
    device = OUT / str(origin.device["name"])
    numbered = (device.with_name(f"{device.name}-{number}") for number in itertools.count(2))
    free: list[Path] = []
    for place in itertools.chain([OUT] if is_alone else [], [device], numbered):
        try:
            found = _origin_of(place)
        except BstsearchError:
            return place
        if found is not None and not origin.changes(found):
            return place
        if found is None:
            free.append(place)
            if place != OUT:  # in front/ itself there may be nothing, and yet in its folders
                break
    return free[0]


def _origin_of(folder: Path) -> Provenance | None:
    """What the results in `folder` rest on; None where there are none."""
    if (folder / NAME).exists():
        return read_front(folder / NAME).origin
    if not (folder / STUDY).exists():
        return None
    from bstsearch.searching import study_file

    return study_file.read_study(folder / STUDY)[0]


def _is_shown(file: FrontFile, folder: Path) -> bool:
    """Whether the front file in `folder`, and what shows it there, are of the same front as `file`."""
    try:
        return dataclasses.replace(read_front(folder / NAME), created=file.created) == file
    except BstsearchError:
        return False
