"""Rows of a front, exported over one file of weights (no torch until it is written)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bstsearch.answering.bundle_folder import ELASTIC
from bstsearch.errors import InputError
from bstsearch.exporting.run import FRONT
from bstsearch.holding import holding
from bstsearch.listener import SILENT, Listener
from bstsearch.model.supernet_folder import SupernetFolder, read_folder
from bstsearch.profiles.latency import Latency
from bstsearch.profiles.profile_file import load_profile
from bstsearch.profiles.stored import profile_folders, shipped_folder, stored_profiles
from bstsearch.searching.pick import Pick, read_rows
from bstsearch.searching.pricing import make_table
from bstsearch.space_names import TRAINED
from bstsearch.writing import as_path, check_free

if TYPE_CHECKING:
    from bstsearch.tasks.task import Task

BUNDLE = Path("export/elastic")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportedBundle:
    """The folder `path`, and the content of its elastic.json."""

    path: Path
    elastic: Mapping[str, Any] = dataclasses.field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """The content of elastic.json, and where the folder is."""
        return {"path": str(self.path), **self.elastic}


def export_elastic(
    picks: Sequence[str | int] = (),
    *,
    front: Path | str = FRONT,
    space: str = TRAINED,
    profiles: Path | str | None = None,
    out: Path | str | None = None,
    data: str | type[Task] | None = None,
    is_forced: bool = False,
    listener: Listener = SILENT,
) -> ExportedBundle:
    """Writes these rows of a front, or all, into the folder `out` (by default export/elastic), checked, or nothing.

    `picks` are row numbers or ids of the front file; each row is in the precision that it was picked in. Latencies are
    those of the front's device, and of every profile in `profiles` that was measured on this supernet; one that cannot
    tell them of all rows is left out, which the listener hears. `data` is as for `export`. InputError where there is no
    such row, or the front is older than its supernet; UsageError where `out` is taken; BstsearchError where a check
    finds what only a bug can bring about.
    """
    rows = read_rows(Path(front), [str(pick) for pick in picks], space=space)
    out = Path(out or BUNDLE)
    with holding(out):
        check_free(out, marker=ELASTIC, is_forced=is_forced)
        latencies = _latencies(rows, as_path(profiles), listener)
        listener.note(f"took {len(rows)} rows of {front}; latencies on {', '.join(latencies[rows[0].candidate.id])}")

        from bstsearch.exporting.bundle import write_bundle  # loads torch, which refusals do without

        elastic = write_bundle(rows, out, latencies, data=data, is_forced=is_forced, listener=listener)
    return ExportedBundle(path=out, elastic=elastic)


def _latencies(rows: Sequence[Pick], profiles: Path | None, listener: Listener) -> dict[str, dict[str, Latency]]:
    """Submodel's id -> device -> latency: the front's device first, then others that were measured on the supernet."""
    origin = rows[0].front.origin
    own = str(origin.device["name"])
    found = {pick.candidate.id: {own: pick.candidate.latency} for pick in rows}
    folder = read_folder(Path(origin.supernet["path"]))
    for device, path in sorted(_stored(profiles).items()):
        try:
            times = {} if device == own else _times(rows, folder, path)
        except InputError as error:
            listener.note(f"left out latencies on {device}: {error}")
            continue
        for name, latency in times.items():
            found[name][device] = latency
    return found


def _stored(profiles: Path | None) -> dict[str, Path]:
    """The user's own profiles, by device."""
    return stored_profiles([place for place in profile_folders(profiles) if place != shipped_folder()])


def _times(rows: Sequence[Pick], folder: SupernetFolder, path: Path) -> dict[str, Latency]:
    """Submodel's id -> latency; empty where the device never ran this architecture, InputError where a row lacks."""
    profile = load_profile(path)
    if all(model.architecture != folder.architecture for model in profile.models):
        return {}
    table = make_table(folder, profile)
    return {pick.candidate.id: table.latency(pick.candidate.submodel) for pick in rows}
