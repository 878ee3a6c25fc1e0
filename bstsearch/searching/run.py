"""The search for the front, on one device or several: answered from saved scores, or from new ones (no torch)."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bstsearch.errors import InfeasibleBudgetError, InputError, UsageError
from bstsearch.listener import SILENT, Listener
from bstsearch.model.supernet_folder import DEMO, SupernetFolder, read_folder
from bstsearch.profiles.profile import DeviceProfile
from bstsearch.profiles.stored import LOCAL
from bstsearch.searching.budget import HIGH, Bound, Budget, parse_bounds
from bstsearch.searching.costs import DEFAULT, Objectives, by_name
from bstsearch.searching.finished import front_files, taken_over
from bstsearch.searching.floor import Floor
from bstsearch.searching.front_file import FrontFile, read_front
from bstsearch.searching.front_folder import (
    OUT,
    STUDY,
    FrontFolder,
    Write,
    choose_folder,
    holding_all,
    study_name,
    write_alone,
)
from bstsearch.searching.member_tests import with_tests
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.pricing import (
    check_costs,
    extrapolations,
    find_stacks,
    make_pricer,
    make_repricer,
    read_profile,
)
from bstsearch.searching.provenance import Provenance
from bstsearch.searching.scoring import KnownScores, make_scorer
from bstsearch.space import Precision, Submodel
from bstsearch.space_names import TRAINED, trained_part
from bstsearch.writing import as_path

if TYPE_CHECKING:
    from bstsearch.score import Metric
    from bstsearch.searching.study import Study
    from bstsearch.searching.team import Team
    from bstsearch.tasks.task import Task

# Called on each device before anything is scored there: its name, the smallest, middle and largest submodel, the
# budget.
Before = Callable[[str, Sequence[Candidate], Budget], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What is the same for every device; the fields are the arguments of `search`."""

    supernet: Path = DEMO
    profiles: Path | None = None
    bounds: Mapping[str, Bound] = dataclasses.field(default_factory=dict)
    budget_at: str = HIGH
    objectives: Sequence[str] = DEFAULT.keys
    space: str = TRAINED
    precisions: Sequence[Precision] = ()
    sampler: str = "auto"
    trials: int = 100
    split: str = "validation"
    data: str | type[Task] | None = None
    data_dir: Path | None = None
    out: Path | None = None
    seed: int = 0
    is_forced: bool = False
    workers: int = 1
    storage: str | None = None
    study: str | None = None
    generation: int | None = None
    floor: Floor | None = None


def search(
    *,
    supernet: Path | str = DEMO,
    device: str = LOCAL,
    profiles: Path | str | None = None,
    budget_ms: float | str | None = None,
    budget_gflops: float | str | None = None,
    budget_mb: float | str | None = None,
    budget: Mapping[str, float | str] | None = None,
    budget_at: str = HIGH,
    min_accuracy: float | str | None = None,
    max_drop: float | str | None = None,
    objectives: Sequence[str] = DEFAULT.keys,
    space: str = TRAINED,
    precisions: Sequence[Precision] = (),
    sampler: str = "auto",
    trials: int = 100,
    split: str = "validation",
    data: str | type[Task] | None = None,
    data_dir: Path | str | None = None,
    out: Path | str | None = None,
    seed: int = 0,
    is_forced: bool = False,
    workers: int = 1,
    storage: str | None = None,
    study: str | None = None,
    generation: int | None = None,
    listener: Listener = SILENT,
) -> FrontFile:
    """The submodels worth having on a device, within a budget; scores are kept in `out`, and none is made twice.

    Budgets are numbers, or shares of the full model's cost such as "50%"; `budget` bounds any cost by its key. With
    a `storage` the scores are kept there under the name `study`, and other machines can help. The arguments are the
    options of `bstsearch pareto`, which says more of each. BstsearchError where something is missing or does not go
    together, InfeasibleBudgetError where nothing fits the budget or is as good as asked for.
    """
    given = {"latency": budget_ms, "gflops": budget_gflops, "memory": budget_mb}
    request = Request(
        supernet=Path(supernet),
        profiles=as_path(profiles),
        bounds=parse_bounds(
            {key: str(value) for key, value in given.items() if value is not None},
            [f"{key}={value}" for key, value in (budget or {}).items()],
        ),
        budget_at=budget_at,
        objectives=objectives,
        space=space,
        precisions=precisions,
        sampler=sampler,
        trials=trials,
        split=split,
        data=data,
        data_dir=as_path(data_dir),
        out=as_path(out),
        seed=seed,
        is_forced=is_forced,
        workers=workers,
        storage=storage,
        study=study,
        generation=generation,
        floor=Floor.parse(*(None if text is None else str(text) for text in (min_accuracy, max_drop))),
    )
    ((_, file),) = search_devices([device], request, listener)
    return file


