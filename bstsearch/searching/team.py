"""Where a search keeps its study, and who scores in it: this process, others of this machine, or of any machine."""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from bstsearch import doors
from bstsearch.listener import Listener
from bstsearch.searching import study_file
from bstsearch.searching.costs import Objectives
from bstsearch.searching.crew import crew
from bstsearch.searching.front_folder import FrontFolder
from bstsearch.searching.provenance import Provenance
from bstsearch.searching.scoring import Scorer
from bstsearch.searching.studies import check_free, open_shared
from bstsearch.searching.study import Study
from bstsearch.searching.working import Worker

if TYPE_CHECKING:
    from bstsearch.searching.run import Request

LOOK_S = 1.0  # between looks at who searches in a storage


@dataclasses.dataclass(frozen=True, kw_only=True)
class Team:
    """What is asked for, the folder of the front, and the study's name where that lies in a storage."""

    request: Request
    place: FrontFolder
    name: str
    listener: Listener

    def check_free(self) -> None:
        """Passes where nobody searches in the storage's study; UsageError names who does. A file's folder is held."""
        if (url := self.request.storage) is not None:
            check_free(url, self.name, self.listener.note, _look_again)

    @contextlib.contextmanager
    def study(self, origin: Provenance, objectives: Objectives) -> Iterator[Study]:
        """The study to go on in, made where there is none."""
        if (url := self.request.storage) is not None:
            with open_shared(url, self.name, origin, objectives, self.listener.note) as study:
                words = shlex.join(["bstsearch", "worker", "--storage", study.where, "--study", study.name])
                self.listener.note(f"other processes and machines can help; they run '{words}'")
                yield study
            return
        path, is_forced = self.place.study, self.place.is_forced
        if is_forced:
            study_file.discard_other(path, origin, objectives)
        with study_file.open_study(path, origin, objectives, self.listener.note) as study:
            if is_forced and (finished := study.finished):
                self.listener.note(f"{path} holds {len(finished)} scores of a search that was stopped; it goes on")
            yield study

    @contextlib.contextmanager
    def scoring(self, study: Study, score: Scorer) -> Iterator[Callable[[], bool]]:
        """Does a piece of the scoring, in this process or by looking after others, while the block runs."""
        worker = Worker(study, score)
        with study.leading(worker.member, None if self.request.storage is None else _look_again):
            if self.request.workers == 1:
                yield worker.step
            elif self.request.workers == 0:
                yield lambda: False
            else:
                with crew(self.request.workers, self._words(study), self.listener) as team:
                    yield team.step

    def _words(self, study: Study) -> Sequence[str]:
        """The options that a worker of this machine needs."""
        request = self.request
        place = request.storage if request.storage is not None else str(self.place.study.resolve())
        words = ["--storage", place, "--study", study.name, "--supernet", str(request.supernet)]
        if isinstance(request.data, str):
            words += ["--data", doors.typed("task", request.data) or request.data]
        if request.data_dir is not None:
            words += ["--data-dir", str(request.data_dir)]
        return [*words, *(word for file in doors.files("family") for word in ("--family", file))]


def _look_again() -> None:
    time.sleep(LOOK_S)
