"""`bstsearch pareto`: the submodels worth having, within a budget; scored once, then asked again for nothing."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bstsearch.cli.options import (
    BudgetEnd,
    DataDirOption,
    DataOption,
    FamilyOption,
    ForceOption,
    JsonOption,
    LastDevicesOption,
    LastSupernetOption,
    PrecisionOption,
    ProfilesOption,
    SeedOption,
    SpaceOption,
    SplitName,
    split_devices,
)
from bstsearch.cli.output import Output
from bstsearch.cli.remembered import Memory
from bstsearch.cli.together import compare_runs, show_table, show_together
from bstsearch.errors import UsageError
from bstsearch.model.supernet_folder import DEMO, read_folder
from bstsearch.profiles.stored import LOCAL
from bstsearch.searching.costs import COSTS, DEFAULT, SCORE, Objectives
from bstsearch.space_names import TRAINED, parse_precisions
from bstsearch.writing import first_free

if TYPE_CHECKING:
    from bstsearch.searching.budget import Budget
    from bstsearch.searching.front_file import FrontFile
    from bstsearch.searching.pareto import Candidate
    from bstsearch.searching.question import Question
    from bstsearch.searching.run import Request

OUT, COMPARISON = Path("front"), Path("comparison")
# What --compare takes: the other options are about a search.
ASKED = (
    *("runs", "is_comparing", "budget_ms", "budget_gflops", "budget_mb", "budget", "budget_at", "min_accuracy"),
    *("max_drop", "objectives", "out", "is_json"),
)


class SamplerName(StrEnum):
    """How to search a large space."""

    auto = "auto"
    nsga2 = "nsga2"
    nsga3 = "nsga3"
    tpe = "tpe"
    gp = "gp"
    random = "random"


def pareto(
    context: typer.Context,
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN]...", help="With --compare: folders of fronts, or front.json files.", show_default=False
        ),
    ] = None,
    is_comparing: Annotated[
        bool, typer.Option("--compare", help="Lay the fronts of finished searches over each other; scores nothing.")
    ] = False,
    supernet: LastSupernetOption = None,
    devices: LastDevicesOption = None,
    profiles: ProfilesOption = None,
    budget_ms: Annotated[str | None, typer.Option(metavar="MS", help="Latency at most; a number or '50%'.")] = None,
    budget_gflops: Annotated[str | None, typer.Option(metavar="N", help="GFLOPs at most; a number or '50%'.")] = None,
    budget_mb: Annotated[str | None, typer.Option(metavar="MB", help="Peak memory at most; a number or '50%'.")] = None,
    budget: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COST=N", help=f"Any cost at most, such as size=50%: {', '.join(COSTS)}. May be given again."
        ),
    ] = None,
    budget_at: Annotated[
        BudgetEnd, typer.Option(help="Which point of a range must keep to the budget: its upper end, or its middle.")
    ] = BudgetEnd.high,
    min_accuracy: Annotated[
        str | None,
        typer.Option(metavar="N", help="Score at least so good: 97%, or a number in the unit of the task's metric."),
    ] = None,
    max_drop: Annotated[
        str | None,
        typer.Option(
            metavar="N", help="Score at most so much worse than the full model's: points, or a share of it such as 2%."
        ),
    ] = None,
    objectives: Annotated[
        str | None,
        typer.Option(
            metavar="KEY,KEY...",
            help=f"What to trade: {SCORE} and one or more of {', '.join(COSTS)}.",
            show_default=str(DEFAULT),
        ),
    ] = None,
    space: SpaceOption = TRAINED,
    precision: PrecisionOption = None,
    sampler: Annotated[
        SamplerName, typer.Option(help="auto takes all of a small space, and models the scores of a large one.")
    ] = SamplerName.auto,
    trials: Annotated[int, typer.Option(min=1, metavar="N", help="Submodels to score in a sampled space.")] = 100,
    split: Annotated[SplitName, typer.Option(help="Data to score on.")] = SplitName.validation,
    data: DataOption = None,
    data_dir: DataDirOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for the front.",
            show_default="front, or what is free in it; comparison with --compare",
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, metavar="N", help="Processes of this machine that score, one thread each.")
    ] = 1,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Storage for the scores that other machines reach, such as postgresql://me@server/studies.",
            show_default="a file in the folder of the front",
        ),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of the study in --storage.", show_default="SUPERNET-DEVICE"),
    ] = None,
    generation: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Submodels that are proposed together, at least one a worker.", show_default="8"
        ),
    ] = None,
    seed: SeedOption = 0,
    force: ForceOption = False,
    _family: FamilyOption = None,
    is_json: JsonOption = False,
) -> None:
    """Search the submodels and show the Pareto front.

    Submodels outside the budgets are not scored, and no submodel is scored twice: after an interrupt the same command
    goes on, and another budget is answered from the saved scores. Shares are of the full model. With several devices,
    each device gets a front in a folder of its name. One table, one page, one JSON file and one CSV file show the
    fronts side by side.

    A front holds the submodels that no other submodel beats in every objective. Other --objectives are answered from
    the saved scores, too. The first cost that you name orders the rows, and is the x axis of plots.

    With --workers, several processes score, and with --storage other machines can help by 'bstsearch worker'. What is
    found does not depend on how many there are, only on --generation, and comes in another order.

    Without --out, front/ holds the results. If it already holds those of another device, supernet, space or split, they
    stay, and the new ones go to front/DEVICE, front/DEVICE-2 and so on. Known accuracies are used again.

    \b
    Examples:
      bstsearch pareto
      bstsearch pareto --budget-ms 50%
      bstsearch pareto --objectives accuracy,latency,memory
      bstsearch pareto --min-accuracy 97%
      bstsearch pareto --precision float32,int8
      bstsearch pareto --device pixel7,raspberrypi4 --budget-ms 60
      bstsearch pareto --compare runs/a/front runs/b/front
    """
    from bstsearch.searching.budget import parse_bounds
    from bstsearch.searching.floor import Floor
    from bstsearch.searching.question import Question
    from bstsearch.searching.run import Request

    output = Output(is_json)
    bounds = parse_bounds({"latency": budget_ms, "gflops": budget_gflops, "memory": budget_mb}, budget or ())
    floor, keys = Floor.parse(min_accuracy, max_drop), None if objectives is None else Objectives.parse(objectives).keys
    if is_comparing or runs:
        _compare(
            context,
            runs or [],
            Question(bounds=bounds, budget_at=budget_at.value, objectives=keys, floor=floor),
            out or COMPARISON,
            output,
            is_comparing=is_comparing,
        )
        return
    names, memory = split_devices(devices) if devices is not None else [], Memory(output)
    supernet, profiles = supernet or memory.folder("supernet"), profiles or memory.folder("profiles")
    names = names or [memory.device() or _this_machine(supernet, profiles, memory, output)]
    request = Request(
        supernet=supernet or DEMO,
        profiles=profiles,
        bounds=bounds,
        budget_at=budget_at.value,
        objectives=keys or DEFAULT.keys,
        space=space,
        precisions=parse_precisions(precision),
        sampler=sampler.value,
        trials=trials,
        split=split.value,
        data=data,
        data_dir=data_dir,
        out=out,
        seed=seed,
        is_forced=force,
        workers=workers,
        storage=storage,
        study=study,
        generation=generation,
        floor=floor,
    )
    _show_all(_search(names, request, output), data, out or OUT, memory, output)


def _compare(
    context: typer.Context, runs: Sequence[Path], question: Question, out: Path, output: Output, *, is_comparing: bool
) -> None:
    """Lays finished fronts over each other."""
    _check_comparing(context, runs, is_comparing=is_comparing)
    compare_runs(runs, question, out, output)


def _show_all(found: Mapping[Path, FrontFile], data: str | None, out: Path, memory: Memory, output: Output) -> None:
    """One front by itself, several together."""
    from bstsearch.searching.comparison import compare

    if len(found) == 1:
        _show(found, data, memory, output)
    else:
        (path, file), *_ = found.items()
        show_together(compare(found), out, output)
        output.hint(f"next: {_next_command(file, path, data, memory)}")


def _check_comparing(context: typer.Context, runs: Sequence[Path], *, is_comparing: bool) -> None:
    """Refuses folders without --compare, and with it what finished fronts cannot be asked."""
    if not is_comparing:
        raise UsageError(f"{runs[0]}: folders of fronts are for --compare; add it")
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        if option.name not in ASKED and source is not None and source.name == "COMMANDLINE":
            raise UsageError(f"{option.opts[0]} is about a search, and --compare reads finished ones; leave it out")


def _search(names: Sequence[str], request: Request, output: Output) -> dict[Path, FrontFile]:
    """The front on each device by its file; each is reported as soon as it is there."""
    from bstsearch.report import write_reports
    from bstsearch.searching.run import search_devices

    files = {}
    with output.listening("searching") as listener:
        before = _Before(output, is_alone=len(names) == 1)
        for path, file in search_devices(names, request, listener, before, write_reports):
            files[path] = file
            if len(names) > 1:
                _finish(path, file, output)
    return files


class _Before:
    """Shows, before anything is scored, what the ends of the space cost on a device."""

    def __init__(self, output: Output, *, is_alone: bool) -> None:
        self._output, self._is_alone = output, is_alone

    def __call__(self, device: str, corners: Sequence[Candidate], budget: Budget) -> None:
        """The table, under the device's name where there are several."""
        from bstsearch.report.table import corner_table

        if not self._is_alone:
            self._output.text(f"\n{device}")
        show_table(corner_table(corners, budget), self._output)


