"""`bstsearch space`: what every submodel costs, before there is a weight; and how long it takes on devices."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bstsearch.cli.options import (
    BudgetEnd,
    FamilyOption,
    JsonOption,
    ProfilesOption,
    SetOption,
    SpaceOption,
    SupernetOption,
    complete_device,
    split_devices,
)
from bstsearch.cli.output import Column, Output
from bstsearch.errors import UsageError
from bstsearch.model.supernet_folder import DEMO, SupernetFolder, read_folder
from bstsearch.space_names import TRAINED, describe

if TYPE_CHECKING:
    from bstsearch.model.cost import Cost
    from bstsearch.searching.counted_space import Counted, CountedSpace, OnDevice
    from bstsearch.space import Submodel

COLUMNS = (
    Column("id"),
    Column("params", is_number=True, rank=1),
    Column("params\nof full", is_number=True, rank=4),
    Column("MACs", is_number=True, rank=2),
    Column("GFLOPs", is_number=True),
    Column("MACs\nof full", is_number=True, rank=3),
    Column("size", "MB", is_number=True, rank=5),
)
# Beside latencies, so that two devices fit into 80 columns.
FEW_COLUMNS = (Column("id"), Column("params", "M", is_number=True), Column("GFLOPs", is_number=True))


def space(
    supernet: SupernetOption = DEMO,
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="Named configuration to count in place of a supernet.")
    ] = None,
    settings: SetOption = None,
    part: SpaceOption = TRAINED,
    is_all: Annotated[
        bool, typer.Option("--all", help="Also count the wide and shallow submodels that the space leaves out.")
    ] = False,
    devices: Annotated[
        str | None,
        typer.Option(
            "--device",
            metavar="NAME[,NAME...]",
            help="Show latencies on these devices, too.",
            autocompletion=complete_device,
        ),
    ] = None,
    profiles: ProfilesOption = None,
    budget_ms: Annotated[
        str | None,
        typer.Option(metavar="MS", help="Latency at most; a number or '50%'. Shows which submodels keep to it."),
    ] = None,
    budget_at: Annotated[
        BudgetEnd, typer.Option(help="Which point of a range must keep to the budget: its upper end, or its middle.")
    ] = BudgetEnd.high,
    _family: FamilyOption = None,
    is_json: JsonOption = False,
) -> None:
    """Count the submodels' parameters, MACs and FLOPs.

    No weights are needed and none are allocated, so published models of full size can be counted anywhere. FLOPs are
    two for each multiply-add (MAC), at batch 1. --set changes a size of a preset, such as the number of tokens. With
    --device, the table also shows latencies and their ranges; nothing has to be trained for that.

    An elastic space (--space elastic) has too many submodels for a table. It shows those whose layers are alike, then
    the smallest, the middle and the largest one, and some drawn at random.

    \b
    Examples:
      bstsearch space
      bstsearch space --preset mcan-vqa-v2 --all
      bstsearch space --preset mcan-vqa-v2 --space elastic
      bstsearch space --preset mcan-vqa-v2 --device pixel7,raspberrypi4 --budget-ms 60
      bstsearch space --preset uniter-base --set question_length=20 --set regions=36
    """
    from bstsearch.searching.counted_space import count_space

    output, names = Output(is_json), split_devices(devices) if devices is not None else []
    if budget_ms is not None and not names:
        raise UsageError("--budget-ms needs a device to keep to it on; give --device NAME ('bstsearch devices' lists)")
    folder = _folder(supernet, preset, settings or [], part)
    with output.listening("counting") as listener:
        found = count_space(
            folder,
            names,
            profiles=profiles,
            budget_ms=budget_ms,
            budget_at=budget_at.value,
            is_all=is_all,
            listener=listener,
        )
    _show(output, found, is_all=is_all)
    if found.devices:
        _show_verdict(output, found)
        words = _next_command(supernet, preset, settings or [], part, devices, profiles, budget_ms, budget_at)
        output.hint(f"next: {shlex.join(words)}")
    output.json(found.to_json())


def _folder(supernet: Path, preset: str | None, settings: list[str], part: str) -> SupernetFolder:
    """The supernet's folder, or that which one of the preset would have, with the space that is asked for."""
    from bstsearch.model.preset_folder import preset_folder

    if preset is None:
        if settings:
            raise UsageError("--set changes a preset; give --preset NAME (a supernet's sizes are those of its weights)")
        return read_folder(supernet).part(part)
    if supernet != DEMO:
        raise UsageError("--preset and --supernet name two models; give one of them")
    return preset_folder(preset, settings, part)


