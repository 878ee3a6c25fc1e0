"""`bstsearch export --elastic`: many submodels over one file of weights."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from bstsearch.answering.exported_folder import metric_of
from bstsearch.cli.output import Column, Output
from bstsearch.cli.remembered import Memory
from bstsearch.errors import UsageError

if TYPE_CHECKING:
    from bstsearch.exporting.elastic import ExportedBundle


def check_alone(precision: object, stock: object) -> None:
    """Passes where neither a precision nor a stock folder was asked for; else UsageError."""
    if precision is not None:
        raise UsageError("--elastic writes each row in its own precision; leave out --precision")
    if stock is not None:
        raise UsageError("--elastic writes rows of a front, --stock one submodel; leave out one of them")


def picks_of(picks: str | None) -> list[str]:
    """The rows and ids in a list such as 1,3,5; none where nothing was picked."""
    return [] if picks is None else [name.strip() for name in picks.split(",")]


def export_bundle(
    picks: str | None,
    front: Path | None,
    out: Path | None,
    space: str,
    profiles: Path | None,
    data: str | None,
    *,
    is_forced: bool,
    is_json: bool,
) -> None:
    """Writes the bundle, and shows what is in it; the options are those of `bstsearch export`."""
    from bstsearch.exporting.elastic import export_elastic
    from bstsearch.exporting.run import FRONT

    output = Output(is_json)
    memory = Memory(output)
    with output.listening("reading") as listener:
        exported = export_elastic(
            picks_of(picks),
            front=front or memory.front or FRONT,
            space=space,
            profiles=profiles or memory.folder("profiles"),
            out=out,
            data=data,
            is_forced=is_forced,
            listener=listener,
        )
    _show(output, exported)
    smallest = exported.elastic["submodels"][0]["id"]
    folder = shlex.quote(str(exported.path / "run.py"))
    output.hint(f"next: python {folder} {shlex.quote(str(exported.path / 'sample.json'))} --submodel {smallest}")


def _show(output: Output, exported: ExportedBundle) -> None:
    """One row for each submodel, and what all of them take."""
    elastic = exported.elastic
    metric, sizes = metric_of(elastic), elastic["sizes"]
    rows = [
        [
            str(one["row"]),
            one["id"],
            metric.text(one["accuracy"]["value"]),
            f"{one['bytes'] / 1e3:.1f}",
            f"{one['check']['ms']:.3g}",
            f"{one['check']['ms_alone']:.3g}",
            f"{one['check']['ratio']:.2f}",
        ]
        for one in elastic["submodels"]
    ]
    columns = [
        Column("row", is_number=True),
        Column("id"),
        Column(metric.name, metric.unit, is_number=True),
        Column("graph", "kB", is_number=True),
        Column("latency", "ms", is_number=True),
        Column("own file", "ms", is_number=True),
        Column("ratio", is_number=True),
    ]
    noun = "submodel" if len(rows) == 1 else "submodels"
    output.table(columns, rows, title=f"{len(rows)} {noun} in {exported.path}; outputs equal to those of own files")
    output.text()
    output.text(
        f"weights {sizes['weights'] / 1e3:,.0f} kB, graphs {sizes['graphs'] / 1e3:,.0f} kB: {sizes['ratio']:.3f} times "
        f"the full model's file; own files {sizes['alone'] / sizes['full_export']:.2f} times"
    )
    output.json(exported.to_json())
