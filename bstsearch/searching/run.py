"""The search for the front, on one device or several: answered from saved scores, or from new ones (no torch)."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bstsearch.errors import BstsearchError, InfeasibleBudgetError, UsageError
from bstsearch.listener import SILENT, Listener
from bstsearch.model.supernet_folder import DEMO, SupernetFolder, read_folder
from bstsearch.profiles.profile import DeviceProfile
from bstsearch.profiles.stored import LOCAL
from bstsearch.searching.budget import HIGH, Bound, Budget, parse_bounds
from bstsearch.searching.costs import DEFAULT, Objectives
from bstsearch.searching.front_file import NAME, FrontFile, read_front, write_front
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.pricing import extrapolations, find_stacks, make_pricer, read_profile
from bstsearch.searching.provenance import Provenance
from bstsearch.searching.scoring import KnownScores, Scorer, make_scorer
from bstsearch.space import Space
from bstsearch.writing import as_path

if TYPE_CHECKING:
    from bstsearch.tasks.task import Task

OUT = Path("front")
STUDY = "study.db"  # as in study_file.py, which loads Optuna
TRAINED, LAYERWISE = "trained", "layerwise"  # the spaces: submodels as trained, or every layer sized by itself

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
    sampler: str = "auto"
    trials: int = 100
    split: str = "validation"
    data: str | type[Task] | None = None
    data_dir: Path | None = None
    out: Path | None = None
    seed: int = 0
    is_forced: bool = False


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
    objectives: Sequence[str] = DEFAULT.keys,
    space: str = TRAINED,
    sampler: str = "auto",
    trials: int = 100,
    split: str = "validation",
    data: str | type[Task] | None = None,
    data_dir: Path | str | None = None,
    out: Path | str | None = None,
    seed: int = 0,
    is_forced: bool = False,
    listener: Listener = SILENT,
) -> FrontFile:
    """The submodels worth having on a device, within a budget; scores are kept in `out`, and none is made twice.

    Budgets are numbers, or shares of the full model's cost such as "50%"; `budget` bounds any cost by its key. The
    arguments are the options of `bstsearch pareto`, which says more of each. BstsearchError where something is missing
    or does not go together, InfeasibleBudgetError where nothing fits the budget.
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
        sampler=sampler,
        trials=trials,
        split=split,
        data=data,
        data_dir=as_path(data_dir),
        out=as_path(out),
        seed=seed,
        is_forced=is_forced,
    )
    ((_, file),) = search_devices([device], request, listener)
    return file


def search_devices(
    devices: Sequence[str],
    request: Request,
    listener: Listener = SILENT,
    before: Before = lambda *_: None,
) -> Iterator[tuple[Path, FrontFile]]:
    """The front on each device and the path of its file, as soon as it is there.

    With several devices, each has a folder of its name. What is wrong with the request is told before anything is
    scored.
    """
    objectives = Objectives.of(request.objectives)
    folder = read_folder(request.supernet)
    space = _space(folder, request.space)
    found = [
        read_profile(folder, name, request.profiles, space, request.split, request.data_dir, request.data)
        for name in devices
    ]
    is_alone, out = len(found) == 1, request.out or OUT
    score = make_scorer(folder.path, request.split, request.data_dir, request.data)
    known = KnownScores(score, found[0][1], () if request.is_forced else {OUT, out}, listener)
    for profile, origin in found:
        one = _DeviceSearch(
            folder=folder,
            profile=profile,
            origin=origin,
            request=request,
            objectives=objectives,
            out=_folder(request.out, origin, is_alone=is_alone),
            score=known,
            listener=listener,
            before=before,
        )
        try:
            file = one.front()
        except InfeasibleBudgetError as error:
            raise error if is_alone else InfeasibleBudgetError(f"{profile.device}: {error}") from error
        yield one.out / NAME, file


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


def _folder(out: Path | None, origin: Provenance, *, is_alone: bool) -> Path:
    """The folder for the front of one device, of several in a folder of its name."""
    if out is None:
        return choose_folder(origin, is_alone=is_alone)
    return out if is_alone else out / str(origin.device["name"])


