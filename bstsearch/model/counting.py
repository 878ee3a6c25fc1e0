"""What a submodel costs on any device: its parameters, and the multiply-adds of one forward pass.

The convention is that of the published figures (Yu et al., arXiv 2203.12814): one GFLOP is 1e9 / 2 multiply-adds.
Matrix products, convolutions, attention and the LSTM count. Element-wise operations, softmax, normalisation, biases and
look-ups count nothing. The whole word embedding counts as parameters.

So an operator that is no product is free; where the convention does not name it, that is noted. A product that cannot
be counted here raises an error: its multiply-adds would be missing silently.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

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
from bstsearch.listener import SILENT, Listener
from bstsearch.model.cost import Cost, total
from bstsearch.model.family import Config, Family
from bstsearch.space import Submodel

__all__ = ["Parts", "count", "count_parts", "fixed_macs", "is_product", "weightless"]

# Free by the convention, beside what fvcore leaves out itself (views, copies, comparisons); nothing is said of them.
VIEWS = ("meshgrid", "unflatten")
ARITHMETIC = ("abs", "add", "div", "exp", "mul", "neg", "pow", "rsub", "sqrt", "sub")
ACTIVATIONS = ("gelu", "sigmoid", "silu", "tanh")
OVER_AN_AXIS = ("avg_pool2d", "log_softmax", "mean", "softmax", "std", "sum", "var")
# BatchNorm in eval mode is one factor and one term per channel, which its convolution can take over.
NORMS = ("batch_norm", "layer_norm")
LOOK_UPS = ("embedding",)
FREE = (*VIEWS, *ARITHMETIC, *ACTIVATIONS, *OVER_AN_AXIS, *NORMS, *LOOK_UPS)

# Operators that multiply matrices, by name; in part or whole, before or after other words.
_PRODUCTS = re.compile(
    r"mm(_|$)|matmul|mv$|dot|einsum|conv(?!ert)|linear(?!1d|2d|3d)"  # linear1d and so on are resizing
    r"|attention|sdp|transformer|lstm|gru|rnn|fft_(?!.*(freq|shift)$)|stft|cdist|pdist|euclidean_dist"
    r"|^_*(addr|chain_matmul|corrcoef|cov|ger|inner|kron|outer|trilinear)$|matrix_(exp|power)"
    r"|^linalg_(?!.*norm$)(?!cross$)(?!diagonal$)|cholesky|inverse|(?<!re)solve|lstsq|svd|eig(?!ht)|qr$|det$|householder|orgqr|ormqr"
)

RECURRENT = "recurrent"  # the name under which an LSTM's steps are counted, beside "lstm" for its other products


class Parts(NamedTuple):
    """One submodel's cost in parts: of each layer that it keeps, a row per stack, and of all the rest.

    `unnamed` are its operators that count as free though the convention does not name them.
    """

    base: Cost
    layers: tuple[tuple[Cost, ...], ...]
    unnamed: frozenset[str] = frozenset()

    @property
    def total(self) -> Cost:
        """The cost of the submodel."""
        return total([self.base, *itertools.chain.from_iterable(self.layers)])


def count(family: Family, config: Config, submodel: Submodel, listener: Listener = SILENT) -> Cost:
    """The cost of one submodel; InputError where its model runs a product that cannot be counted.

    No weight is allocated, whatever the model's size. The fixed part is counted once for all submodels. `listener`
    hears of the full model, which has all operators, which ones are free though the convention does not name them.
    """
    parts = count_parts(family, config, submodel)
    if submodel == Submodel():
        say_unnamed(family, parts, listener)
    return parts.total


def count_parts(family: Family, config: Config, submodel: Submodel) -> Parts:
    """The cost of one submodel in parts, told apart by the names of parameters and modules; InputError as of `count`.

    A layer that does not run under its own name counts nothing there, and the rest has what it costs.
    """
    model = weightless(family, family.shrink(config, submodel))
    fixed, features = _fixed_part(family, config)
    elastic = _macs(_Part(model, "elastic"), features, family.name)
    sizes = Counter[str]()
    for name, parameter in model.named_parameters():
        sizes.update(dict.fromkeys(_owners(name), parameter.numel()))

    def layer(name: str) -> Cost:
        operators = elastic.by_module.get(f"model.{name}", Counter())
        return Cost(parameters=sizes[name], macs=operators.total(), recurrent_macs=operators[RECURRENT])

    kept = family.kept_layers(config, submodel)
    layers = tuple(tuple(layer(f"{prefix}.{index}") for index in range(len(rows))) for prefix, rows in kept.items())
    of_layers = total(itertools.chain.from_iterable(layers))
    base = Cost(
        parameters=sizes[""] - of_layers.parameters,
        macs=fixed.total + elastic.total - of_layers.macs,
        recurrent_macs=fixed.recurrent + elastic.recurrent - of_layers.recurrent_macs,
    )
    return Parts(base=base, layers=layers, unnamed=fixed.unnamed | elastic.unnamed)


def say_unnamed(family: Family, parts: Parts, listener: Listener) -> None:
    """Tells of the operators that count as free though the convention does not name them, where there are some."""
    if parts.unnamed:
        names = ", ".join(sorted(parts.unnamed))
        listener.note(f"{family.name}: counted as free, for they are no matrix products: {names}")


def is_product(operator: str) -> bool:
    """Whether an operator of that name may multiply matrices; one that is not torch's own may do anything.

    >>> is_product("aten::addmv"), is_product("aten::cumsum"), is_product("mine::fused")
    (True, False, True)
    """
    namespace, _, name = operator.partition("::")
    return namespace != "aten" or _PRODUCTS.search(name.rstrip("_")) is not None


def fixed_macs(family: Family, config: Config) -> int:
    """The multiply-adds that every submodel has: those of the part that is never slimmed."""
    return _fixed_part(family, config)[0].total


def weightless(family: Family, config: Config) -> nn.Module:
    """The model in eval mode, of right shapes, with one zero in memory in place of each weight.

    Unlike a model on the meta device it runs: fvcore's tracing does not work there (convolutions fail).
    """
    with torch.device("meta"):
        model = family.build(config).eval()
    stand_ins: dict[nn.Parameter, nn.Parameter] = {}  # one for each identity, so that tied weights stay tied
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter not in stand_ins:
                zeros = torch.zeros((), dtype=parameter.dtype).expand(parameter.shape)
                stand_ins[parameter] = nn.Parameter(zeros, requires_grad=False)
            setattr(module, name, stand_ins[parameter])
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, torch.zeros_like(buffer, device="cpu"))
    return model


class _Macs(NamedTuple):
    """The multiply-adds of a part by module ("" is the part) and operator; its free operators that nothing names."""

    by_module: Mapping[str, Counter[str]]
    unnamed: frozenset[str]

    @property
    def total(self) -> int:
        return self.by_module[""].total()

    @property
    def recurrent(self) -> int:
        return self.by_module[""][RECURRENT]


@functools.lru_cache(maxsize=8)
def _fixed_part(family: Family, config: Config) -> tuple[_Macs, tuple[Tensor, ...]]:
    """The multiply-adds of the fixed part, and what it returns for the example inputs."""
    model, inputs = weightless(family, config), family.example_inputs(config, 1)
    with torch.no_grad():
        features = model.fixed(**inputs)  # type: ignore[operator]
    return _macs(_Part(model, "fixed", tuple(inputs)), tuple(inputs.values()), family.name), features


def _macs(part: _Part, inputs: tuple[Tensor, ...], name: str) -> _Macs:
    analysis = FlopCountAnalysis(part, inputs)
    # Emptied first: fvcore counts norms by default, and goes on counting an operator whose handle is set to None.
    analysis.clear_op_handles()
    analysis.set_op_handle(**_COUNTED, **{f"aten::{operator}": None for operator in FREE})
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    with torch.no_grad():
        counted = analysis.by_module_and_operator()
    by_module = {
        name: Counter({operator: int(macs) for operator, macs in macs_of.items()}) for name, macs_of in counted.items()
    }
    others = sorted(analysis.unsupported_ops())
    if unknown := [operator for operator in others if is_product(operator)]:
        raise InputError(
            f"{name} runs {unknown[0]}, which may multiply matrices, and cannot be counted; "
            "write it with torch's matmul, linear, convolution or attention"
        )
    unnamed = frozenset(operator.removeprefix("aten::") for operator in others)
    return _Macs(by_module=by_module, unnamed=unnamed)


def _owners(name: str) -> list[str]:
    """The modules that a parameter of that name is in, from the whole model, "", on.

    >>> _owners("layers.0.weight")
    ['', 'layers', 'layers.0']
    """
    words = name.split(".")
    return [".".join(words[:end]) for end in range(len(words))]


class _Part(nn.Module):
    """One method of a model as a module by itself, its inputs by position, as tracing wants it."""

    def __init__(self, model: nn.Module, method: str, names: Sequence[str] = ()) -> None:
        super().__init__()
        self.model, self.method, self.names = model, method, names

    def forward(self, *inputs: Tensor) -> Any:
        method = getattr(self.model, self.method)
        return method(**dict(zip(self.names, inputs, strict=True))) if self.names else method(*inputs)


def _lstm(inputs: Sequence[Any], _outputs: Sequence[Any]) -> Counter[str]:
    """Every weight matrix is applied once to every token (any number of layers and directions)."""
    tokens = math.prod(get_shape(inputs[0])[:-1])
    shapes = [get_shape(weight) for weight in inputs[2].node().inputs()]
    matrices = [math.prod(shape) for shape in shapes if len(shape) == 2]
    layers, is_bidirectional = inputs[4].toIValue(), inputs[7].toIValue()
    each = len(matrices) // (layers * (1 + is_bidirectional))
    from_input = sum(matrices[::each])  # first of each layer and direction; the others act on its state
    return Counter({"lstm": tokens * from_input, RECURRENT: tokens * (sum(matrices) - from_input)})


def _attention(inputs: Sequence[Any], _outputs: Sequence[Any]) -> int:
    """Two products per query and key: the score, over the key's size, and the sum, over the value's."""
    *batch, queries, size = get_shape(inputs[0])
    keys, value_size = get_shape(inputs[2])[-2:]
    return int(math.prod(batch) * queries * keys * (size + value_size))


def _convolution(inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    """Every weight once for each place of the output; padding is given as a word ("same"), which changes nothing."""
    batch, _, *places = get_shape(outputs[0])
    return int(batch * math.prod(get_shape(inputs[1])) * math.prod(places))


def _baddbmm(inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    """The product; what it is added to costs nothing."""
    return int(bmm_flop_jit(inputs[1:3], outputs))


_COUNTED = {
    "aten::_convolution": conv_flop_jit,
    "aten::_convolution_mode": _convolution,
    "aten::addmm": addmm_flop_jit,
    "aten::baddbmm": _baddbmm,
    "aten::bmm": bmm_flop_jit,
    "aten::einsum": einsum_flop_jit,
    "aten::linear": linear_flop_jit,
    "aten::lstm": _lstm,
    "aten::matmul": matmul_flop_jit,
    "aten::mm": matmul_flop_jit,
    "aten::scaled_dot_product_attention": _attention,
}
