"""An exported folder, as it is read: one submodel with its manifest (no torch).

The rest of the folder looks like a supernet's, whose space holds one submodel: the full one. So whatever reads a
supernet folder reads an exported one, too.
"""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from bstsearch.errors import InputError, UsageError
from bstsearch.model import supernet_folder
from bstsearch.model.supernet_folder import SupernetFolder, read_folder
from bstsearch.reading import Count, Name, check_file, opened, read_format, said, shown
from bstsearch.score import ACCURACY, Metric
from bstsearch.space import FLOAT32, PRECISIONS, Precision, Submodel
from bstsearch.stock.configuration import BESIDE

FORMAT = 1
MANIFEST = "manifest.json"
ONNX_FILES: Mapping[Precision, str] = {
    precision: f"model.{precision}.onnx" for precision in PRECISIONS if precision != FLOAT32
} | {FLOAT32: "model.onnx"}
ONNX = ONNX_FILES[FLOAT32]
PREPROCESSOR = "preprocessor.json"
SAMPLE = "sample.json"
TOKENIZER = "tokenizer.json"
RUN = "run.py"
CARD = "README.md"
# All that an exported folder may hold; beside these, it holds what somebody put there.
SCRIPTS = (RUN, "pictures.py", "texts.py")
OWN = (*supernet_folder.OWN, MANIFEST, *ONNX_FILES.values(), PREPROCESSOR, SAMPLE, *SCRIPTS)


class _Named(msgspec.Struct):
    id: Name


class _Latency(msgspec.Struct):
    threads: Count


class _Check(msgspec.Struct):
    latency: _Latency


class _File(msgspec.Struct):
    sha256: str


class Manifest(msgspec.Struct):
    """What is read of a `manifest.json`."""

    submodel: _Named
    checks: dict[str, _Check]
    files: dict[str, _File]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportedFolder:
    """A folder that 'bstsearch export' wrote, and what its manifest says."""

    folder: SupernetFolder
    manifest: Manifest

    @property
    def submodel_id(self) -> str:
        """The id of the submodel in the supernet that it was taken from."""
        return self.manifest.submodel.id

    @property
    def threads(self) -> int:
        """The threads with which its latency was measured."""
        return self.manifest.checks[ONNX].latency.threads

    @property
    def precision(self) -> Precision:
        """What the submodel was picked in."""
        return Submodel.from_id(self.submodel_id).precision

    @property
    def onnx(self) -> Path:
        """The ONNX file in that precision."""
        return self.get_onnx(self.precision)

    def get_onnx(self, precision: Precision) -> Path:
        """The ONNX file in that precision; UsageError where it was not exported."""
        name = ONNX_FILES[precision]
        if name not in self.manifest.files:
            raise UsageError(f"{self.folder.path} holds no {name}; export it with --precision {precision}")
        return self.folder.path / name


def metric_of(manifest: Mapping[str, Any]) -> Metric:
    """What kind of number the scores in a manifest are."""
    return Metric.from_json(manifest["metric"]) if "metric" in manifest else ACCURACY


def is_exported(path: Path) -> bool:
    """Whether `path` is an exported folder, not a supernet's."""
    return (path / MANIFEST).is_file()


def read_exported(path: Path) -> ExportedFolder:
    """The exported folder at `path`; InputError where a file is missing or is not the one that was exported."""
    folder = read_folder(path)
    try:
        manifest = read_format(path / MANIFEST, Manifest, FORMAT)
        if lacking := [part for part in ("checks", "files") if ONNX not in getattr(manifest, part)]:
            raise InputError(f"{path / MANIFEST}, {lacking[0]}: no {ONNX}")
        for name, entry in manifest.files.items():
            if not is_inside(name):
                raise InputError(f"{path / MANIFEST}, files: {shown(name)} is no name of a file in this folder")
            if sha256(path / name) != entry.sha256:
                raise InputError(f"{path / name} is not the file that was exported")
    except InputError as error:
        raise InputError(f"{error}; export the submodel again") from error
    return ExportedFolder(folder=folder, manifest=manifest)


def is_inside(name: str) -> bool:
    """Whether it names a file of the folder itself, or one below what came with a stock model."""
    parts = name.split("/")
    return (parts[0] == BESIDE or len(parts) == 1) and all(Path(part).name == part != ".." for part in parts)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex; InputError where it cannot be read."""
    with opened(path, sys.maxsize) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_session(path: Path, *, threads: int | None = None) -> Any:
    """An ONNX Runtime session (it has no type hints) on the processor; InputError where the file is no model.

    `threads` are by default the physical cores that this process may use.
    """
    check_file(path)
    import onnxruntime

    from bstsearch.measuring.runner import available_cores

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or available_cores()
    options.log_severity_level = 4  # fatal; of other errors its exceptions tell
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no class of their own
        raise InputError(f"{path} cannot be read by ONNX Runtime: {said(error)}; is it damaged?") from error
