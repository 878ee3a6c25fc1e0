"""Writes bstsearch/model/cost_tables.json, what the submodels of every preset and shipped supernet cost: `make docs`.

    python docs/cost_tables.py          counts what the file does not hold yet
    python docs/cost_tables.py --anew   counts everything

A live set of activations takes long to find, half a minute for a large model: its graph is built.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bstsearch.measuring.selection import uniform
from bstsearch.measuring.workload import live_set
from bstsearch.model.composing import compose
from bstsearch.model.config import config_to_json
from bstsearch.model.cost_table import SHIPPED, CostTable, shipped_table
from bstsearch.model.counting import fixed_macs
from bstsearch.model.lookup import family_names, get_family, restored
from bstsearch.model.supernet_folder import SUPERNETS, SupernetFolder, read_folder
from bstsearch.space import Submodel


def presets() -> Iterator[SupernetFolder]:
    """Every preset, as if it lay in a folder of its name."""
    for family in map(get_family, family_names()):
        for name, config in family.presets.items():
            plain = json.loads(json.dumps(config_to_json(config)))
            yield SupernetFolder(path=Path(name), family=family.name, config=plain, space=family.space(config))


def supernets() -> Iterator[SupernetFolder]:
    """Every supernet that comes with the package, but those of a preset's sizes: they cost what that does."""
    known = {folder.architecture for folder in presets()}
    return (one for one in map(read_folder, sorted(SUPERNETS.iterdir())) if one.architecture not in known)


def counted(folder: SupernetFolder, known: CostTable) -> CostTable:
    """The table of `folder`: the layers of its elastic space, and live sets as `listed_live` says; `known` is kept."""
    family, config = restored(folder.family, folder.config)
    return CostTable(
        folder=folder,
        fixed_macs=fixed_macs(family, config),
        layers=known.layers or compose(family, config, folder.space.elastic),
        live_bytes={one.id: known.live_bytes.get(one.id) or live_set(folder, one) for one in listed_live(folder)},
    )


def listed_live(folder: SupernetFolder) -> list[Submodel]:
    """The submodels whose live sets are shipped: the shallowest of each width, whose layers all follow it."""
    return list(uniform(folder.space.uniform).values())


def text(tables: Mapping[str, Sequence[CostTable]]) -> str:
    """The text of the file, one submodel a line."""
    parts = (f'"{kind}": [\n' + ",\n".join(map(_table, some)) + "\n]" for kind, some in tables.items())
    return "{" + ",\n".join(parts) + "}\n"


def _table(table: CostTable) -> str:
    lines = [f"{json.dumps(key)}: {_value(value)}" for key, value in table.to_json().items()]
    return "{" + ",\n ".join(lines) + "}"


def _value(value: object) -> str:
    if isinstance(value, dict) and any(isinstance(entry, list) for entry in value.values()):
        return "{\n  " + ",\n  ".join(f"{json.dumps(key)}: {json.dumps(entry)}" for key, entry in value.items()) + "}"
    return json.dumps(value)


def main() -> None:
    """Writes the file."""
    parser = argparse.ArgumentParser(description="Count what the submodels of every preset and of the demo cost.")
    parser.add_argument("--anew", action="store_true", help="count everything, whatever the file holds")
    is_anew = parser.parse_args().anew or not SHIPPED.exists()
    models = {"presets": list(presets()), "supernets": list(supernets())}
    tables = {
        kind: [counted(one, CostTable(folder=one) if is_anew else shipped_table(one)) for one in folders]
        for kind, folders in models.items()
    }
    SHIPPED.write_text(text(tables), encoding="utf-8")


if __name__ == "__main__":
    main()
