"""A supernet on disk, as far as it can be read without torch: its sizes, its space, its identity."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bstsearch.errors import InputError
from bstsearch.reading import digest, read_json
from bstsearch.space import Space
from bstsearch.writing import write_json

FORMAT = 1
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
METRICS = "metrics.json"
# All that a supernet's folder may hold; beside these, it holds what somebody put there.
OWN = (CONFIG, WEIGHTS, METRICS, "README.md", "vocabulary.json", "task.json", "training")

# The demo supernet inside the package; docs/demo-supernet.md tells how it was made.
DEMO = Path(__file__).parents[1] / "supernets" / "easy-vqa"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SupernetFolder:
    """What `config.json` in a supernet folder says: the family's name, its config as JSON, the space."""

    path: Path
    family: str
    config: Mapping[str, Any]
    space: Space

    @property
    def weights(self) -> Path:
        """The safetensors file with the full parameters."""
        return self.path / WEIGHTS

    @property
    def architecture(self) -> str:
        """Sixteen hex digits that change with the family or any size: what a latency depends on."""
        text = json.dumps([self.family, self.config], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def digest(self) -> str:
        """Sixteen hex digits that change with the architecture, the space or any weight."""
        return digest(self.path / CONFIG, self.weights)

    def write(self) -> None:
        """Writes `config.json` into `path`."""
        data = {"format": FORMAT, "family": self.family, "config": dict(self.config), "space": self.space.to_json()}
        write_json(self.path / CONFIG, data)


def read_folder(path: Path) -> SupernetFolder:
    """The supernet folder at `path`; InputError where it is none, or of another format version."""
    if not path.is_dir():
        raise InputError(f"supernet {path} does not exist; 'bstsearch train --out {path}' makes one")
    data = read_json(path / CONFIG)
    if data.get("format") != FORMAT:
        raise InputError(f"{path / CONFIG} has format {data.get('format')!r}; this version reads format {FORMAT}")
    keys = {"format", "family", "config", "space"}
    if missing := sorted(keys - data.keys()):
        raise InputError(f"{path / CONFIG} lacks {missing[0]!r}; is it a supernet?")
    if unknown := sorted(data.keys() - keys):
        raise InputError(f"{path / CONFIG} holds the unknown key {unknown[0]!r}; known: {', '.join(sorted(keys))}")
    return SupernetFolder(
        path=path, family=str(data["family"]), config=data["config"], space=Space.from_json(data["space"])
    )
