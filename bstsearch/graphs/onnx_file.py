"""An ordinary module written as one ONNX file: standard operators, opset 18, any batch size."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import onnx
import torch
from torch import Tensor, nn

from bstsearch.errors import InputError
from bstsearch.graphs.onnx_graph import simplify
from bstsearch.graphs.positions import Located, Positions, find_positions
from bstsearch.holding import scratch
from bstsearch.model.family import FreeAxes
from bstsearch.reading import said
from bstsearch.writing import writing

OPSET = 18
LOGITS, OUTPUT = "logits", "output"  # of classes, and of anything else
BATCH_AXIS = "batch"


def write_onnx(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    path: Path,
    free_axes: FreeAxes = MappingProxyType({}),
    *,
    output: str = LOGITS,
) -> None:
    """Replaces `path` by `model` in ONNX, in eval mode, atomically; `inputs` are an example of any batch size.

    Inputs keep their names, the output is called `output`; the first axis of each is dynamic, as are `free_axes`.
    InputError where the model does something for which ONNX has no operator.
    """
    with writing(path) as temporary:
        _trace(model, inputs, temporary, free_axes, output)
        onnx.save(simplify(onnx.load(temporary)), temporary)


def locate(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    parameters: Mapping[str, Positions],
    free_axes: FreeAxes = MappingProxyType({}),
    *,
    output: str = LOGITS,
) -> Located:
    """What `write_onnx` would write, and where its constants lie among the numbers of which `parameters` tell.

    `parameters` give each parameter's positions by name; what none of them has is not located.
    """
    with scratch() as folder:
        traced = []
        for is_folded in (True, False):
            path = folder / "model.onnx"
            _trace(model, inputs, path, free_axes, output, is_folded=is_folded)
            traced.append(onnx.load(path))
    positions = find_positions(traced[0], traced[1], parameters)
    return Located(model=simplify(traced[0], positions), positions=positions)


def _trace(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    path: Path,
    free_axes: FreeAxes,
    output: str,
    *,
    is_folded: bool = True,
) -> None:
    """Writes what the exporter makes of `model`; unless `is_folded`, parameters keep their names in it."""
    dynamic_axes = {name: {0: BATCH_AXIS, **free_axes.get(name, {})} for name in (*inputs, output)}
    with _in_eval_mode(model), _quiet_exporter(), torch.no_grad():
        try:
            torch.onnx.export(
                model,
                (),
                path,
                kwargs=dict(inputs),
                input_names=list(inputs),
                output_names=[output],
                dynamic_axes=dynamic_axes,
                opset_version=OPSET,
                do_constant_folding=is_folded,
                # The tracing exporter takes a tenth of the time of torch.export's, for files that run equally fast.
                dynamo=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise InputError(f"the model cannot be written as ONNX: {said(error)}") from error


@contextlib.contextmanager
def _in_eval_mode(model: nn.Module) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    # What cannot be exported, torch would print as a whole graph.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*TorchScript-based ONNX export.*")
        warnings.filterwarnings("ignore", category=DeprecationWarning, message="The feature will be removed")
        # Shapes that torch.nn.LSTM only checks, and sizes that do not depend on the batch.
        warnings.filterwarnings("ignore", message="Converting a tensor to a Python")
        # The keys and values of a text of which nothing has been read: there are none, and that stays so.
        warnings.filterwarnings("ignore", message="torch.tensor results are registered as constants")
        warnings.filterwarnings("ignore", message="Exporting a model to ONNX with a batch_size other than 1")
        # Masks of stock models index so; whoever writes a file holds its outputs against the model's.
        warnings.filterwarnings("ignore", message="Exporting aten::index operator of advanced indexing")
        yield
