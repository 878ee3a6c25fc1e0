"""The files that a page may ask for, by name: itself, the graphs, their inputs, and onnxruntime-web (no torch)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bstsearch.errors import InputError
from bstsearch.measuring.driver import Workload

ORT_VERSION = "1.30.0"
ORT_CDN = f"https://cdn.jsdelivr.net/npm/onnxruntime-web@{ORT_VERSION}/dist/"
# SHA-384 of the files of that version; the browser refuses what differs.
_INTEGRITY = {
    "ort.wasm.bundle.min.mjs": "PLWz+nHEVHpjwBsO0YVdvQj6n5814Iv8E3b8FG0Rp/uIAtjFMCKOpP66iPzedrIG",
    "ort-wasm-simd-threaded.wasm": "vjBJ1z7qrhkTyYsNqKeF6c7N+nOJSU94czEo+tvZcu8G75JparGq9kB+kTnEUNVM",
    "ort.webgpu.bundle.min.mjs": "1ntMeyj+z5diX6vBR5h+zlJBPc4iNvhCxE6nlammh8daBYcLBZkzrwDkuJjhwI+f",
    "ort-wasm-simd-threaded.asyncify.wasm": "EPVDLTxuO663dkZO/pcKJF6vOyyfq/5z9FY1oksN0UWFX2ABH4wDDZQHeNoUleWR",
}
# Provider -> the script and the WASM file that it takes.
PROVIDERS = {
    "wasm": ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"),
    "webgpu": ("ort.webgpu.bundle.min.mjs", "ort-wasm-simd-threaded.asyncify.wasm"),
}

_PAGE = Path(__file__).parent / "page"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".wasm": "application/wasm",
}
_ARRAYS = {"int64", "int32", "uint8", "float32", "bool"}


@dataclass(frozen=True, kw_only=True)
class ServedFile:
    """One file to serve: in memory, or on disk."""

    content: bytes | Path
    type: str = "application/octet-stream"

    def read(self) -> bytes:
        """Its bytes."""
        return self.content.read_bytes() if isinstance(self.content, Path) else self.content


@dataclass(frozen=True, kw_only=True)
class OrtFile:
    """Where a page finds one file of onnxruntime-web, and what it must hash to (null: anything)."""

    url: str
    integrity: str | None


def graph_name(number: int) -> str:
    """The name under which a workload's graph of that number is served."""
    return f"{number}.onnx"


def workload_files(workload: Workload) -> dict[str, ServedFile]:
    """The graphs and their inputs, by name under the token."""
    graphs = {graph_name(number): _on_disk(graph.path) for number, graph in enumerate(workload.graphs.values())}
    return {"inputs.bin": ServedFile(content=read_inputs(workload.inputs)[1]), **graphs}


def page_files(ort: Path | None, provider: str) -> dict[str, ServedFile]:
    """The page and what runs in it, by name under the token; InputError where onnxruntime-web is not in `ort`."""
    names = ["index.html", "page.css", "page.js", "screen.js", "worker.js"]
    files = {name: _on_disk(_PAGE / name) for name in names}
    files[""] = files.pop("index.html")
    if ort:
        folder = find_dist(ort, provider)
        files |= {f"ort/{name}": _on_disk(folder / name) for name in PROVIDERS[provider]}
    return files


def ort_files(ort: Path | None, provider: str) -> dict[str, OrtFile]:
    """The "script" and the "wasm" of onnxruntime-web: from our own server where there is `ort`, else from the CDN."""
    names = dict(zip(("script", "wasm"), PROVIDERS[provider], strict=True))
    if ort:
        return {role: OrtFile(url=f"ort/{name}", integrity=None) for role, name in names.items()}
    return {role: OrtFile(url=ORT_CDN + name, integrity=f"sha384-{_INTEGRITY[name]}") for role, name in names.items()}


def find_dist(ort: Path, provider: str) -> Path:
    """The folder with the files of `provider`: `ort`, or `dist` in it; InputError where neither has them."""
    for folder in (ort, ort / "dist"):
        if all((folder / name).is_file() for name in PROVIDERS[provider]):
            return folder
    raise InputError(
        f"{ort} holds no {' and '.join(PROVIDERS[provider])}; give the folder of the npm package onnxruntime-web "
        f"('npm install onnxruntime-web@{ORT_VERSION}' puts it into node_modules)"
    )


def read_inputs(path: Path) -> tuple[list[dict[str, Any]], bytes]:
    """What the .npz file holds: a header (name, type, dims, start and end of each array), and all their bytes."""
    header, content = [], b""
    with np.load(path) as arrays:
        for name, array in arrays.items():
            if array.dtype.name not in _ARRAYS:
                raise InputError(
                    f"input {name!r} is of type {array.dtype}; a browser takes only {', '.join(sorted(_ARRAYS))}"
                )
            data = np.ascontiguousarray(array).tobytes()
            place: Mapping[str, Any] = {"start": len(content), "end": len(content) + len(data)}
            header.append({"name": name, "type": array.dtype.name, "dims": list(array.shape), **place})
            content += data
    return header, content


def _on_disk(path: Path) -> ServedFile:
    return ServedFile(content=path, type=_TYPES.get(path.suffix, "application/octet-stream"))
