"""Submodels as a page for browsers (no torch until a bundle is written)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bstsearch.answering.bundle_folder import read_bundle
from bstsearch.exporting.elastic import export_elastic
from bstsearch.exporting.page import PAGE, write_page
from bstsearch.exporting.run import FRONT
from bstsearch.holding import holding, scratch
from bstsearch.listener import SILENT, Listener
from bstsearch.measuring.drivers.browser.files import find_dist
from bstsearch.space_names import TRAINED
from bstsearch.writing import check_free

if TYPE_CHECKING:
    from bstsearch.tasks.task import Task

ORT_WEB = Path("node_modules/onnxruntime-web")  # where npm puts it


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportedPage:
    """The folder `path`, and the content of its page.json."""

    path: Path
    page: Mapping[str, Any] = dataclasses.field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """The content of page.json, and where the folder is."""
        return {"path": str(self.path), **self.page}


def export_web(
    out: Path | str,
    picks: Sequence[str | int] = (),
    *,
    bundle: Path | str | None = None,
    ort_web: Path | str = ORT_WEB,
    front: Path | str = FRONT,
    space: str = TRAINED,
    profiles: Path | str | None = None,
    data: str | type[Task] | None = None,
    is_forced: bool = False,
    listener: Listener = SILENT,
) -> ExportedPage:
    """Writes a page that asks the submodels of `bundle`, or of a front, about pictures into the folder `out`.

    onnxruntime-web is copied from the npm package at `ort_web`: the page fetches nothing but files of its folder.
    Without a bundle, one is made of a front; `picks` and the rest are as for `export_elastic`, and so are its errors.
    InputError where onnxruntime-web is not there, or the models answer no questions about pictures; UsageError where
    `out` is taken.
    """
    out, runtime = Path(out), find_dist(Path(ort_web), "wasm")
    with holding(out), scratch() as aside:
        check_free(out, marker=PAGE, is_forced=is_forced)
        if bundle is None:
            bundle = aside / "bundle"
            export_elastic(picks, front=front, space=space, profiles=profiles, out=bundle, data=data, listener=listener)
        page = write_page(read_bundle(Path(bundle)), out, runtime, is_forced=is_forced)
    return ExportedPage(path=out, page=page)
