"""A bundle as a page: a folder of static files that any server can hold, and that needs no other (no torch)."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

import msgspec

from bstsearch.answering.bundle_folder import WEIGHTS, BundleFolder, Member
from bstsearch.answering.exported_folder import PREPROCESSOR, SAMPLE, TOKENIZER
from bstsearch.errors import InputError
from bstsearch.graphs.live_bytes import read_spans
from bstsearch.measuring.drivers.browser.files import PROVIDERS
from bstsearch.reading import FileName, read_json
from bstsearch.score import ACCURACY, Metric
from bstsearch.writing import write_json, writing_folder

FORMAT = 1
PAGE = "page.json"
PARTS = Path(__file__).with_name("html")
# onnxruntime-web as the page needs it: on the processor, which runs everywhere.
RUNTIME = PROVIDERS["wasm"]
# What says how a picture and a question become inputs, and an output an answer.
VOCABULARY = "vocabulary.json"
READ = (PREPROCESSOR, SAMPLE, VOCABULARY, TOKENIZER)
GAP = 16_384  # bytes; to fetch so few that nothing reads takes less time than another request


class _Preprocessor(msgspec.Struct):
    """What is read of a `preprocessor.json`."""

    picture: dict[str, Any] | None
    text: dict[str, Any] | None


class _Graph(msgspec.Struct):
    file: FileName


class _Page(msgspec.Struct):
    """What is read of a `page.json`."""

    submodels: list[_Graph]


def write_page(bundle: BundleFolder, out: Path, runtime: Path, *, is_forced: bool = False) -> dict[str, Any]:
    """Writes the folder `out`, whole or not at all; returns what its page.json says.

    `runtime` is the folder of the files `RUNTIME`. InputError where the models read no picture with a question.
    """
    _check_asked(bundle)
    page, graphs = _page_json(bundle), [one.file for one in bundle.bundle.submodels]
    names = [WEIGHTS, *graphs, *(name for name in READ if name in bundle.bundle.files)]
    parts = [path.name for path in PARTS.iterdir()]
    own = {PAGE, *parts, *RUNTIME, WEIGHTS, *READ, *_graphs_in(out)}
    with writing_folder(out, marker=PAGE, own=own, is_forced=is_forced) as folder:
        for source, files in ((bundle.path, names), (PARTS, parts), (runtime, RUNTIME)):
            for name in files:
                shutil.copyfile(source / name, folder / name)
        write_json(folder / PAGE, page)
    return page


def _graphs_in(out: Path) -> list[str]:
    """The graphs of the page that is at `out` already; none where it cannot be read."""
    with contextlib.suppress(InputError):
        return [one.file for one in read_json(out / PAGE, _Page).submodels]
    return []


def _check_asked(bundle: BundleFolder) -> None:
    """Passes where the models answer questions about pictures; else InputError."""
    path = bundle.path / PREPROCESSOR
    found = read_json(path, _Preprocessor)
    if found.picture is None or found.text is None or VOCABULARY not in bundle.bundle.files:
        raise InputError(f"{path}: the models do not answer questions about pictures, which is all that a page can ask")


def _page_json(bundle: BundleFolder) -> dict[str, Any]:
    """The content of page.json: of each submodel what the page shows, and which bytes of the weights it reads."""
    device = next(iter(bundle.bundle.submodels[0].latencies))
    return {
        "format": FORMAT,
        "device": device,
        "weights": {"bytes": (bundle.path / WEIGHTS).stat().st_size, "version": _version(bundle, WEIGHTS)},
        "files": {name: _version(bundle, name) for name in READ if name in bundle.bundle.files},
        "submodels": [_member_json(bundle, one, device) for one in bundle.bundle.submodels],
    }


def _member_json(bundle: BundleFolder, one: Member, device: str) -> dict[str, Any]:
    metric = ACCURACY if bundle.bundle.metric is None else Metric.from_json(bundle.bundle.metric)
    spans = read_spans(bundle.path / one.file, gap=GAP)
    return {
        "id": one.id,
        "file": one.file,
        "version": _version(bundle, one.file),
        "parameters": one.parameters,
        "score": metric.words(one.accuracy.value),
        "goodness": -metric.loss(one.accuracy.value),
        "ms": one.latencies[device].ms,
        "bytes": (bundle.path / one.file).stat().st_size + sum(end - start for start, end in spans),
        "spans": spans,
        "tolerance": one.tolerance,
    }


def _version(bundle: BundleFolder, name: str) -> str:
    """What changes with a file, so that no browser takes an old one that it kept for the new one."""
    return bundle.bundle.files[name].sha256[:16]
