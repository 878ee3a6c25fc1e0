"""Helps a search that another process leads, here or on another machine, with the same supernet (no torch)."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bstsearch.errors import InputError
from bstsearch.listener import SILENT, Listener
from bstsearch.model.supernet_folder import DEMO, SupernetFolder, read_folder
from bstsearch.reading import shown
from bstsearch.searching.pricing import other_data
from bstsearch.searching.provenance import Provenance
from bstsearch.searching.scoring import make_scorer

if TYPE_CHECKING:
    from bstsearch.searching.study import Study
    from bstsearch.tasks.task import Task


@dataclasses.dataclass(frozen=True, kw_only=True)
class Joined:
    """What a worker leaves: the study, and how many submodels it has scored there."""

    storage: str
    study: str
    scored: int

    def to_json(self) -> dict[str, Any]:
        """Plain data, as `bstsearch worker --json` prints it."""
        return dataclasses.asdict(self)


def join_search(
    storage: str,
    study: str | None = None,
    *,
    supernet: Path | str = DEMO,
    data: str | type[Task] | None = None,
    data_dir: Path | str | None = None,
    listener: Listener = SILENT,
) -> Joined:
    """Scores submodels for a search until it is over, and returns how many.

    `storage` is the URL that `bstsearch pareto --storage` was given, or the path of a front's study.db. InputError
    where the study is of another supernet, data set, metric or version. What is being scored when this is interrupted
    goes back at once, to another worker.
    """
    from bstsearch.searching.studies import join
    from bstsearch.searching.working import Worker, work

    folder = read_folder(Path(supernet))
    with join(storage, study, listener.note, time.sleep) as found:
        origin = Provenance.from_json(found.attributes)
        _check_same(folder, data, origin, found)
        score = make_scorer(folder.path, origin.split, None if data_dir is None else Path(data_dir), data)
        if score.metric != found.objectives.metric:
            raise InputError(
                f"{found.where}: the study holds scores by {shown(found.objectives.metric.name)}, here they are by "
                f"{shown(score.metric.name)}; give the --data that the search was given"
            )
        score.load()
        worker = Worker(found, score)
        listener.progress("scoring", 0)
        work(worker, lambda done: listener.progress("scoring", done))
        return Joined(storage=found.where, study=found.name, scored=worker.done)


def _check_same(folder: SupernetFolder, data: str | type[Task] | None, origin: Provenance, study: Study) -> None:
    """Passes where scores here would be the scores there."""
    digest, theirs = folder.digest(), origin.supernet
    if digest != theirs["digest"]:
        raise InputError(
            f"{study.where}: the study is of the supernet {shown(theirs['path'])} ({shown(theirs['digest'])}), "
            f"{folder.path} is another one ({digest}); give the same --supernet"
        )
    if (name := other_data(folder, data)) != origin.data_set:
        raise InputError(
            f"{study.where}: the study is of the data set {shown(origin.data_set or 'of the supernet')}, here it is "
            f"{shown(name or 'that of the supernet')}; give the same --data"
        )
