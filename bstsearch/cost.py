"""What a submodel costs on any device: its parameters, and the multiply-adds of one forward pass.

The convention is that of the published figures (Yu et al., arXiv 2203.12814): one GFLOP is 1e9 / 2
multiply-adds; matrix products, convolutions, attention and the LSTM count, the whole word embedding counts
as parameters; element-wise operations, softmax, normalisation, biases and look-ups count nothing.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from fvcore.nn import FlopCountAnalysis
from fvcore.nn.jit_handles import (
    addmm_flop_jit,
    bmm_flop_jit,
    conv_flop_jit,
    einsum_flop_jit,
    get_shape,
    linear_flop_jit,
    matmul_flop_jit,
)
from torch import Tensor, nn

from bstsearch.errors import InputError
from bstsearch.family import Config, Family
from bstsearch.space import Submodel

# Free of charge, beside what fvcore leaves out itself (views, copies, comparisons):
VIEWS = ("unflatten",)
ARITHMETIC = ("abs", "add", "div", "exp", "mul", "neg", "pow", "rsub", "sqrt", "sub")
ACTIVATIONS = ("gelu", "sigmoid", "silu", "tanh")
OVER_AN_AXIS = ("avg_pool2d", "log_softmax", "mean", "softmax", "std", "sum", "var")
# BatchNorm in eval mode is one factor and one term per channel, which its convolution can take over.
NORMS = ("batch_norm", "layer_norm")
LOOK_UPS = ("embedding",)
FREE = (*VIEWS, *ARITHMETIC, *ACTIVATIONS, *OVER_AN_AXIS, *NORMS, *LOOK_UPS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """Parameters, and multiply-adds (MACs) at batch 1.

    >>> cost = Cost(parameters=9_533_963, macs=82_279_936)
    >>> round(cost.gflops, 4), cost.size_bytes
    (0.1646, 38135852)
    """

    parameters: int
    macs: int

    @property
    def gflops(self) -> float:
        """Floating-point operations in units of 1e9, two to a multiply-add."""
        return 2 * self.macs / 1e9

    @property
    def size_bytes(self) -> int:
        """Bytes of the parameters in float32."""
        return 4 * self.parameters


def count(family: Family, config: Config, submodel: Submodel) -> Cost:
    """The cost of `submodel`; InputError where its model runs an operator not known to count or to be free.

    The small model is built for real: fvcore's tracing works neither with fake nor with meta tensors
    (LSTM and BatchNorm fail). The full-size published models take half a second each.
    """
    small = family.shrink(config, submodel)
    with torch.random.fork_rng(devices=[]):
        model = family.build(small).eval()
    inputs = family.example_inputs(small, 1)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Cost(parameters=parameters, macs=_macs(model, inputs, family.name))


def _macs(model: nn.Module, inputs: Mapping[str, Tensor], name: str) -> int:
    analysis = FlopCountAnalysis(_ByPosition(model, tuple(inputs)), tuple(inputs.values()))
    # Emptied first: fvcore counts norms by default, and goes on counting an operator whose handle is set to None.
    analysis.clear_op_handles()
    analysis.set_op_handle(**_COUNTED, **{f"aten::{operator}": None for operator in FREE})
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    with torch.no_grad():
        macs = int(analysis.total())
    if unknown := sorted(analysis.unsupported_ops()):
        raise InputError(f"{name} runs {unknown[0]}, neither counted nor known to be free; add it to bstsearch/cost.py")
    return macs


class _ByPosition(nn.Module):
    """A model whose named inputs are given by position, as tracing wants them."""

    def __init__(self, model: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: Tensor) -> Tensor:
        output: Tensor = self.model(**dict(zip(self.names, inputs, strict=True)))
        return output


def _lstm(inputs: Sequence[Any], _outputs: Sequence[Any]) -> int:
    """Every weight matrix is applied once to every token (any number of layers and directions)."""
    tokens = math.prod(get_shape(inputs[0])[:-1])
    shapes = [get_shape(weight) for weight in inputs[2].node().inputs()]
    return int(tokens * sum(math.prod(shape) for shape in shapes if len(shape) == 2))


def _attention(inputs: Sequence[Any], _outputs: Sequence[Any]) -> int:
    """Two products per query and key: the score, over the key's size, and the sum, over the value's."""
    *batch, queries, size = get_shape(inputs[0])
    keys, value_size = get_shape(inputs[2])[-2:]
    return int(math.prod(batch) * queries * keys * (size + value_size))


_COUNTED = {
    "aten::_convolution": conv_flop_jit,
    "aten::addmm": addmm_flop_jit,
    "aten::bmm": bmm_flop_jit,
    "aten::einsum": einsum_flop_jit,
    "aten::linear": linear_flop_jit,
    "aten::lstm": _lstm,
    "aten::matmul": matmul_flop_jit,
    "aten::mm": matmul_flop_jit,
    "aten::scaled_dot_product_attention": _attention,
}
