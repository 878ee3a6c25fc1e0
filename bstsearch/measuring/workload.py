"""The graphs that a device is asked to run: those of some submodels, without their weights, and inputs for them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto
from onnx.external_data_helper import set_external_data

from bstsearch.graphs.live_set import largest_live_set
from bstsearch.graphs.onnx_file import write_onnx
from bstsearch.graphs.onnx_precision import write_at
from bstsearch.holding import scratch
from bstsearch.measuring.driver import Graph, Workload
from bstsearch.measuring.runner import INPUTS, POOL, read_inputs
from bstsearch.model.lookup import restored
from bstsearch.model.phase import WHOLE, Phase
from bstsearch.model.supernet_folder import SupernetFolder
from bstsearch.space import Submodel

BATCH = 1
ALIGNMENT = 64  # bytes; where a runtime that maps the file would like tensors to begin
WIDTHS = {TensorProto.FLOAT: 4, TensorProto.FLOAT16: 2, TensorProto.INT8: 1}  # bytes of a weight
SMALL = 1024  # bytes; smaller tensors are shapes and axes rather than weights, and stay in the graph


def make_workload(
    folder: SupernetFolder,
    submodels: Sequence[Submodel],
    where: Path,
    *,
    phase: Phase = WHOLE,
    on_graph: Callable[[], None] = lambda: None,
) -> Workload:
    """Writes one graph per submodel into `where`, and the inputs; `on_graph` is called after each.

    A graph does the `phase` of the submodel's work; InputError where the family has none of that name.

    Weights are random and are thrown away: latency depends on shapes only, so no trained supernet is needed.
    """
    family, config = restored(folder.family, folder.config)
    work = family.get_work(config, phase)
    inputs = work.example_inputs(config, BATCH)
    graphs = {}
    for number, submodel in enumerate(submodels):
        model = work.build(family.shrink(config, submodel))
        # Numbered: the id of a layer-wise submodel is longer than some file systems let a name be.
        path = where / f"{number}.onnx"
        write_onnx(model, inputs, path, work.free_axes(config))
        write_at(submodel.precision, path, path)
        graphs[submodel.id] = Graph(path=path, weight_bytes=_strip(path))
        on_graph()
    arrays = {name: tensor.numpy() for name, tensor in inputs.items()}
    np.savez(where / INPUTS, **arrays)  # type: ignore[arg-type]
    return Workload(graphs=graphs, inputs=where / INPUTS)


def input_shapes(workload: Workload) -> dict[str, tuple[int, ...]]:
    """The shape of every input."""
    return {name: array.shape for name, array in read_inputs(workload.inputs).items()}


def live_set(folder: SupernetFolder, submodel: Submodel) -> int:
    """Bytes of activations that `submodel` holds at most at once; its graph is built, and thrown away."""
    with scratch() as where:
        workload = make_workload(folder, [submodel], where)
        return largest_live_set(workload.graphs[submodel.id].path, input_shapes(workload))


def write_complete(graph: Graph, path: Path) -> None:
    """Writes `graph` with its weights inside, as an exported model is; POOL lies beside the graph."""
    model = onnx.load(graph.path)  # reads the weights, too
    onnx.save(model, path)


def _strip(path: Path) -> int:
    """Turns the large weights of the ONNX file into slices of POOL; returns how many bytes of it they take.

    Where they are int8 or float16, the bytes of POOL are taken for such numbers, whatever they are then: times do not
    depend on it. Scales and zero points stay.
    """
    model, end = onnx.load(path), 0
    is_quantised = any(tensor.data_type == TensorProto.INT8 for tensor in model.graph.initializer)
    for tensor in model.graph.initializer:
        size = WIDTHS.get(tensor.data_type, 0) * int(np.prod(tensor.dims))
        if size < SMALL or (is_quantised and len(tensor.dims) < 2):
            continue
        tensor.raw_data = b""
        set_external_data(tensor, POOL, offset=end, length=size)
        for field in ("raw_data", "int32_data"):
            tensor.ClearField(field)
        end += -(-size // ALIGNMENT) * ALIGNMENT
    onnx.save(model, path)
    return max(end, ALIGNMENT)
