"""What the submodels of one architecture cost, as a table on disk: counted once, read again without torch.

The tables of the presets and of the demo supernet ship in `cost_tables.json`, which `docs/cost_tables.py` writes.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bstsearch.errors import InputError
from bstsearch.model.supernet_folder import SupernetFolder
from bstsearch.reading import Name, Whole, checked, parsing, read_json
from bstsearch.space import Space

SHIPPED = Path(__file__).with_name("cost_tables.json")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """Parameters, and multiply-adds (MACs) at batch 1.

    `recurrent_macs` of them are products that each wait for the one before: an LSTM's hidden-to-hidden ones.
    They are products with vectors, whose time is that of reading the weights once for every step.

    >>> cost = Cost(parameters=9_533_963, macs=82_279_936, recurrent_macs=14_680_064)
    >>> round(cost.gflops, 4), cost.size_bytes, cost.recurrent_bytes
    (0.1646, 38135852, 58720256)
    """

    parameters: int
    macs: int
    recurrent_macs: int = 0

    @property
    def gflops(self) -> float:
        """Floating-point operations in units of 1e9, two to a multiply-add."""
        return 2 * self.macs / 1e9

    @property
    def recurrent_bytes(self) -> int:
        """Bytes of float32 weights read for the recurrent products: each weight takes part in one MAC a step."""
        return 4 * self.recurrent_macs

    @property
    def size_bytes(self) -> int:
        """Bytes of the parameters in float32."""
        return 4 * self.parameters


@dataclasses.dataclass(frozen=True, kw_only=True)
class CostTable:
    """What is known of one architecture; each mapping may hold few of its submodels, or none.

    `costs` and `live_bytes`, the largest live set of activations, go by a submodel's id. `fixed_macs` are those of the
    part that is never slimmed.
    """

    folder: SupernetFolder
    fixed_macs: int | None = None
    costs: Mapping[str, Cost] = dataclasses.field(default_factory=dict)
    live_bytes: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def merged(self, other: CostTable) -> CostTable:
        """This table with what `other` knows beside it."""
        return dataclasses.replace(
            self,
            fixed_macs=self.fixed_macs if other.fixed_macs is None else other.fixed_macs,
            costs={**self.costs, **other.costs},
            live_bytes={**self.live_bytes, **other.live_bytes},
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` reads it back."""
        return {
            "name": self.folder.path.name,
            "architecture": self.folder.architecture,
            "family": self.folder.family,
            "config": dict(self.folder.config),
            "space": self.folder.space.to_json(),
            "fixed_macs": self.fixed_macs,
            "costs": {name: list(dataclasses.astuple(cost)) for name, cost in self.costs.items()},
            "live_bytes": dict(self.live_bytes),
        }

    @classmethod
    def from_json(cls, data: object) -> CostTable:
        """The table written by `to_json`; InputError where it is malformed, or of another architecture than it says."""
        found = checked(data, _Written, "cost table")
        with parsing("cost table"):
            space = Space.from_json(found.space)
        folder = SupernetFolder(path=Path(found.name), family=found.family, config=found.config, space=space)
        if found.architecture != folder.architecture:
            raise InputError("cost table, architecture: not that of its family and config")
        costs = {
            name: Cost(parameters=parameters, macs=macs, recurrent_macs=recurrent)
            for name, (parameters, macs, recurrent) in found.costs.items()
        }
        return cls(folder=folder, fixed_macs=found.fixed_macs, costs=costs, live_bytes=found.live_bytes)


class _Written(msgspec.Struct):
    """A table as plain data."""

    name: Name
    architecture: str
    family: Name
    config: dict[str, Any]
    space: dict[str, Any]
    fixed_macs: Whole | None
    costs: dict[str, tuple[Whole, Whole, Whole]]
    live_bytes: dict[str, Whole]


def shipped_preset(name: str) -> SupernetFolder | None:
    """Family, config and space of the preset of that name, as a folder of it has them; None where none ships.

    >>> shipped_preset("mcan-vqa-v2").config["answers"]
    3129
    """
    tables = (table for table in _shipped()["presets"] if table["name"] == name)
    return next((CostTable.from_json(table).folder for table in tables), None)


def shipped_table(folder: SupernetFolder) -> CostTable:
    """What ships of the architecture of `folder`; an empty table where nothing does."""
    tables = (table for some in _shipped().values() for table in some)
    found = (table for table in tables if table["architecture"] == folder.architecture)
    return next(map(CostTable.from_json, found), CostTable(folder=folder))


@functools.cache
def _shipped() -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """The tables of the presets and of the supernets."""
    found: Mapping[str, Sequence[Mapping[str, Any]]] = read_json(SHIPPED)
    return found
