"""`bstsearch space`: what every submodel costs, before there is a weight; and how long it takes on devices."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bstsearch.cli.candidates import known_costs
from bstsearch.cli.latencies import OnDevice, fit_everywhere, latencies_on
from bstsearch.cli.options import (
    BudgetEnd,
    FamilyOption,
    JsonOption,
    ProfilesOption,
    SetOption,
    SupernetOption,
    complete_device,
    split_devices,
)
from bstsearch.cli.output import Column, Output
from bstsearch.errors import UsageError
from bstsearch.model.supernet_folder import DEMO, SupernetFolder, read_folder

if TYPE_CHECKING:
    from bstsearch.model.cost_table import Cost
    from bstsearch.search.budget import Bound
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


@dataclasses.dataclass(frozen=True)
class _Counted:
    submodel: Submodel
    is_in_space: bool
    cost: Cost


def space(
    supernet: SupernetOption = DEMO,
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="Named configuration to count in place of a supernet.")
    ] = None,
    settings: SetOption = None,
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
        str | None, typer.Option(metavar="MS", help="Latency at most; a number or '50%'. Shows what keeps to it.")
    ] = None,
    budget_at: Annotated[
        BudgetEnd, typer.Option(help="What of a range must keep to a budget: its upper end, or its middle.")
    ] = BudgetEnd.high,
    _family: FamilyOption = None,
    is_json: JsonOption = False,
) -> None:
    """Count every submodel's parameters, MACs and FLOPs.

    No weights are needed and none are allocated, so published models of full size can be counted anywhere. FLOPs
    is two for each multiply-add (MAC), at batch 1. Sizes of a preset, as the number of tokens, are changed by --set.
    With --device, latencies and their ranges stand beside the counts, before anything is trained.

    \b
    Examples:
      bstsearch space
      bstsearch space --preset mcan-vqa-v2 --all
      bstsearch space --preset mcan-vqa-v2 --device pixel7,raspberrypi4 --budget-ms 60
      bstsearch space --preset uniter-base --set question_length=20 --set regions=36
    """
    output, names = Output(is_json), split_devices(devices) if devices is not None else []
    if budget_ms is not None and not names:
        raise UsageError("--budget-ms needs a device to keep to it on; give --device NAME ('bstsearch devices' lists)")
    bound = _bound(budget_ms)
    folder = _folder(supernet, preset, settings or [])
    counted = _counted(folder, output, is_all=is_all)
    submodels = [one.submodel for one in counted]
    found = latencies_on(names, folder, profiles, submodels, bound, is_middle=budget_at is BudgetEnd.middle)
    _show(output, folder, counted, found, is_all=is_all)
    if found:
        _show_verdict(output, found)
        words = _next_command(supernet, preset, settings or [], devices, profiles, budget_ms, budget_at)
        output.hint(f"next: {shlex.join(words)}")
    output.json(_json(folder, counted, found, budget_at.value))


def _bound(budget_ms: str | None) -> Bound | None:
    if budget_ms is None:
        return None
    from bstsearch.search.budget import Bound

    return Bound.parse(budget_ms, "--budget-ms")


def _folder(supernet: Path, preset: str | None, settings: list[str]) -> SupernetFolder:
    """The supernet's folder, or that which one of the preset would have."""
    from bstsearch.model.cost_table import shipped_preset

    if preset is None:
        if settings:
            raise UsageError("--set changes a preset; give --preset NAME (a supernet's sizes are those of its weights)")
        return read_folder(supernet)
    if supernet != DEMO:
        raise UsageError("--preset and --supernet name two models; give one of them")
    return (None if settings else shipped_preset(preset)) or _changed_preset(preset, settings)


def _changed_preset(preset: str, settings: list[str]) -> SupernetFolder:
    from bstsearch.model.family import changed, config_to_json, find_preset

    family, config = find_preset(preset)
    config = changed(family, config, settings)
    plain = json.loads(json.dumps(config_to_json(config)))
    return SupernetFolder(path=Path(preset), family=family.name, config=plain, space=family.space(config))


def _counted(folder: SupernetFolder, output: Output, *, is_all: bool) -> list[_Counted]:
    has_filter = folder.space.has_triangle_filter and not is_all
    grid = list(dataclasses.replace(folder.space, has_triangle_filter=has_filter).grid())
    costs, counted = known_costs(folder), []
    with output.progress("counting", total=len(grid)) as bar:
        for submodel in grid:
            counted.append(_Counted(submodel, submodel in folder.space, costs.cost(submodel)))
            bar.advance()
    return counted


