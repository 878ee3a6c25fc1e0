"""A submodel of a bundle, held against the file that it has by itself: equal outputs, nothing sliced when it runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from torch import Tensor

from bstsearch.answering.exported_folder import open_session
from bstsearch.errors import BstsearchError
from bstsearch.holding import scratch


def check_same_outputs(shared: Path, alone: Path, inputs: Mapping[str, Tensor]) -> None:
    """Passes where both files give the same outputs, bit by bit; else BstsearchError."""
    feed = {name: tensor.numpy() for name, tensor in inputs.items()}
    one, other = (open_session(path, threads=1).run(None, feed)[0] for path in (shared, alone))
    if one.tobytes() != other.tobytes():
        difference = float(np.abs(one - other).max())
        raise BstsearchError(
            f"{shared.name} differs from the submodel's own file by {difference:.1e}, expected equal bits; "
            "nothing was written"
        )


def check_folded(shared: Path) -> None:
    """Passes where ONNX Runtime, once it has loaded the file, computes nothing of constants; else BstsearchError."""
    with scratch() as folder:
        optimised = folder / "optimised.onnx"
        _optimise(shared, optimised)
        graph = onnx.load(optimised, load_external_data=False).graph
    constants = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if node.input and constants >= {name for name in node.input if name}:
            raise BstsearchError(
                f"{shared.name}: this ONNX Runtime leaves a {node.op_type} of weights to every run, and is slower for "
                "it; nothing was written"
            )


def _optimise(path: Path, target: Path) -> Any:
    """Writes what ONNX Runtime makes of a graph when it loads it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    options.optimized_model_filepath = str(target)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
