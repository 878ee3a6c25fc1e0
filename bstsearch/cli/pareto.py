"""`bstsearch pareto`: the submodels worth having, within a budget; scored once, then asked again for nothing."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bstsearch.cli.candidates import make_scorer, read_profile
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
from bstsearch.cli.output import Output
from bstsearch.cli.searching import FRONT, DeviceSearch, Request, show_table
from bstsearch.errors import InfeasibleBudgetError
from bstsearch.folder import DEMO, SupernetFolder, read_folder

if TYPE_CHECKING:
    from bstsearch.front_file import FrontFile
    from bstsearch.space import Space

OUT = Path("front")


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
    several devices each gets its front, in a folder of its name, and one table, one page and one JSON and CSV file
    show them side by side.

    \b
    Examples:
      bstsearch pareto --budget-ms 50%
      bstsearch pareto --device pixel7,raspberrypi4 --budget-ms 60
    """
    from bstsearch.budget import parse_bounds

    output = Output(is_json)
    request = Request(
        bounds=parse_bounds({"latency_ms": budget_ms, "gflops": budget_gflops, "memory_mb": budget_mb}),
        at=budget_at.value,
        is_forced=force,
        plan={"sampler": sampler.value, "trials": trials, "seed": seed},
    )
    folder, names = read_folder(supernet), split_devices(devices)
    found = [read_profile(folder, name, profiles, _space(folder, space), split.value, data_dir) for name in names]
    score = make_scorer(folder.path, split.value, data_dir)
    searches = [
        DeviceSearch(
            folder=folder,
            profile=profile,
            origin=origin,
            request=request,
            out=out if len(found) == 1 else out / profile.device,
            score=score,
            output=output,
        )
        for profile, origin in found
    ]
    if len(searches) == 1:
        _show(searches[0], output)
    else:
        _show_together(searches, out, output)


def _space(folder: SupernetFolder, name: SpaceName) -> Space:
    return folder.space if name is SpaceName.trained else folder.space.layerwise


def _show(search: DeviceSearch, output: Output) -> None:
    from bstsearch.report.table import front_table

    file = search.front()
    output.text()
    show_table(front_table(file), output)
    output.text(f"* recommended: {file.rule}")
    output.note(search.written)
    output.hint(f"next: {_next_command(file, search.out / FRONT)}")
    output.json(file.to_json())


def _show_together(searches: Sequence[DeviceSearch], out: Path, output: Output) -> None:
    """One table of all fronts, the submodels that are on each of them, and both again as files in `out`."""
    from bstsearch.report import TOGETHER, together, write_together
    from bstsearch.report.devices_table import devices_table, on_all_fronts

    files = {search.out / FRONT: _named_front(search, output) for search in searches}
    fronts = list(files.values())
    write_together(files, out)
    output.text()
    show_table(devices_table(fronts), output)
    output.text("+ on that device's front, * recommended there")
    output.text(f"on all {len(fronts)} fronts: {', '.join(on_all_fronts(fronts)) or 'none'}")
    output.note(f"written to {out}: {', '.join(TOGETHER)}")
    output.hint(f"next: {_next_command(fronts[0], searches[0].out / FRONT)}")
    output.json(together(fronts))


def _named_front(search: DeviceSearch, output: Output) -> FrontFile:
    """The front on one of several devices, which is named before it, and where none is within the budget."""
    output.text(f"\n{search.profile.device}")
    try:
        file = search.front()
    except InfeasibleBudgetError as error:
        raise InfeasibleBudgetError(f"{search.profile.device}: {error}") from error
    output.note(search.written)
    return file


def _next_command(file: FrontFile, path: Path) -> str:
    words = ["bstsearch", "export", "--pick", str(file.front.index(file.recommended) + 1)]
    return shlex.join(words if path.parent == OUT else [*words, "--front", str(path)])