def _this_machine(supernet: Path | None, profiles: Path | None, memory: Memory, output: Output) -> str:
    """The device that this machine is, which is measured first and remembered where that has never been done."""
    from bstsearch.measuring.run import profile_this_machine

    with output.listening("profile") as listener:
        is_new = profile_this_machine(read_folder(supernet or DEMO), profiles, listener)
    if is_new:
        memory.keep_profiled(LOCAL, profiles, supernet)
    return LOCAL


def _show(files: Mapping[Path, FrontFile], data: str | None, memory: Memory, output: Output) -> None:
    from bstsearch.report.table import front_table

    ((path, file),) = files.items()
    output.text()
    show_table(front_table(file), output)
    output.plot(file)
    _finish(path, file, output)
    output.hint(f"next: {_next_command(file, path, data, memory)}")
    output.json(file.to_json())


def _finish(path: Path, file: FrontFile, output: Output) -> None:
    """Draws the picture of `file`, when all else has been shown, and tells where everything lies."""
    from bstsearch.report import draw_report

    if problem := draw_report(file, path.parent):
        output.warning(problem)
    picture = "" if problem else "front.png, "
    output.note(f"written to {path.parent}: {path.name}, front.csv, {picture}front.html")


def _next_command(file: FrontFile, path: Path, data: str | None, memory: Memory) -> str:
    """The export of the recommended row, which the folder remembers from now on, to a place where nothing is."""
    from bstsearch.searching.pick import export_folder

    words = ["bstsearch", "export", "--pick", str(file.front.index(file.recommended) + 1)]
    if not memory.keep_front(path) or path.parent != OUT:
        words += ["--front", str(path)]
    if data is not None:
        words += ["--data", data]
    usual = export_folder(file.recommended)
    if (free := first_free(usual)) != usual:
        words += ["--out", str(free)]
    return shlex.join(words)