def search_devices(
    devices: Sequence[str],
    request: Request,
    listener: Listener = SILENT,
    before: Before = lambda *_: None,
    write: Write = write_alone,
) -> Iterator[tuple[Path, FrontFile]]:
    """The front on each device and the path of its file, as soon as it is there, written by `write`.

    With several devices, each has a folder of its name. What is wrong with the request is told before anything is
    scored. The folders are held until the last front is taken; UsageError where another process holds one. Where the
    request is forced, each device's old files stay until its new ones are complete.
    """
    objectives = Objectives.of(request.objectives)
    _check_request(request)
    folder = read_folder(request.supernet)
    space = trained_part(request.space, folder.space, folder.path, request.precisions)
    found = [
        read_profile(folder, name, request.profiles, space, request.split, request.data_dir, request.data)
        for name in devices
    ]
    for profile, origin in found:
        check_costs(folder, profile, origin.space, [*objectives.costs, *map(by_name().__getitem__, request.bounds)])
    is_alone, out = len(found) == 1, request.out or OUT
    score = make_scorer(folder.path, request.split, request.data_dir, request.data)
    finished = front_files({OUT, out, folder.path})  # before this search: of several devices each is searched
    known = KnownScores(
        score,
        found[0][1],
        {OUT, out},
        study_name(is_forced=request.is_forced),
        () if request.is_forced else finished,
        listener,
    )
    searches = [
        _DeviceSearch(
            folder=folder,
            profile=profile,
            origin=origin,
            request=request,
            objectives=objectives,
            place=FrontFolder(path=_folder(request.out, origin, is_alone=is_alone), is_forced=request.is_forced),
            study_name=_study_name(request.study, folder, origin, is_alone=is_alone),
            finished=finished,
            score=known,
            listener=listener,
            before=before,
            write=write,
        )
        for profile, origin in found
    ]
    with holding_all([one.place.path for one in searches] + ([] if is_alone else [out])):
        for one in searches:
            try:
                file = one.front()
            except InfeasibleBudgetError as error:
                raise error if is_alone else InfeasibleBudgetError(f"{one.profile.device}: {error}") from error
            yield one.place.front, file
        for one in searches:  # none before all are finished: the same command goes on with what it found for the first
            one.place.forget()


def _folder(out: Path | None, origin: Provenance, *, is_alone: bool) -> Path:
    """The folder for the front of one device, of several in a folder of its name."""
    if out is None:
        return choose_folder(origin, is_alone=is_alone)
    return out if is_alone else out / str(origin.device["name"])


def _study_name(asked: str | None, folder: SupernetFolder, origin: Provenance, *, is_alone: bool) -> str:
    """The name of the study of one device in a storage that holds others, too."""
    if asked is not None and is_alone:
        return asked
    return f"{asked or folder.path.resolve().name}-{origin.device['name']}"


