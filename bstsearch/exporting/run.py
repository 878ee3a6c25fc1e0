"""A submodel picked from a front and exported (no torch until it is written)."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bstsearch.answering.exported_folder import MANIFEST, ONNX, ONNX_FILES
from bstsearch.holding import holding
from bstsearch.listener import SILENT, Listener
from bstsearch.searching.pick import Pick, export_folder, read_pick
from bstsearch.space import Precision
from bstsearch.space_names import TRAINED, check_precisions
from bstsearch.writing import as_path, check_free

if TYPE_CHECKING:
    from bstsearch.tasks.task import Task

FRONT = Path("front/front.json")
WHY_NOT = {
    ONNX_FILES["int8"]: "so small a model spends its time between the products",
    ONNX_FILES["float16"]: "on most processors ONNX Runtime computes in float32, and rounds after each operator",
}
FAR = 0.2  # a latency this far from the profile's is worth a warning


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exported:
    """The folder `path`, what was picked, and the manifest in the folder, which holds what the checks found."""

    path: Path
    pick: Pick = dataclasses.field(repr=False)
    manifest: Mapping[str, Any] = dataclasses.field(repr=False)

    @property
    def is_of_this_machine(self) -> bool:
        """Whether the profile was measured the way exports are checked: here, in ONNX Runtime."""
        device = self.manifest["device"]
        return device["obtained"] == "measured" and device.get("via") in (None, "local")

    def to_json(self) -> dict[str, Any]:
        """The manifest, and where the folder is."""
        return {"path": str(self.path), **self.manifest}


def export(
    pick: str | int = "recommended",
    *,
    front: Path | str = FRONT,
    space: str = TRAINED,
    profiles: Path | str | None = None,
    out: Path | str | None = None,
    data: str | type[Task] | None = None,
    precisions: Collection[Precision] = (),
    is_forced: bool = False,
    listener: Listener = SILENT,
) -> Exported:
    """Writes the picked submodel into the folder `out` (by default export/ID), whole or not at all, and checks it.

    `pick` is a row number of the front file, an id, or "recommended". An id may be any in `space`, a part of what the
    supernet was trained on (by default all of it); what the search has not scored is scored now, and costs what the
    front's device profile says, which is looked for in `profiles` first. `data` is the task that the front was scored
    for, where it is not known by the name that its supernet remembers.

    There is an ONNX file in float32, one in the picked precision, and one in each of `precisions`. What was written is
    read back: outputs must be torch's as far as a precision allows, and the score on the front's split that of the
    search, else BstsearchError. Latencies are measured, and the listener is warned of what is far from the profile, or
    was never measured. InputError where there is no such row, or the front is older than its supernet; UsageError where
    `out` is taken.
    """
    precisions = check_precisions(precisions)
    picked = read_pick(Path(front), str(pick), space=space, profiles=as_path(profiles))
    out = Path(out or export_folder(picked.candidate))
    with holding(out):
        check_free(out, marker=MANIFEST, is_forced=is_forced)
        listener.note(f"took {picked}")

        from bstsearch.exporting.write import scored, write_export  # loads torch, which refusals do without

        picked = scored(picked, data, listener)
        manifest = write_export(picked, out, data=data, precisions=precisions, is_forced=is_forced, listener=listener)
    exported = Exported(path=out, pick=picked, manifest=manifest)
    _tell(exported, listener)
    return exported


def _tell(exported: Exported, listener: Listener) -> None:
    """Tells what may be wrong with the latencies, and what was never measured."""
    checks, name = exported.manifest["checks"], exported.manifest["device"]["name"]
    own = ONNX_FILES[exported.pick.candidate.submodel.precision]
    ratio = checks[own]["latency"]["ratio"]
    if not exported.is_of_this_machine:
        listener.note(f"the latencies of the files are this machine's; {name} is another device")
    elif abs(ratio - 1) > FAR:
        listener.warning(
            f"{own} takes {ratio:.2g} times as long as the profile of {name} says: another machine, another load, "
            f"or an old profile; 'bstsearch profile --device {name} --via local' measures this machine"
        )
    for name, check in checks.items():
        if name != ONNX and check["latency"]["ms"] >= checks[ONNX]["latency"]["ms"]:
            listener.warning(f"{name} is no faster here than {ONNX}: {WHY_NOT[name]}")
    for claim in exported.manifest["not_measured"]:
        listener.warning(f"not measured: {claim}")