def _show(
    output: Output, folder: SupernetFolder, counted: list[_Counted], found: Sequence[OnDevice], *, is_all: bool
) -> None:
    columns = [*(FEW_COLUMNS if found else COLUMNS), *(column for device in found for column in device.columns)]
    rows = [
        [*(_few_cells(one) if found else _cells(one, counted[-1].cost)), *_device_cells(one, found)] for one in counted
    ]
    if is_all:
        columns.append(Column("in the\nspace"))
        rows = [[*row, "yes" if one.is_in_space else "-"] for row, one in zip(rows, counted, strict=True)]
    output.table(columns, rows, title=f"{folder.path.name}: {len(rows)} submodels, batch 1, float32")
    if fixed := known_costs(folder).fixed_macs:
        output.text(f"each of them: {fixed:,} MACs in the part that is never slimmed")


def _cells(one: _Counted, full: Cost) -> list[str]:
    return [
        one.submodel.id,
        f"{one.cost.parameters:,}",
        f"{one.cost.parameters / full.parameters:.4f}",
        f"{one.cost.macs:,}",
        f"{one.cost.gflops:.4f}",
        f"{one.cost.macs / full.macs:.4f}",
        f"{one.cost.size_bytes / 1e6:.1f}",
    ]


def _few_cells(one: _Counted) -> list[str]:
    from bstsearch.profiles.latency import digits

    return [one.submodel.id, digits(one.cost.parameters / 1e6), digits(one.cost.gflops)]


def _device_cells(one: _Counted, found: Sequence[OnDevice]) -> list[str]:
    return [cell for device in found for cell in device.cells(one.submodel)]


def _show_verdict(output: Output, found: Sequence[OnDevice]) -> None:
    for device in found:
        if device.limit_ms is not None:
            output.text(device.verdict)
        for warning in device.warnings:
            output.warning(warning)
    if len(found) > 1 and found[0].limit_ms is not None:
        output.text(f"on all {len(found)}: {', '.join(one.id for one in fit_everywhere(found)) or 'none'}")


def _next_command(
    supernet: Path,
    preset: str | None,
    settings: list[str],
    devices: str | None,
    profiles: Path | None,
    budget_ms: str | None,
    budget_at: BudgetEnd,
) -> list[str]:
    """Training the preset, or searching the supernet with what was asked for here."""
    from bstsearch.tasks import PACKAGED, data_of_preset

    if preset is not None:
        data = data_of_preset(preset)
        words = ["bstsearch", "train", "--preset", preset, *(word for text in settings for word in ("--set", text))]
        where = [] if data in PACKAGED else ["--data-dir", "DIR"]
        return [*words, "--out", f"runs/{preset}", *([] if data else ["--data", "NAME"]), *where]
    options: dict[str, object] = {
        "--supernet": None if supernet == DEMO else supernet,
        "--device": devices,
        "--profiles": profiles,
        "--budget-ms": budget_ms,
        "--budget-at": None if budget_at is BudgetEnd.high else budget_at.value,
    }
    given = [word for name, value in options.items() if value is not None for word in (name, str(value))]
    return ["bstsearch", "pareto", *given]


def _json(folder: SupernetFolder, counted: list[_Counted], found: Sequence[OnDevice], budget_at: str) -> dict[str, Any]:
    full = counted[-1].cost
    return {
        "model": folder.path.name,
        "family": folder.family,
        "config": dict(folder.config),
        "fixed_macs": known_costs(folder).fixed_macs,
        "budget_at": budget_at,
        "devices": [
            {"name": one.name, "obtained": one.obtained, "budget_ms": one.limit_ms, "warnings": list(one.warnings)}
            for one in found
        ],
        "submodels": [
            {
                "id": one.submodel.id,
                "is_in_space": one.is_in_space,
                "parameters": one.cost.parameters,
                "parameters_ratio": one.cost.parameters / full.parameters,
                "macs": one.cost.macs,
                "macs_ratio": one.cost.macs / full.macs,
                "gflops": one.cost.gflops,
                "size_bytes": one.cost.size_bytes,
                "latencies": {device.name: device.to_json(one.submodel) for device in found},
            }
            for one in counted
        ],
    }
