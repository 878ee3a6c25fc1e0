"""A submodel of a bundle, held against the file that it has by itself: equal outputs, nothing sliced when it runs."""

from __future__ import annotations

from collections import Counter
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


def check_folded(shared: Path, alone: Path) -> None:
    """Passes where ONNX Runtime makes the same nodes of both files when it loads them; else BstsearchError."""
    found, expected = _kinds(shared), _kinds(alone)
    if left := found - expected:
        raise BstsearchError(
            f"{shared.name}: this ONNX Runtime leaves a {min(left)} of weights to every run, and is slower for it; "
            "nothing was written"
        )


def _kinds(path: Path) -> Counter[str]:
    """The operators of a graph that is loaded."""
    with scratch() as folder:
        optimised = folder / "optimised.onnx"
        _optimise(path, optimised)
        return Counter(node.op_type for node in onnx.load(optimised, load_external_data=False).graph.node)


def _optimise(path: Path, target: Path) -> Any:
    """Writes what ONNX Runtime makes of a graph when it loads it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    options.optimized_model_filepath = str(target)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
