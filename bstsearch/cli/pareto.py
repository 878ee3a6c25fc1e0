"""`bstsearch pareto`: the submodels worth having, within a budget; scored once, then asked again for nothing."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bstsearch.cli.candidates import make_scorer, read_profile
from bstsearch.cli.front_folder import OUT, KnownScores, choose_folder, export_folder
from bstsearch.cli.options import (
    BudgetEnd,
    DataDirOption,
    ForceOption,
    JsonOption,
    LastDevicesOption,
    LastSupernetOption,
    ProfilesOption,
    SeedOption,
    SplitName,
    split_devices,
)
from bstsearch.cli.output import Output
from bstsearch.cli.remembered import Memory
from bstsearch.cli.searching import FRONT, DeviceSearch, Request, show_table
from bstsearch.errors import InfeasibleBudgetError
from bstsearch.files import first_free
from bstsearch.model.supernet_folder import DEMO, SupernetFolder, read_folder
from bstsearch.profiles.stored import LOCAL

if TYPE_CHECKING:
    from bstsearch.search.front_file import FrontFile
    from bstsearch.search.provenance import Origin
    from bstsearch.space import Space


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
    supernet: LastSupernetOption = None,
    devices: LastDevicesOption = None,
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
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for the front.", show_default="front, or what is free in it"),
    ] = None,
    seed: SeedOption = 0,
    force: ForceOption = False,
    is_json: JsonOption = False,
) -> None:
    """Search the submodels and show the Pareto front.

    What fits no budget is never scored, and nothing is scored twice: the same command goes on after an
    interrupt, and another budget is answered from the scores that are there. Shares are of the full model. Of
    several devices each gets its front, in a folder of its name, and one table, one page and one JSON and CSV file
    show them side by side.

    Without --out, front/ holds the results; where they are of another device, supernet, space or split they stay,
    and the new ones go to front/DEVICE, front/DEVICE-2 and so on. Accuracies are taken over from there.

    \b
    Examples:
      bstsearch pareto
      bstsearch pareto --budget-ms 50%
      bstsearch pareto --device pixel7,raspberrypi4 --budget-ms 60
    """
    from bstsearch.search.budget import parse_bounds

    output = Output(is_json)
    request = Request(
        bounds=parse_bounds({"latency_ms": budget_ms, "gflops": budget_gflops, "memory_mb": budget_mb}),
        at=budget_at.value,
        is_forced=force,
        plan={"sampler": sampler.value, "trials": trials, "seed": seed},
    )
    given, memory = split_devices(devices) if devices is not None else [], Memory(output)
    supernet, profiles = supernet or memory.folder("supernet"), profiles or memory.folder("profiles")
    folder = read_folder(supernet or DEMO)
    names = given or [memory.device() or _this_machine(folder, supernet, profiles, memory, output)]
    found = [read_profile(folder, name, profiles, _space(folder, space), split.value, data_dir) for name in names]
    is_alone, score = len(found) == 1, make_scorer(folder.path, split.value, data_dir)
    known = KnownScores(score, found[0][1], () if force else {OUT, out or OUT}, output)
    searches = [
        DeviceSearch(
            folder=folder,
            profile=profile,
            origin=origin,
            request=request,
            out=_folder(out, origin, is_alone=is_alone),
            score=known,
            output=output,
        )
        for profile, origin in found
    ]
    if is_alone:
        _show(searches[0], memory, output)
    else:
        _show_together(searches, out or OUT, memory, output)


def _this_machine(
    folder: SupernetFolder, supernet: Path | None, profiles: Path | None, memory: Memory, output: Output
) -> str:
    """The device that this machine is, which is measured first and remembered where that has never been done."""
    from bstsearch.measuring.run import profile_this_machine

    with output.listening("profile") as listener:
        is_new = profile_this_machine(folder, profiles, listener)
    if is_new:
        memory.keep_profiled(LOCAL, profiles, supernet)
    return LOCAL


def _folder(out: Path | None, origin: Origin, *, is_alone: bool) -> Path:
    """The folder for the front of one device, of several in a folder of its name."""
    if out is None:
        return choose_folder(origin, is_alone=is_alone)
    return out if is_alone else out / str(origin.device["name"])


def _space(folder: SupernetFolder, name: SpaceName) -> Space:
    return folder.space if name is SpaceName.trained else folder.space.layerwise


def _show(search: DeviceSearch, memory: Memory, output: Output) -> None:
    from bstsearch.report.table import front_table

    file = search.front()
    output.text()
    show_table(front_table(file), output)
    output.text(f"* recommended: {file.rule}")
    output.plot(file)
    search.finish(file)
    output.hint(f"next: {_next_command(file, search.out / FRONT, memory)}")
    output.json(file.to_json())


def _show_together(searches: Sequence[DeviceSearch], out: Path, memory: Memory, output: Output) -> None:
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
    output.hint(f"next: {_next_command(fronts[0], searches[0].out / FRONT, memory)}")
    output.json(together(fronts))


def _named_front(search: DeviceSearch, output: Output) -> FrontFile:
    """The front on one of several devices, which is named before it, and where none is within the budget."""
    output.text(f"\n{search.profile.device}")
    try:
        file = search.front()
    except InfeasibleBudgetError as error:
        raise InfeasibleBudgetError(f"{search.profile.device}: {error}") from error
    search.finish(file)
    return file


def _next_command(file: FrontFile, path: Path, memory: Memory) -> str:
    """The export of the recommended row, which the folder remembers from now on, to a place where nothing is."""
    words = ["bstsearch", "export", "--pick", str(file.front.index(file.recommended) + 1)]
    if not memory.keep_front(path) or path.parent != OUT:
        words += ["--front", str(path)]
    usual = export_folder(file.recommended)
    if (free := first_free(usual)) != usual:
        words += ["--out", str(free)]
    return shlex.join(words)
