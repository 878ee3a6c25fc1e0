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
    from bstsearch.score import Accuracy
    from bstsearch.search.provenance import Origin
    from bstsearch.space import Submodel

OUT = Path("front")


def choose_folder(origin: Origin, *, is_alone: bool) -> Path:
    """Of front/, front/DEVICE, front/DEVICE-2, ... the one with results of the same origin, else the first free one.

    Of several devices at once (not `is_alone`) each has a folder of its name. Where an origin cannot be read the folder
    is taken for the same: the search says what is wrong with it.
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


def _origin_of(folder: Path) -> Origin | None:
    """What the results in `folder` rest on; None where there are none."""
    from bstsearch.search.front_file import NAME, read_front

    if (folder / NAME).exists():
        return read_front(folder / NAME).origin
    if not (folder / "study.db").exists():  # named here too: what follows loads Optuna
        return None
    from bstsearch.search import study_file

    return study_file.read_study(folder / study_file.NAME)[0]


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
        from bstsearch.search import study_file

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
