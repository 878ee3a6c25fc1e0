from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bstsearch.graphs.live_set import largest_live_set
from bstsearch.measuring.workload import live_set
from bstsearch.measuring.workload import make_workload
from bstsearch.model.supernet_folder import read_folder
from bstsearch.space import Submodel


def of_its_own_graph(supernet: Path, submodel: Submodel, where: Path) -> int:
    workload = make_workload(read_folder(supernet), [submodel], where)
    with np.load(workload.inputs) as arrays:
        shapes = {name: array.shape for name, array in arrays.items()}
    return largest_live_set(workload.graphs[submodel.id].path, shapes)


@pytest.mark.parametrize("name", ["w1-d1", "w1of4-d1of2", "w1of4-d1of4-h1.4of4-f4.1of4"])
def test_it_is_the_largest_live_set_of_the_submodels_own_graph(name: str, tiny_folder: Path, tmp_path: Path) -> None:
    submodel = Submodel.from_id(name)
    assert live_set(read_folder(tiny_folder), submodel) == of_its_own_graph(tiny_folder, submodel, tmp_path)


def test_depth_does_not_change_it_and_width_does(tiny_folder: Path) -> None:
    folder = read_folder(tiny_folder)
    sizes = [live_set(folder, Submodel.from_id(name)) for name in ("w1of4-d1of4", "w1of4-d1", "w1-d1")]
    assert sizes[0] == sizes[1] < sizes[2]


def test_of_mixed_layers_it_is_at_most_that_of_the_hungriest_share(tiny_folder: Path) -> None:
    folder = read_folder(tiny_folder)
    mixed, widest = (Submodel.from_id(f"w1of4-d1of4-{rows}") for rows in ("h1.4of4-f4.1of4", "h1.1of1-f1.1of1"))
    assert live_set(folder, mixed) <= live_set(folder, widest)
