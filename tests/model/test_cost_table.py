from __future__ import annotations

import dataclasses
import json
import runpy
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bstsearch.errors import InputError
from bstsearch.model.cost import Cost
from bstsearch.model.cost_table import SHIPPED, CostTable, shipped_preset, shipped_table
from bstsearch.model.supernet_folder import SUPERNETS, SupernetFolder
from bstsearch.space import Space, Submodel

cost_tables = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "docs" / "cost_tables.py")))
FOLDERS = [*cost_tables.presets(), *cost_tables.supernets()]
LARGE = ("clip-vil-rn50", "mcan-gqa", "mcan-openvqa", "mcan-vqa-v2", "uniter-base")  # presets that begin so


@pytest.fixture
def table() -> CostTable:
    space = Space(widths=(Fraction(1),), depths=(Fraction(1),), stacks=(2,))
    return CostTable(
        folder=SupernetFolder(path=Path("mine"), family="mcan", config={"hidden": 8, "heads": [2, 2]}, space=space),
        fixed_macs=3,
        costs={"w1-d1": Cost(parameters=5, macs=7, recurrent_macs=2)},
        live_bytes={"w1-d1": 11},
    )


def test_units() -> None:
    cost = Cost(parameters=1_000_000, macs=2_500_000_000, recurrent_macs=1000)
    assert (cost.gflops, cost.size_bytes, cost.recurrent_bytes) == (5.0, 4_000_000, 4000)


def test_a_table_is_read_as_it_was_written(table: CostTable) -> None:
    assert CostTable.from_json(json.loads(json.dumps(table.to_json()))) == table


def test_a_table_takes_what_another_knows(table: CostTable) -> None:
    other = CostTable(folder=table.folder, costs={"w1of2-d1": Cost(parameters=1, macs=1)}, live_bytes={"w1-d1": 12})
    merged = table.merged(other)
    assert list(merged.costs) == ["w1-d1", "w1of2-d1"]
    assert (merged.fixed_macs, merged.live_bytes) == (3, {"w1-d1": 12})


@pytest.mark.parametrize(
    "change",
    [
        {"costs": {"w1-d1": [1, 2]}},
        {"costs": {"w1-d1": [1, -2, 0]}},
        {"costs": {"w1-d1": [1, 2.5, 0]}},
        {"costs": []},
        {"layers": {}},
        {"layers": {"space": {}, "stacks": [], "cells": []}},
        {"live_bytes": {"w1-d1": True}},
        {"fixed_macs": "3"},
        {"space": {}},
        {"config": {"hidden": 16, "heads": [2, 2]}},
        {"family": "uniter"},
        {"architecture": "0" * 16},
    ],
    ids=str,
)
def test_what_no_table_says_is_refused(change: dict[str, Any], table: CostTable) -> None:
    with pytest.raises(InputError, match=r"^cost table[:,] "):
        CostTable.from_json({**table.to_json(), **change})


# What ships


@pytest.mark.parametrize("folder", list(cost_tables.presets()), ids=lambda folder: folder.path.name)
def test_every_preset_has_a_table_that_names_its_sizes(folder: SupernetFolder) -> None:
    assert shipped_preset(folder.path.name) == folder


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.path.name)
def test_every_table_holds_the_whole_grid_and_what_is_free_in_it(folder: SupernetFolder) -> None:
    table = shipped_table(folder)
    assert table.layers is not None
    space = folder.space.elastic
    assert all(table.layers.cost(one) for one in (*folder.space.unfiltered.grid(), space.smallest, space.middle))
    assert set(table.live_bytes) == {submodel.id for submodel in cost_tables.listed_live(folder)}
    assert table.fixed_macs is not None


def test_no_table_is_left_of_a_preset_that_is_gone() -> None:
    tables = json.loads(SHIPPED.read_text(encoding="utf-8"))
    assert [table["name"] for table in tables["presets"]] == [one.path.name for one in cost_tables.presets()]
    assert [table["name"] for table in tables["supernets"]] == [one.path.name for one in cost_tables.supernets()]


def test_no_supernets_name_is_a_preset() -> None:
    assert all(shipped_preset(one.name) is None for one in SUPERNETS.iterdir())


def test_nothing_ships_of_other_sizes() -> None:
    folder = shipped_preset("mcan-easy-vqa")
    assert folder is not None
    other = dataclasses.replace(folder, config={**folder.config, "image_side": 32})
    assert shipped_table(other) == CostTable(folder=other)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.path.name)
@pytest.mark.slow
def test_what_ships_is_what_is_counted(folder: SupernetFolder) -> None:
    counted = cost_tables.counted(folder, CostTable(folder=folder, live_bytes=shipped_table(folder).live_bytes))
    assert counted.to_json() == shipped_table(folder).to_json(), "run 'make docs'"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.path.name)
@pytest.mark.slow
def test_live_sets_that_ship_are_those_of_the_graphs(folder: SupernetFolder) -> None:
    shipped = shipped_table(folder).live_bytes
    names = list(shipped)[:1] if folder.path.name.startswith(LARGE) else list(shipped)
    counted = {name: cost_tables.live_set(folder, Submodel.from_id(name)) for name in names}
    assert counted == {name: shipped[name] for name in names}, "run 'make docs'"
