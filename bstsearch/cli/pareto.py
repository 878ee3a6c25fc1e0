"""`bstsearch pareto`: the submodels worth having, within a budget; scored once, then asked again for nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bstsearch.cli.candidates import extrapolations, make_pricer, make_scorer, read_profile
from bstsearch.cli.options import (
    DataDirOption,
    DevicesOption,
    ForceOption,
    JsonOption,
    ProfilesOption,
    SeedOption,
    SplitName,
    SupernetOption,
    split_devices,
)
from bstsearch.cli.output import Column, Output
from bstsearch.errors import InfeasibleBudgetError
from bstsearch.folder import DEMO, SupernetFolder, read_folder

if TYPE_CHECKING:
    from bstsearch.budget import Bound
    from bstsearch.data.answers import Accuracy
    from bstsearch.devices.profile import DeviceProfile
    from bstsearch.front_file import FrontFile
    from bstsearch.origin import Origin
    from bstsearch.report.table import Table
    from bstsearch.space import Space, Submodel

OUT = Path("front")
FRONT = "front.json"


class BudgetEnd(StrEnum):
    """Which end of a range a budget holds for."""

    high = "high"
    middle = "middle"


class SpaceName(StrEnum):
    """Which submodels to choose from."""

    trained = "trained"
    layerwise = "layerwise"


class SamplerName(StrEnum):
    """How to search a large space."""

    auto = "auto"
    nsga2 = "nsga2"
    tpe = "tpe"


def pareto(
    supernet: SupernetOption = DEMO,
    devices: DevicesOption = "local",
    profiles: ProfilesOption = None,
    budget_ms: Annotated[str | None, typer.Option(metavar="MS", help="Latency at most; a number or '50%'.")] = None,
    budget_gflops: Annotated[str | None, typer.Option(metavar="N", help="GFLOPs at most; likewise.")] = None,
    budget_mb: Annotated[str | None, typer.Option(metavar="MB", help="Peak memory at most; likewise.")] = None,
    budget_at: Annotated[
        BudgetEnd, typer.Option(help="What of a range must keep to a budget: its upper end, or its middle.")
    ] = BudgetEnd.high,
    space: Annotated[SpaceName, typer.Option(help="Submodels as trained, or every layer sized by itself.")] = (
        SpaceName.trained
    ),
    sampler: Annotated[SamplerName, typer.Option(help="auto lists small spaces, and samples others by nsga2.")] = (
        SamplerName.auto
    ),
    trials: Annotated[int, typer.Option(min=1, metavar="N", help="Submodels to score in a sampled space.")] = 100,
    split: Annotated[SplitName, typer.Option(help="Data to score on.")] = SplitName.validation,
    data_dir: DataDirOption = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the front.")] = OUT,
    seed: SeedOption = 0,
    force: ForceOption = False,
    is_json: JsonOption = False,
) -> None:
    """Search the submodels and show the Pareto front.

    What fits no budget is never scored, and nothing is scored twice: the same command goes on after an
    interrupt, and another budget is answered from the scores that are there. Shares are of the full model. Of
    several devices each gets its front, in a folder of its name, and one table shows them side by side.

    \b
    Examples:
      bstsearch pareto --budget-ms 50%
      bstsearch pareto --device pixel7,raspberrypi4 --budget-ms 60
    """
    from bstsearch.budget import parse_bounds

    output = Output(is_json)
    request = _Request(
        bounds=parse_bounds({"latency_ms": budget_ms, "gflops": budget_gflops, "memory_mb": budget_mb}),
        at=budget_at.value,
        is_forced=force,
        plan={"sampler": sampler.value, "trials": trials, "seed": seed},
    )
    folder, names = read_folder(supernet), split_devices(devices)
    found = [read_profile(folder, name, profiles, _space(folder, space), split.value, data_dir) for name in names]
    score = make_scorer(folder.path, split.value, data_dir)
    if len(found) == 1:
        file = _front(folder, *found[0], request, out, score, output)
        _show(file, output)
        output.note(_written(out))
        output.hint(f"next: {_next_command(file, out / FRONT)}")
        output.json(file.to_json())
        return
    files = []
    for profile, origin in found:
        output.text(f"\n{profile.device}")
        with _naming(profile.device):
            files.append(_front(folder, profile, origin, request, out / profile.device, score, output))
        output.note(_written(out / profile.device))
    _show_together(files, out, output)


@contextlib.contextmanager
def _naming(device: str) -> Iterator[None]:
    """Says for which of several devices there is no submodel."""
    try:
        yield
    except InfeasibleBudgetError as error:
        raise InfeasibleBudgetError(f"{device}: {error}") from error


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Request:
    """What is asked of every device alike."""

    bounds: Mapping[str, Bound]
    at: str
    is_forced: bool
    plan: Mapping[str, Any]


def _front(
    folder: SupernetFolder,
    profile: DeviceProfile,
    origin: Origin,
    request: _Request,
    out: Path,
    score: Callable[[Submodel], Accuracy],
    output: Output,
) -> FrontFile:
    """The front on one device, searched or answered from the scores in `out`, and written there."""
    from bstsearch.report import write_reports

    file = None if request.is_forced else _resolve(out / FRONT, origin, request, output)
    has_new_scores = file is None
    if file is None:
        file = _search(folder, profile, origin, request, out, score, output)
    write_reports(file, out, has_new_scores=has_new_scores)
    for warning in extrapolations(folder, profile, [candidate.submodel for candidate in file.front]):
        output.warning(warning)
    return file


def _space(folder: SupernetFolder, name: SpaceName) -> Space:
    space = folder.space
    if name is SpaceName.trained:
        return space
    return dataclasses.replace(space, layer_heads=space.widths, layer_ffn=space.widths)


def _resolve(path: Path, origin: Origin, request: _Request, output: Output) -> FrontFile | None:
    """The front from the scores in `path`, where they are all it takes."""
    from bstsearch.budget import Budget
    from bstsearch.front_file import read_front
    from bstsearch.report.table import corner_table

    if not path.exists():
        return None
    stored = read_front(path)
    origin.refuse_other(stored.origin, path)
    budget = Budget.resolve(request.bounds, stored.full, request.at)
    if not stored.answers(budget, request.plan["trials"]):
        return None
    _print(corner_table(stored.corners, budget), output)
    budget.refuse_infeasible(stored.candidates)
    output.note(f"answered from {path}: nothing had to be scored")
    return stored.resolve(budget)


def _search(
    folder: SupernetFolder,
    profile: DeviceProfile,
    origin: Origin,
    request: _Request,
    out: Path,
    score: Callable[[Submodel], Accuracy],
    output: Output,
) -> FrontFile:
    """The front from the scores in the study, and from new ones where some are missing."""
    from bstsearch import study_file
    from bstsearch.budget import Budget
    from bstsearch.front_file import FrontFile
    from bstsearch.report.table import corner_table
    from bstsearch.search import looked_at_first, search

    space = origin.space
    cost = make_pricer(folder, profile)
    corners = (cost(space.smallest), cost(space.middle), cost(space.largest))
    budget = Budget.resolve(request.bounds, corners[-1], request.at)
    _print(corner_table(corners, budget), output)
    budget.refuse_infeasible(map(cost, looked_at_first(space)))  # before --force throws anything away
    with (
        study_file.open_study(out / study_file.NAME, origin, is_fresh=request.is_forced) as study,
        output.progress("scoring") as bar,
    ):
        try:
            found = search(study, space, cost=cost, score=score, budget=budget, progress=bar.report, **request.plan)
        except KeyboardInterrupt:
            output.hint(f"{len(study.trials)} submodels are scored and kept; the same command goes on from there")
            raise
    return FrontFile.solve(
        found.candidates,
        budget,
        origin=origin,
        sampler=found.sampler,
        is_exact=found.is_exact,
        trials=found.trials,
        searched=budget,
    )


def _show(file: FrontFile, output: Output) -> None:
    from bstsearch.report.table import front_table

    output.text()
    _print(front_table(file), output)
    output.text(f"* recommended: {file.rule}")


def _show_together(files: Sequence[FrontFile], out: Path, output: Output) -> None:
    """One table of all fronts, and the submodels that are on each of them."""
    from bstsearch.report.devices_table import devices_table, on_all_fronts

    output.text()
    _print(devices_table(files), output)
    shared = on_all_fronts(files)
    output.text("+ on that device's front, * recommended there")
    output.text(f"on all {len(files)} fronts: {', '.join(shared) or 'none'}")
    first = out / files[0].origin.device["name"]
    output.hint(f"next: {_next_command(files[0], first / FRONT)}")
    output.json(
        {"devices": {file.origin.device["name"]: file.to_json() for file in files}, "on_all_fronts": list(shared)}
    )


def _written(out: Path) -> str:
    return f"written to {out}: front.json, front.csv, front.png, front.html"


def _next_command(file: FrontFile, path: Path) -> str:
    words = ["bstsearch", "export", "--pick", str(file.front.index(file.recommended) + 1)]
    return shlex.join(words if path.parent == OUT else [*words, "--front", str(path)])


def _print(table: Table, output: Output) -> None:
    output.table([Column(*head) for head in table.heads], table.rows, table.title, table.marked)
