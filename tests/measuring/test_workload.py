from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.external_data_helper import uses_external_data

from bstsearch.graphs.live_set import largest_live_set
from bstsearch.measuring import runner
from bstsearch.measuring.driver import Workload
from bstsearch.measuring.runner import POOL
from bstsearch.measuring.workload import ALIGNMENT, SMALL, live_set, make_workload, write_complete
from bstsearch.model.supernet_folder import read_folder
from bstsearch.space import Precision, Submodel

IDS = ["w1-d1", "w1of4-d1of4", "w1-d1-h14211321of4-f41112234of4"]


@pytest.fixture(scope="module")
def workload(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Workload:
    """The graphs of a few submodels, with their weights beside them."""
    where = tmp_path_factory.mktemp("workload")
    made = make_workload(read_folder(tiny_folder), [Submodel.from_id(name) for name in IDS], where)
    runner.write_pool(where, max(graph.weight_bytes for graph in made.graphs.values()))
    return made


def slices(graph: Path) -> list[tuple[int, int]]:
    """Where the weights of a graph begin and end in POOL, in order."""
    found = []
    for tensor in onnx.load(graph, load_external_data=False).graph.initializer:
        if uses_external_data(tensor):
            facts = {entry.key: entry.value for entry in tensor.external_data}
            assert facts["location"] == POOL
            assert int(facts["length"]) == 4 * int(np.prod(tensor.dims))
            found.append((int(facts["offset"]), int(facts["offset"]) + int(facts["length"])))
    return sorted(found)


def logits(graph: Path, inputs: Path) -> Any:
    return runner.open_session(graph, threads=1).run(None, runner.read_inputs(inputs))[0]


@pytest.mark.parametrize("name", IDS)
def test_weights_beside_and_weights_inside_give_the_same_logits(name: str, workload: Workload, tmp_path: Path) -> None:
    graph = workload.graphs[name]
    write_complete(graph, tmp_path / "complete.onnx")
    assert not slices(tmp_path / "complete.onnx")
    found = logits(graph.path, workload.inputs)
    assert np.isfinite(found).all()
    assert np.ptp(found) > 0
    np.testing.assert_array_equal(found, logits(tmp_path / "complete.onnx", workload.inputs))


@pytest.mark.parametrize("name", IDS)
def test_weights_lie_one_after_the_other(name: str, workload: Workload) -> None:
    graph, end = workload.graphs[name], 0
    for start, stop in slices(graph.path):
        assert (start % ALIGNMENT, start) == (0, -(-end // ALIGNMENT) * ALIGNMENT)
        assert stop - start >= SMALL
        end = stop
    assert graph.weight_bytes == max(ALIGNMENT, -(-end // ALIGNMENT) * ALIGNMENT)


@pytest.mark.parametrize(("precision", "width"), [("float16", 2), ("int8", 1)])
def test_graphs_in_other_precisions_run_on_the_same_pool(
    precision: Precision, width: int, tiny_folder: Path, tmp_path: Path
) -> None:
    one = Submodel(precision=precision)
    made = make_workload(read_folder(tiny_folder), [one], tmp_path)
    runner.write_pool(tmp_path, made.graphs[one.id].weight_bytes)
    graph = made.graphs[one.id]
    outside = [one for one in onnx.load(graph.path, load_external_data=False).graph.initializer if one.external_data]
    lengths = {entry.value for tensor in outside for entry in tensor.external_data if entry.key == "length"}
    assert {str(width * int(np.prod(tensor.dims))) for tensor in outside if tensor.data_type != 1} <= lengths
    assert logits(graph.path, made.inputs).shape == (1, 13)
    write_complete(graph, tmp_path / "complete.onnx")
    assert graph.weight_bytes < (tmp_path / "complete.onnx").stat().st_size


def test_a_graph_holds_nothing_large(workload: Workload) -> None:
    for graph in workload.graphs.values():
        inside = [len(one.raw_data) for one in onnx.load(graph.path, load_external_data=False).graph.initializer]
        assert max(inside) < SMALL


def test_larger_submodels_have_more_weights(workload: Workload) -> None:
    sizes = {name: graph.weight_bytes for name, graph in workload.graphs.items()}
    assert sizes["w1of4-d1of4"] < sizes[IDS[2]] < sizes["w1-d1"]


def test_the_inputs_are_a_single_example(workload: Workload) -> None:
    shapes = {name: array.shape for name, array in runner.read_inputs(workload.inputs).items()}
    assert shapes == {"question": (1, 10), "image": (1, 16, 16, 3)}


def test_every_graph_is_counted_when_it_is_done(tiny_folder: Path, tmp_path: Path) -> None:
    done: list[int] = []
    submodels = [Submodel.from_id(name) for name in IDS[1:]]
    made = make_workload(
        read_folder(tiny_folder), submodels, tmp_path, on_graph=lambda: done.append(len([*tmp_path.glob("*.onnx")]))
    )
    assert done == [1, 2]
    assert list(made.graphs) == IDS[1:]
    assert len({graph.path for graph in made.graphs.values()}) == 2


# The largest live set of activations


def of_its_own_graph(supernet: Path, submodel: Submodel, where: Path) -> int:
    workload = make_workload(read_folder(supernet), [submodel], where)
    with np.load(workload.inputs) as arrays:
        shapes = {name: array.shape for name, array in arrays.items()}
    return largest_live_set(workload.graphs[submodel.id].path, shapes)


@pytest.mark.parametrize("name", ["w1-d1", "w1of4-d1of2", "w1of4-d1of4-h14of4-f41of4"])
def test_the_live_set_is_that_of_the_submodels_own_graph(name: str, tiny_folder: Path, tmp_path: Path) -> None:
    submodel = Submodel.from_id(name)
    assert live_set(read_folder(tiny_folder), submodel) == of_its_own_graph(tiny_folder, submodel, tmp_path)


def test_depth_does_not_change_it_and_width_does(tiny_folder: Path) -> None:
    folder = read_folder(tiny_folder)
    sizes = [live_set(folder, Submodel.from_id(name)) for name in ("w1of4-d1of4", "w1of4-d1", "w1-d1")]
    assert sizes[0] == sizes[1] < sizes[2]


def test_of_mixed_layers_it_is_at_most_that_of_the_hungriest_share(tiny_folder: Path) -> None:
    folder = read_folder(tiny_folder)
    mixed, widest = (Submodel.from_id(f"w1of4-d1of4-{rows}") for rows in ("h14of4-f41of4", "h11of1-f11of1"))
    assert live_set(folder, mixed) <= live_set(folder, widest)