def _check_request(request: Request) -> None:
    """Refuses what does not go together, with UsageError."""
    if request.workers != 1 and not isinstance(request.data, str | None):
        raise UsageError("several workers read the data set by its name; name it as path/file.py:NAME in data")
    if request.storage is None:
        if request.study is not None:
            raise UsageError("--study names a study in a storage; give --storage, too")
        if request.workers < 1:
            raise UsageError("without a --storage nobody else scores; give --workers 1 or more")
    elif request.is_forced:
        raise UsageError("--force removes no study of a storage, where others may use it; give another --study")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _DeviceSearch:
    """One device, what is asked of it, and the place of its front."""

    folder: SupernetFolder
    profile: DeviceProfile
    origin: Provenance
    request: Request
    objectives: Objectives
    place: FrontFolder
    study_name: str
    finished: Sequence[Path]
    score: KnownScores
    listener: Listener
    before: Before
    write: Write

    def front(self) -> FrontFile:
        """The front, searched or answered from the scores in its place, and written there."""
        file = None if self.request.is_forced else self._resolve()
        if file is None:
            file = self._search()
        self.place.write(file, self.write)
        for warning in extrapolations(self.folder, self.profile, {one.submodel: one.gflops for one in file.front}):
            self.listener.warning(warning)
        return file

    def _resolve(self) -> FrontFile | None:
        """The front from the scores in its place, or of another device, where they are all it takes."""
        path = self.place.front
        if path.exists():
            stored = read_front(path)
            self.origin.check_same(stored.origin, path)
            return self._answer(path, stored)
        if self.place.study.exists():
            return None
        reprice = make_repricer(self.folder, self.profile)
        answers = (self._answer(*found) for found in taken_over(self.finished, self.origin, self.score.metric, reprice))
        return next((answer for answer in answers if answer is not None), None)

    def _answer(self, path: Path, stored: FrontFile) -> FrontFile | None:
        """The front from the scores in the file at `path`; None where some are missing."""
        budget = Budget.resolve(self.request.bounds, stored.full, self.request.budget_at)
        if not stored.answers(budget, self.request.trials) or self._lacks_yardstick(stored.full):
            return None
        objectives = dataclasses.replace(stored.objectives, keys=self.objectives.keys)
        floor = self._floor(objectives.metric, stored.full)
        self._begin(stored.corners, budget, stored.candidates)
        source = "the scores that come with the supernet" if path.parent == self.folder.path else path
        self.listener.note(f"answered from {source}: nothing had to be scored")
        if not stored.is_exact and (stored.aimed_at != objectives or stored.searched_on):
            aim = f"{stored.aimed_at}{f' on {stored.searched_on}' if stored.searched_on else ''}"
            self.listener.note(f"its sampler aimed at {aim}; --force searches anew, for {objectives}")
        try:
            return stored.resolve(budget, objectives, floor)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

    def _lacks_yardstick(self, full: Candidate) -> bool:
        """Whether what was asked for compares with the full model's score, which is not there."""
        floor = self.request.floor
        return floor is not None and floor.is_drop and full.accuracy is None

    def _floor(self, metric: Metric, full: Candidate) -> float | None:
        floor = self.request.floor
        return None if floor is None else floor.resolve(metric, full.accuracy)

    def _search(self) -> FrontFile:
        """The front from the scores in the study, and from new ones where some are missing."""
        from bstsearch.searching.generations import looked_at_first, search_study, settle_size
        from bstsearch.searching.proposing import choose_sampler

        space, request, full = self.origin.space, self.request, Submodel()
        choose_sampler(request.sampler, space)  # or UsageError
        self._check()
        cost = make_pricer(self.folder, self.profile)
        first = looked_at_first(space)
        for done, submodel in enumerate(first):
            self.listener.progress("counting", done, len(first))
            cost(submodel)
        corners = (cost(space.smallest), cost(space.middle), cost(space.largest))
        budget = Budget.resolve(request.bounds, cost(full), request.budget_at)
        self._begin(corners, budget, map(cost, first))
        objectives = dataclasses.replace(self.objectives, metric=self.score.metric)
        if request.floor is not None and not request.floor.is_drop:
            request.floor.resolve(objectives.metric, None)  # or UsageError, before anything is scored
        with self._study(objectives) as (study, step):
            found = search_study(
                study,
                space,
                cost=cost,
                step=step,
                known=self.score.known,
                earlier=self.score.earlier,
                budget=budget,
                sampler=request.sampler,
                trials=request.trials,
                seed=request.seed,
                size=settle_size(study, request.generation),
                progress=self.listener.progress,
            )
        candidates = {one.id: one for one in found.candidates}
        whole = candidates.setdefault(full.id, cost(full))
        if self._lacks_yardstick(whole):
            whole = candidates[full.id] = self.score.score(full).of(cost(full))
        file = FrontFile.solve(
            tuple(candidates.values()),
            budget,
            floor=self._floor(objectives.metric, whole),
            origin=self.origin,
            sampler=found.sampler,
            is_exact=found.is_exact,
            trials=found.trials,
            searched=budget,
            objectives=objectives,
            stacks=find_stacks(self.folder),
        )
        return with_tests(file, self.score, self.listener)

    def _check(self) -> None:
        """Refuses what can be refused before anything is counted or shown, a study is made, or another one goes."""
        from bstsearch.searching import study_file

        request, is_kept = self.request, self.request.storage is None and self.place.study.exists()
        self._team.check_free()
        if request.is_forced:
            study_file.check_replaceable(self.place.path / STUDY)
        if request.workers and (request.is_forced or not is_kept):
            self.score.load()  # many workers read it for themselves, but the front is tested here

    @contextlib.contextmanager
    def _study(self, objectives: Objectives) -> Iterator[tuple[Study, Callable[[], bool]]]:
        """The study to go on in, and what does a piece of the scoring."""
        with self._team.study(self.origin, objectives) as study:
            try:
                with self._team.scoring(study, self.score) as step:
                    yield study, step
            except KeyboardInterrupt:
                self.listener.note(
                    f"{len(study.finished)} submodels are scored and kept; the same command goes on from there"
                )
                raise

    @property
    def _team(self) -> Team:
        from bstsearch.searching.team import Team

        return Team(request=self.request, place=self.place, name=self.study_name, listener=self.listener)

    def _begin(self, corners: Sequence[Candidate], budget: Budget, candidates: Iterable[Candidate]) -> None:
        """Tells what the ends of the space cost; InfeasibleBudgetError where no candidate fits."""
        self.before(self.profile.device, corners, budget)
        budget.check_feasible(candidates)
