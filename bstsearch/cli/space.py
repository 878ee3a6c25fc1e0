"""`bstsearch space`: what every submodel costs on any device, before there is a weight or a device."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bstsearch.cli.options import JsonOption, SetOption, SupernetOption
from bstsearch.cli.output import Column, Output
from bstsearch.errors import UsageError
from bstsearch.folder import DEMO, read_folder

if TYPE_CHECKING:
    from bstsearch.cost import Cost
    from bstsearch.family import Config, Family
    from bstsearch.space import Space

COLUMNS = (
    Column("id"),
    Column("params", is_number=True, rank=1),
    Column("params\nof full", is_number=True, rank=4),
    Column("MACs", is_number=True, rank=2),
    Column("GFLOPs", is_number=True),
    Column("MACs\nof full", is_number=True, rank=3),
    Column("size", "MB", is_number=True, rank=5),
)


@dataclasses.dataclass(frozen=True)
class _Counted:
    id: str
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
    is_json: JsonOption = False,
) -> None:
    """Count every submodel's parameters, MACs and FLOPs.

    No weights are needed and none are allocated, so published models of full size can be counted anywhere. FLOPs
    is two for each multiply-add (MAC), at batch 1. Sizes of a preset, as the number of tokens, are changed by --set.

    \b
    Examples:
      bstsearch space
      bstsearch space --preset mcan-vqa-v2 --all
      bstsearch space --preset uniter-base --set question_length=20 --set regions=36
    """
    from bstsearch.cost import fixed_macs

    output = Output(is_json)
    name, family, config, trained = _model(supernet, preset, settings or [])
    listed = dataclasses.replace(trained, has_triangle_filter=trained.has_triangle_filter and not is_all)
    with output.progress("counting", total=len(list(listed.grid()))) as bar:
        counted = []
        for submodel in listed.grid():
            counted.append(_count(family, config, trained, submodel))
            bar.advance()
    fixed = fixed_macs(family, config)
    _show(output, name, counted, fixed, is_all=is_all)
    output.json(_json(name, family, config, counted, fixed))


def _model(supernet: Path, preset: str | None, settings: list[str]) -> tuple[str, Family, Config, Space]:
    from bstsearch.family import changed, find_preset, restored

    if preset is not None:
        if supernet != DEMO:
            raise UsageError("--preset and --supernet name two models; give one of them")
        family, config = find_preset(preset)
        config = changed(family, config, settings)
        return preset, family, config, family.space(config)
    if settings:
        raise UsageError("--set changes a preset; give --preset NAME (a supernet's sizes are those of its weights)")
    folder = read_folder(supernet)
    return supernet.name, *restored(folder.family, folder.config), folder.space


def _count(family: Family, config: Config, trained: Space, submodel: Any) -> _Counted:
    from bstsearch.cost import count

    return _Counted(submodel.id, submodel in trained, count(family, config, submodel))


def _show(output: Output, name: str, counted: list[_Counted], fixed: int, *, is_all: bool) -> None:
    full = counted[-1].cost
    columns = (*COLUMNS, Column("in the\nspace")) if is_all else COLUMNS
    rows = [
        [
            one.id,
            f"{one.cost.parameters:,}",
            f"{one.cost.parameters / full.parameters:.4f}",
            f"{one.cost.macs:,}",
            f"{one.cost.gflops:.4f}",
            f"{one.cost.macs / full.macs:.4f}",
            f"{one.cost.size_bytes / 1e6:.1f}",
            *([("yes" if one.is_in_space else "-")] if is_all else []),
        ]
        for one in counted
    ]
    output.table(columns, rows, title=f"{name}: {len(rows)} submodels, batch 1, float32")
    if fixed:
        output.text(f"each of them: {fixed:,} MACs in the part that is never slimmed")


def _json(name: str, family: Family, config: Config, counted: list[_Counted], fixed: int) -> dict[str, Any]:
    from bstsearch.family import config_to_json

    full = counted[-1].cost
    return {
        "model": name,
        "family": family.name,
        "config": config_to_json(config),
        "fixed_macs": fixed,
        "submodels": [
            {
                "id": one.id,
                "is_in_space": one.is_in_space,
                "parameters": one.cost.parameters,
                "parameters_ratio": one.cost.parameters / full.parameters,
                "macs": one.cost.macs,
                "macs_ratio": one.cost.macs / full.macs,
                "gflops": one.cost.gflops,
                "size_bytes": one.cost.size_bytes,
            }
            for one in counted
        ],
    }