def _origin_of(folder: Path) -> Provenance | None:
    """What the results in `folder` rest on; None where there are none."""
    if (folder / NAME).exists():
        return read_front(folder / NAME).origin
    if not (folder / STUDY).exists():
        return None
    from bstsearch.searching import study_file

    return study_file.read_study(folder / STUDY)[0]


def _space(folder: SupernetFolder, name: str) -> Space:
    if name not in (TRAINED, LAYERWISE):
        raise UsageError(f"unknown space {name!r}; there are {TRAINED}, {LAYERWISE}")
    return folder.space if name == TRAINED else folder.space.layerwise


@dataclasses.dataclass(frozen=True, kw_only=True)
class _DeviceSearch:
    """One device, what is asked of it, and the folder `out` for its front."""

    folder: SupernetFolder
    profile: DeviceProfile
    origin: Provenance
    request: Request
    objectives: Objectives
    out: Path
    score: Scorer
    listener: Listener
    before: Before

    def front(self) -> FrontFile:
        """The front, searched or answered from the scores in `out`, and written there."""
        file = None if self.request.is_forced else self._resolve()
        if file is None:
            file = self._search()
        write_front(file, self.out / NAME)
        for warning in extrapolations(self.folder, self.profile, {one.submodel: one.gflops for one in file.front}):
            self.listener.warning(warning)
        return file

    def _resolve(self) -> FrontFile | None:
        """The front from the scores in `out`, where they are all it takes."""
        path = self.out / NAME
        if not path.exists():
            return None
        stored = read_front(path)
        self.origin.check_same(stored.origin, path)
        budget = Budget.resolve(self.request.bounds, stored.full, self.request.budget_at)
        if not stored.answers(budget, self.request.trials):
            return None
        objectives = dataclasses.replace(stored.objectives, keys=self.objectives.keys)
        self._begin(stored.corners, budget, stored.candidates)
        self.listener.note(f"answered from {path}: nothing had to be scored")
        if not stored.is_exact and stored.aimed_at != objectives:
            self.listener.note(f"its sampler aimed at {stored.aimed_at}; --force searches anew, for {objectives}")
        return stored.resolve(budget, objectives)

    def _search(self) -> FrontFile:
        """The front from the scores in the study, and from new ones where some are missing."""
        from bstsearch.searching import study_file
        from bstsearch.searching.study import looked_at_first, search_study

        space, request = self.origin.space, self.request
        cost = make_pricer(self.folder, self.profile)
        first = looked_at_first(space)
        for done, submodel in enumerate(first):
            self.listener.progress("counting", done, len(first))
            cost(submodel)
        corners = (cost(space.smallest), cost(space.middle), cost(space.largest))
        budget = Budget.resolve(request.bounds, corners[-1], request.budget_at)
        self._begin(corners, budget, map(cost, first))  # before a forced search throws anything away
        objectives = dataclasses.replace(self.objectives, metric=self.score.metric)
        with study_file.open_study(
            self.out / study_file.NAME, self.origin, objectives, is_fresh=request.is_forced
        ) as study:
            try:
                found = search_study(
                    study,
                    space,
                    cost=cost,
                    score=self.score,
                    budget=budget,
                    sampler=request.sampler,
                    trials=request.trials,
                    seed=request.seed,
                    progress=self.listener.progress,
                )
            except KeyboardInterrupt:
                self.listener.note(
                    f"{len(study.trials)} submodels are scored and kept; the same command goes on from there"
                )
                raise
        return FrontFile.solve(
            found.candidates,
            budget,
            origin=self.origin,
            sampler=found.sampler,
            is_exact=found.is_exact,
            trials=found.trials,
            searched=budget,
            objectives=objectives,
            stacks=find_stacks(self.folder),
        )

    def _begin(self, corners: Sequence[Candidate], budget: Budget, candidates: Iterable[Candidate]) -> None:
        """Tells what the ends of the space cost; InfeasibleBudgetError where no candidate fits."""
        self.before(self.profile.device, corners, budget)
        budget.check_feasible(candidates)
