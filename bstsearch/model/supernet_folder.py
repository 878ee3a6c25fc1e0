"""A supernet on disk, as far as it can be read without torch: its sizes, its space, its identity."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from bstsearch.errors import InputError, UsageError
from bstsearch.reading import (
    SHOWN,
    Finite,
    Line,
    check_utf8,
    checked,
    digest,
    no_folder,
    parsing,
    plain,
    read_format,
    read_json,
    shown,
)
from bstsearch.space import Precision, Space, Submodel
from bstsearch.space_names import describe, trained_part
from bstsearch.writing import write_json

FORMAT = 1
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
METRICS = "metrics.json"
OF_STOCK = "architectures"  # what the config.json of a Hugging Face model has, and no other
# What this package's tasks keep beside a model.
OF_TASK = ("vocabulary.json", "classes.json", "task.json", "tokenizer.json", "text.json", "text.safetensors")
# All that a supernet's folder may hold; beside these, it holds what somebody put there.
OWN = (CONFIG, WEIGHTS, METRICS, "README.md", *OF_TASK, "front.json", "training", "stock", "inspection.json")
IDS = 10  # of a space that an error names: all of BST's

LARGEST = 10_000_000  # of the sizes in a config: the longest published vocabularies have a tenth of that
# A value of a config, whatever the family: a size, a rate, a switch, a word, or one of them for each layer.
_One = bool | Annotated[int, Meta(ge=0, le=LARGEST)] | Finite | Annotated[str, Meta(max_length=1000)] | None
_Value = _One | Annotated[list[_One], Meta(max_length=1000)] | dict[str, Any]

SUPERNETS = Path(__file__).parents[1] / "supernets"  # inside the package; made as docs/demo-supernet.md tells
DEMO = SUPERNETS / "shapes"


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

    def part(self, space: str, precisions: Sequence[Precision] = ()) -> SupernetFolder:
        """The same supernet with the space of that name, or in that file; UsageError where that was not trained.

        As `trained_part`, in these precisions.
        """
        return dataclasses.replace(self, space=trained_part(space, self.space, self.path, precisions))

    def get_submodel(self, name: str) -> Submodel:
        """The submodel of that id, in any precision; UsageError where the space has none, which says what it has."""
        submodel = Submodel.from_id(name)
        if submodel.at(self.space.precisions[-1]) not in self.space:
            ids = [one.id for one in itertools.islice(self.space.grid(), IDS)] or [self.space.smallest.id]
            raise UsageError(
                f"the space of {self.path} has no submodel {shown(name)}, but {describe(self.space)}; "
                f"choose one of them, such as {', '.join(ids)}"
            )
        return submodel

    def digest(self) -> str:
        """Sixteen hex digits that change with the architecture, the space or any weight."""
        return digest(self.path / CONFIG, self.weights)

    def write(self) -> None:
        """Writes `config.json` into `path`."""
        data = {"format": FORMAT, "family": self.family, "config": dict(self.config), "space": self.space.to_json()}
        write_json(self.path / CONFIG, data)


class _Config(msgspec.Struct, forbid_unknown_fields=True):
    """What is in a `config.json`, beside its format."""

    family: Line
    config: dict[str, Any]
    space: dict[str, Any]


def read_folder(path: Path) -> SupernetFolder:
    """The supernet folder at `path`; InputError where it is none, or of another format version."""
    check_utf8(path)
    if not path.is_dir():
        out = shlex.quote(str(path))
        raise InputError(
            f"{no_folder(path)}; 'bstsearch train --out {out}' makes a supernet there, 'bstsearch export' an export"
        )
    if OF_STOCK in read_json(path / CONFIG):
        checkpoint = shlex.quote(str(path))
        raise InputError(
            f"{path} is a Hugging Face model; 'bstsearch import --checkpoint {checkpoint} --out DIR' makes a supernet "
            "of it, with --random one without its weights"
        )
    found = read_format(path / CONFIG, _Config, FORMAT)
    with parsing(path / CONFIG):
        check_sizes(found.config, "config")
        return SupernetFolder(path=path, family=found.family, config=found.config, space=Space.from_json(found.space))


def check_sizes(config: Mapping[str, Any], where: str) -> None:
    """Passes where no value of a config is of an impossible size; else InputError, before anything is allocated."""
    for name, value in checked(config, dict[str, Any], where).items():
        checked(value, _Value, f"{where}, {plain(name)[:SHOWN]}")  # type: ignore[arg-type]  # a union is no type to mypy
