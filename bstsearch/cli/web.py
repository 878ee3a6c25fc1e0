"""`bstsearch export --web`: submodels as a page for browsers."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bstsearch.cli.elastic import check_alone, export_bundle, picks_of
from bstsearch.cli.output import Column, Output
from bstsearch.cli.remembered import Memory
from bstsearch.errors import UsageError

if TYPE_CHECKING:
    from bstsearch.exporting.web import ExportedPage


def get_writer(
    web: Path | None,
    bundle: Path | None,
    ort_web: Path | None,
    of_front: Mapping[str, object],
    **others: object,
) -> Callable[..., None]:
    """What writes many submodels as `bstsearch export` was asked to: a bundle, or a page; UsageError where neither.

    `of_front` are by name the options about a front, `others` those that no page has.
    """
    if web is None and bundle is not None:
        raise UsageError("--bundle says what a page is made of; give --web, too")
    if web is None and ort_web is not None:
        raise UsageError("--ort-web says what a page runs with; give --web, too")
    if web is None:
        check_alone(others["precision"], others["stock"])
        return export_bundle
    if bundle is not None and (given := [name for name, value in of_front.items() if value]):
        raise UsageError(f"--{given[0]} is about a front; leave out --{given[0]} or --bundle")
    if given := [name for name, value in others.items() if value]:
        raise UsageError(f"--web writes a page into its folder; leave out --{given[0]}")
    return functools.partial(_export_page, bundle, ort_web)


def _export_page(
    bundle: Path | None,
    ort_web: Path | None,
    picks: str | None,
    front: Path | None,
    web: Path,
    space: str,
    profiles: Path | None,
    data: str | None,
    *,
    is_forced: bool,
    is_json: bool,
) -> None:
    """Writes the page, and shows what is in it; the options are those of `bstsearch export`."""
    from bstsearch.exporting.run import FRONT
    from bstsearch.exporting.web import ORT_WEB, export_web

    output = Output(is_json)
    memory = Memory(output)
    with output.listening("reading") as listener:
        exported = export_web(
            web,
            picks_of(picks),
            bundle=bundle,
            ort_web=ort_web or ORT_WEB,
            front=front or memory.front or FRONT,
            space=space,
            profiles=profiles if bundle else profiles or memory.folder("profiles"),
            data=data,
            is_forced=is_forced,
            listener=listener,
        )
    _show(output, exported)
    output.hint(f"next: python -m http.server --directory {shlex.quote(str(exported.path))}")


def _show(output: Output, exported: ExportedPage) -> None:
    """One row for each submodel, with what a browser fetches to run it."""
    members, whole = exported.page["submodels"], exported.page["weights"]["bytes"]
    rows = [
        [one["id"], one["score"], f"{one['ms']:.3g}", f"{one['bytes'] / 1e3:.0f}", f"{100 * one['bytes'] / whole:.0f}"]
        for one in members
    ]
    columns = [
        Column("id"),
        Column("score", is_number=True),
        Column("latency", f"ms on {exported.page['device']}", is_number=True),
        Column("to fetch", "kB", is_number=True),
        Column("of the\nweights", "%", is_number=True),
    ]
    noun = "submodel" if len(rows) == 1 else "submodels"
    output.table(columns, rows, title=f"{len(rows)} {noun} in the page {exported.path}")
    output.json(exported.to_json())
