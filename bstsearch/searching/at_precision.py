"""A submodel in a precision that torch does not train: its ONNX file, run by ONNX Runtime."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bstsearch.graphs.onnx_file import write_onnx
from bstsearch.graphs.onnx_precision import example_rows, write_at
from bstsearch.holding import scratch
from bstsearch.measuring.runner import open_session
from bstsearch.model.supernet import Supernet
from bstsearch.space import FLOAT32, Submodel
from bstsearch.tasks.evaluation import BATCH_SIZE, OnBatch, outputs_with
from bstsearch.tasks.task import Split

Model = Callable[..., Tensor]  # takes inputs by name


@contextlib.contextmanager
def model_of(supernet: Supernet, submodel: Submodel) -> Iterator[Model]:
    """What computes the submodel's outputs: in float32 slices of the supernet, else a file, written for this block.

    The file runs on as many threads as torch.
    """
    if submodel.precision == FLOAT32:
        with supernet.bind(submodel) as bound:
            yield bound
        return
    with scratch() as folder:
        path = folder / "model.onnx"
        _write(supernet, submodel, path)
        yield session_model(open_session(path, torch.get_num_threads()))


def outputs_of(
    supernet: Supernet, submodel: Submodel, split: Split, *, on_batch: OnBatch | None = None, where: str
) -> Tensor:
    """As `tasks.evaluation.outputs_of`, in the submodel's precision."""
    rows, name = example_rows(submodel.precision, BATCH_SIZE), f"{where}, submodel {submodel.id}"
    with model_of(supernet, submodel) as model:
        return outputs_with(model, split, batch_size=rows, on_batch=on_batch, where=name)


def session_model(session: Any) -> Model:
    """An ONNX Runtime session as a function of tensors."""

    def model(**inputs: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})[0])

    return model


def _write(supernet: Supernet, submodel: Submodel, path: Path) -> None:
    family, alike = supernet.family, submodel.at(FLOAT32)
    config = family.shrink(supernet.config, alike)
    model = supernet.materialise(alike).cpu()
    write_onnx(model, family.example_inputs(config, 1), path, family.free_axes(config))
    write_at(submodel.precision, path, path)