def _show(output: Output, found: CountedSpace, *, is_all: bool) -> None:
    columns = [*(FEW_COLUMNS if found.devices else COLUMNS)]
    rows = [_few_cells(one) if found.devices else _cells(one, found.full) for one in found.rows]
    for device in found.devices:
        columns += _device_columns(device)
        rows = [[*row, *_device_cells(device, one.submodel)] for row, one in zip(rows, found.rows, strict=True)]
    if is_all:
        columns.append(Column("in the\nspace"))
        rows = [[*row, "yes" if one.is_in_space else "-"] for row, one in zip(rows, found.rows, strict=True)]
    output.table(columns, rows, title=f"{found.title}, batch 1, float32")
    if found.space.is_elastic:
        output.text(describe(found.space))
        output.text("; ".join(f"{name}: {one.id}" for name, one in found.corners.items()))
    if fixed := found.fixed_macs:
        output.text(f"each of them: {fixed:,} MACs in the part that is never slimmed")


def _cells(one: Counted, full: Cost) -> list[str]:
    return [
        one.submodel.id,
        f"{one.cost.parameters:,}",
        f"{one.cost.parameters / full.parameters:.4f}",
        f"{one.cost.macs:,}",
        f"{one.cost.gflops:.4f}",
        f"{one.cost.macs / full.macs:.4f}",
        f"{one.cost.size_bytes / 1e6:.1f}",
    ]


def _few_cells(one: Counted) -> list[str]:
    from bstsearch.profiles.latency import digits

    return [one.submodel.id, digits(one.cost.parameters / 1e6), digits(one.cost.gflops)]


def _device_columns(device: OnDevice) -> list[Column]:
    """Latency and, with a budget, whether it is kept."""
    from bstsearch.profiles.latency import digits

    sources = " or\n".join(sorted({latency.source for latency in device.latencies.values()}))
    latency = Column(f"{device.name}\n{sources}", "ms", is_number=True)
    return [latency] if device.limit_ms is None else [latency, Column(f"<= {digits(device.limit_ms)}", "ms")]


def _device_cells(device: OnDevice, submodel: Submodel) -> list[str]:
    """What stands in these columns."""
    from bstsearch.profiles.latency import range_text

    latency = range_text(device.latencies[submodel])
    return [latency] if device.limit_ms is None else [latency, "yes" if device.fits(submodel) else "no"]


def _show_verdict(output: Output, found: CountedSpace) -> None:
    for device in found.devices:
        if device.limit_ms is not None:
            output.text(device.verdict)
        for warning in device.warnings:
            output.warning(warning)
    if len(found.devices) > 1 and found.devices[0].limit_ms is not None:
        everywhere = ", ".join(one.id for one in found.fit_everywhere) or "none"
        output.text(f"on all {len(found.devices)}: {everywhere}")


def _next_command(
    supernet: Path,
    preset: str | None,
    settings: list[str],
    part: str,
    devices: str | None,
    profiles: Path | None,
    budget_ms: str | None,
    budget_at: BudgetEnd,
) -> list[str]:
    """Training the preset, or searching the supernet with what was asked for here."""
    from bstsearch.tasks import ON_DISK, data_of_preset

    if preset is not None:
        data = data_of_preset(preset)
        words = ["bstsearch", "train", "--preset", preset, *(word for text in settings for word in ("--set", text))]
        where = ["--data-dir", "DIR"] if data in (None, *ON_DISK) else []
        words += [] if part == TRAINED else ["--space", part]
        return [*words, "--out", f"runs/{preset}", *([] if data else ["--data", "NAME"]), *where]
    options: dict[str, object] = {
        "--supernet": None if supernet == DEMO else supernet,
        "--space": None if part == TRAINED else part,
        "--device": devices,
        "--profiles": profiles,
        "--budget-ms": budget_ms,
        "--budget-at": None if budget_at is BudgetEnd.high else budget_at.value,
    }
    given = [word for name, value in options.items() if value is not None for word in (name, str(value))]
    return ["bstsearch", "pareto", *given]
