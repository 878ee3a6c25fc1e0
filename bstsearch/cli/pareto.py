"""`bstsearch pareto`: the submodels worth having, within a budget; scored once, then asked again for nothing."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bstsearch.cli.candidates import make_pricer, make_scorer, read_profile
from bstsearch.cli.options import (
    DataDirOption,
    DeviceOption,
    ForceOption,
    JsonOption,
    ProfilesOption,
    SeedOption,
    SplitName,
    SupernetOption,
)
from bstsearch.cli.output import Column, Output
from bstsearch.folder import DEMO, SupernetFolder, read_folder

if TYPE_CHECKING:
    from bstsearch.budget import Bound
    from bstsearch.devices.profile import DeviceProfile
    from bstsearch.front_file import FrontFile
    from bstsearch.origin import Origin
    from bstsearch.report.table import Table
    from bstsearch.space import Space

OUT = Path("front")


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
    device: DeviceOption = "local",
    profiles: ProfilesOption = None,
    budget_ms: Annotated[str | None, typer.Option(metavar="MS", help="Latency at most; a number or '50%'.")] = None,
    budget_gflops: Annotated[str | None, typer.Option(metavar="N", help="GFLOPs at most; likewise.")] = None,
    budget_mb: Annotated[str | None, typer.Option(metavar="MB", help="Peak memory at most; likewise.")] = None,
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
    interrupt, and another budget is answered from the scores that are there. Shares are of the full model.

    Example: bstsearch pareto --budget-ms 50%
    """
    from bstsearch.budget import parse_bounds
    from bstsearch.front_file import NAME
    from bstsearch.report import write_reports

    output = Output(is_json)
    bounds = parse_bounds({"latency_ms": budget_ms, "gflops": budget_gflops, "memory_mb": budget_mb})
    folder = read_folder(supernet)
    profile, origin = read_profile(folder, device, profiles, _space(folder, space), split.value, data_dir)
    file = None if force else _resolve(out / NAME, origin, bounds, trials, output)
    has_new_scores = file is None
    if file is None:
        plan = {"sampler": sampler.value, "trials": trials, "seed": seed}
        file = _search(folder, profile, origin, bounds, out, output, is_forced=force, **plan)
    write_reports(file, out, has_new_scores=has_new_scores)
    _show(file, output)
    output.note(f"written to {out}: front.json, front.csv, front.png, front.html")
    output.hint(f"next: {_next_command(file, out / NAME)}")
    output.json(file.to_json())


def _space(folder: SupernetFolder, name: SpaceName) -> Space:
    space = folder.space
    if name is SpaceName.trained:
        return space
    return dataclasses.replace(space, layer_heads=space.widths, layer_ffn=space.widths)


def _resolve(path: Path, origin: Origin, bounds: Mapping[str, Bound], trials: int, output: Output) -> FrontFile | None:
    """The front from the scores in `path`, where they are all it takes."""
    from bstsearch.budget import Budget
    from bstsearch.front_file import read_front
    from bstsearch.report.table import corner_table

    if not path.exists():
        return None
    stored = read_front(path)
    origin.refuse_other(stored.origin, path)
    budget = Budget.resolve(bounds, stored.full)
    if not stored.answers(budget, trials):
        return None
    _print(corner_table(stored.corners, budget), output)
    budget.refuse_infeasible(stored.candidates)
    output.note(f"answered from {path}: nothing had to be scored")
    return stored.resolve(budget)


def _search(
    folder: SupernetFolder,
    profile: DeviceProfile,
    origin: Origin,
    bounds: Mapping[str, Bound],
    out: Path,
    output: Output,
    *,
    is_forced: bool,
    **plan: Any,
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
    budget = Budget.resolve(bounds, corners[-1])
    _print(corner_table(corners, budget), output)
    budget.refuse_infeasible(map(cost, looked_at_first(space)))  # before --force throws anything away
    score = make_scorer(folder.path, origin.split, None if origin.data_folder is None else Path(origin.data_folder))
    with (
        study_file.open_study(out / study_file.NAME, origin, is_fresh=is_forced) as study,
        output.progress("scoring") as bar,
    ):
        try:
            found = search(study, space, cost=cost, score=score, budget=budget, progress=bar.report, **plan)
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


def _next_command(file: FrontFile, path: Path) -> str:
    words = ["bstsearch", "export", "--pick", str(file.front.index(file.recommended) + 1)]
    return shlex.join(words if path.parent == OUT else [*words, "--front", str(path)])


def _print(table: Table, output: Output) -> None:
    output.table([Column(*head) for head in table.heads], table.rows, table.title, table.marked)
