"""Where a front goes when --out does not say, and what earlier searches there have scored already (no torch)."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from bstsearch.cli.output import Output
from bstsearch.errors import BstsearchError

if TYPE_CHECKING:
    from bstsearch.data.answers import Accuracy
    from bstsearch.origin import Origin
    from bstsearch.space import Submodel

OUT = Path("front")


def choose_folder(origin: Origin, *, is_alone: bool) -> Path:
    """The first of front/, front/DEVICE, front/DEVICE-2, ... that is free or holds results of the same origin.

    Of several devices at once (not `is_alone`) each has a folder of its name. One whose origin cannot be read
    is taken too: the search will say what is wrong with it.
    """
    device = OUT / str(origin.device["name"])
    numbered = (device.with_name(f"{device.name}-{number}") for number in itertools.count(2))
    places = itertools.chain([OUT] if is_alone else [], [device], numbered)
    return next(place for place in places if _is_open_to(origin, place))


def _is_open_to(origin: Origin, folder: Path) -> bool:
    try:
        found = _origin_of(folder)
    except BstsearchError:
        return True
    return found is None or not origin.changes(found)


def _origin_of(folder: Path) -> Origin | None:
    """What the results in `folder` rest on; None where there are none."""
    from bstsearch.front_file import NAME, read_front

    if (folder / NAME).exists():
        return read_front(folder / NAME).origin
    from bstsearch import study_file  # of an interrupted search there is only this

    study = folder / study_file.NAME
    return study_file.read_study(study)[0] if study.exists() else None


class KnownScores:
    """Scores submodels, each once whatever the device: what a study in `folders` has scored is taken over, and said."""

    def __init__(
        self, score: Callable[[Submodel], Accuracy], origin: Origin, folders: Iterable[Path], output: Output
    ) -> None:
        self._score, self._origin, self._folders, self._output = score, origin, folders, output
        self._is_said = False

    def __call__(self, submodel: Submodel) -> Accuracy:
        """The accuracy of `submodel`."""
        known = self._known.get(submodel)
        if known is None:
            return self._score(submodel)
        if not self._is_said:
            self._output.note("accuracies that an earlier search found are taken over: they are the same on any device")
            self._is_said = True
        return known

    @functools.cached_property
    def _known(self) -> dict[Submodel, Accuracy]:
        from bstsearch import study_file

        known: dict[Submodel, Accuracy] = {}
        names = (study_file.NAME, f"*/{study_file.NAME}")
        for path in sorted(place for folder in self._folders for name in names for place in folder.glob(name)):
            try:
                origin, candidates = study_file.read_study(path)
            except BstsearchError:
                continue  # scoring anew is always right
            if self._origin.has_same_scores(origin):
                known |= {one.submodel: one.accuracy for one in candidates if one.accuracy is not None}
        return known
