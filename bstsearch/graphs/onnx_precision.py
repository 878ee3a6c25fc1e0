"""An ONNX file in another precision: float16, or int8 in its linear maps."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import onnx

from bstsearch.space import Precision
from bstsearch.writing import writing


def write_at(precision: Precision, source: Path, path: Path) -> None:
    """Replaces `path` by the float32 ONNX file `source` in that precision, atomically.

    Inputs and outputs stay as they are. `path` may be `source`.
    """
    if precision == "int8":
        _write_int8(source, path)
    elif precision == "float16":
        _write_float16(source, path)
    elif path != source:
        with writing(path) as temporary:
            shutil.copyfile(source, temporary)


def example_rows(precision: Precision, rows: int) -> int:
    """How many examples may be computed together, of `rows`, without one changing another's outputs.

    In int8 it is one: activations are quantised by the largest of the whole batch.
    """
    return 1 if precision == "int8" else rows


def _write_float16(source: Path, path: Path) -> None:
    """Weights and activations are float16; casts stand at inputs and outputs.

    A runtime without float16 products, as ONNX Runtime on a PC's processor is, computes in float32 and rounds
    after each operator.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = convert_float_to_float16(onnx.load(source), keep_io_types=True)
    with writing(path) as temporary:
        onnx.save(model, temporary)


def _write_int8(source: Path, path: Path) -> None:
    """Weights of linear maps are int8; activations are quantised as they come (onnxruntime's dynamic quantisation).

    Convolutions and LSTM stay float32: the runtime has only slow or non-standard operators for them.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with writing(path) as temporary, _quiet_quantiser():
        quantize_dynamic(
            source,
            temporary,
            op_types_to_quantize=["Gemm", "MatMul"],
            per_channel=True,
            # Seven bits: processors without VNNI add pairs of products in 16 bits, which overflow with eight.
            reduce_range=True,
            weight_type=QuantType.QInt8,
        )


@contextlib.contextmanager
def _quiet_quantiser() -> Iterator[None]:
    """Keeps its advice to preprocess, which `simplify` did better, from the root logger."""
    logger = logging.getLogger()
    logger.addFilter(_is_no_advice)
    try:
        yield
    finally:
        logger.removeFilter(_is_no_advice)


def _is_no_advice(record: logging.LogRecord) -> bool:
    return "pre-processing before quantization" not in record.getMessage()
