from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bstsearch.devices import activations
from bstsearch.devices.driver import Workload
from bstsearch.devices.live_set import largest_live_set
from bstsearch.devices.workload import make_workload
from bstsearch.folder import SupernetFolder, read_folder
from bstsearch.space import Submodel


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The submodels whose graphs are built in this test."""
    names: list[str] = []

    def note(folder: SupernetFolder, submodels: Sequence[Submodel], where: Path, **options: Any) -> Workload:
        names.extend(submodel.id for submodel in submodels)
        return make_workload(folder, submodels, where, **options)

    monkeypatch.setattr(activations, "make_workload", note)
    return names


def live_set(folder: SupernetFolder, submodel: Submodel, where: Path) -> int:
    workload = make_workload(folder, [submodel], where)
    with np.load(workload.inputs) as arrays:
        return largest_live_set(
            workload.graphs[submodel.id].path, {name: array.shape for name, array in arrays.items()}
        )


def test_graphs_are_built_when_asked_for_and_once(tiny_folder: Path, built: list[str]) -> None:
    live = activations.live_sets(read_folder(tiny_folder))
    assert built == []
    sizes = [live(Submodel.from_id(name)) for name in ("w1of4-d1of4", "w1of4-d1", "w1of4-d1-h1.1.1.1.1.1.1.1of1")]
    assert built == ["w1of4-d1of4", "w1of4-d1of4-h1.1of1-f1.1of1"]  # the shallowest of their width
    assert sizes[0] == sizes[1] <= sizes[2]


def test_it_is_the_largest_live_set_of_the_submodels_own_graph(tiny_folder: Path, tmp_path: Path) -> None:
    folder = read_folder(tiny_folder)
    live = activations.live_sets(folder)
    for name in ("w1-d1", "w1of4-d1of2"):
        submodel = Submodel.from_id(name)
        assert live(submodel) == live_set(folder, submodel, tmp_path)


def test_of_mixed_layers_the_largest_counts(tiny_folder: Path, tmp_path: Path) -> None:
    folder, mixed = read_folder(tiny_folder), Submodel.from_id("w1of4-d1of4-h1.4of4-f4.1of4")
    assert activations.live_sets(folder)(mixed) >= live_set(folder, mixed, tmp_path)
