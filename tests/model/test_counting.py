"""Counts against two other ways of getting them: closed forms written by hand, and torch's own counter."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode, flop_registry
from toy import FAMILY as TOY
from toy import Toy, ToyConfig

from bstsearch.errors import InputError
from bstsearch.families.mcan import FAMILY, PRESETS, Mcan, McanConfig
from bstsearch.listener import Listener
from bstsearch.model.cost import Cost
from bstsearch.model.counting import count, fixed_macs, is_product, weightless
from bstsearch.model.family import Family
from bstsearch.space import Space, Submodel

ALL_CELLS = list(Space.bst(stacks=(6, 6), has_triangle_filter=False))
# Smallest, largest, and one whose two shares differ; the other thirteen are counted in the slow suite.
CELLS = [
    cell if cell.id in ("w1of4-d1of6", "w1of2-d1of3", "w1-d1") else pytest.param(cell, marks=pytest.mark.slow)
    for cell in ALL_CELLS
]


def closed_form(config: McanConfig, submodel: Submodel) -> Cost:
    """Parameters and multiply-adds of a published MCAN at batch 1, added up by hand.

    It takes for granted what holds there: the heads fill the hidden size, the FFN is four times and the
    pooled vector twice as wide, the pooling MLP as wide.
    """
    hidden = int(config.hidden * submodel.width)
    layers = int(len(config.encoder_ffn) * submodel.depth)
    words, regions = config.question_length, config.regions
    features = config.region_features + config.box_features
    gates = 4 * config.lstm_hidden

    norm = 2 * hidden
    attention = 4 * (hidden * hidden + hidden)
    ffn = 8 * hidden * hidden + 5 * hidden
    pooling = (hidden * hidden + hidden) + (hidden + 1) + (2 * hidden * hidden + 2 * hidden)
    parameters = (
        config.word_dim * config.vocab
        + gates * (config.word_dim + config.lstm_hidden + 2)
        + (config.lstm_hidden * hidden + hidden + norm)
        + (features * hidden + hidden + norm * config.has_image_norm)
        + 6 * config.box_features
        + layers * (attention + ffn + 2 * norm)
        + layers * (2 * attention + ffn + 3 * norm)
        + 2 * pooling
        + 2 * 2 * hidden
        + (2 * hidden + 1) * config.answers
    )

    encoder = words * 12 * hidden * hidden + 2 * words * words * hidden
    self_attention = regions * 4 * hidden * hidden + 2 * regions * regions * hidden
    cross_attention = (2 * regions + 2 * words) * hidden * hidden + 2 * regions * words * hidden
    decoder = self_attention + cross_attention + regions * 8 * hidden * hidden
    macs = (
        words * gates * (config.word_dim + config.lstm_hidden)
        + words * config.lstm_hidden * hidden
        + regions * (features * hidden + 5 * config.box_features)
        + layers * (encoder + decoder)
        + (words + regions) * (hidden * hidden + hidden)
        + 2 * hidden * 2 * hidden
        + 2 * hidden * config.answers
    )
    return Cost(parameters=parameters, macs=macs, recurrent_macs=words * gates * config.lstm_hidden)


def torch_macs(model: nn.Module, inputs: dict[str, Tensor]) -> int:
    """What torch's own counter makes of one pass; it sees the LSTM and attention once they are taken apart."""
    with torch.no_grad(), without_mkldnn(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(**inputs)
    return counter.get_total_flops() // 2


@contextlib.contextmanager
def without_mkldnn() -> Iterator[None]:
    before = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = False
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = before


@pytest.mark.parametrize(
    ("preset", "cell", "parameters", "macs"),
    [
        ("mcan-vqa-v2", "w1-d1", 58_077_195, 2_747_541_504),
        ("mcan-vqa-v2", "w1of2-d1", 21_556_235, 750_105_600),
        ("mcan-vqa-v2", "w1of4-d1of6", 9_533_963, 82_279_936),
        ("mcan-gqa", "w1-d1", 52_527_185, 3_228_403_200),
        ("mcan-gqa", "w1of4-d1of6", 4_185_937, 139_354_240),
    ],
)
def test_the_closed_form_gives_the_published_totals(preset: str, cell: str, parameters: int, macs: int) -> None:
    found = closed_form(PRESETS[preset], Submodel.from_id(cell))
    assert (found.parameters, found.macs) == (parameters, macs)


@pytest.mark.parametrize("preset", ["mcan-vqa-v2", "mcan-gqa"])
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.id)
def test_counts_of_the_published_models_are_exact(preset: str, cell: Submodel) -> None:
    config = PRESETS[preset]
    found = count(FAMILY, config, cell)
    assert found == closed_form(config, cell)
    small = FAMILY.shrink(config, cell)
    assert found.macs == torch_macs(Mcan(small).eval(), FAMILY.example_inputs(small, 1))


@pytest.mark.parametrize("submodel", FAMILY.space(PRESETS["mcan-easy-vqa"]), ids=lambda submodel: submodel.id)
def test_counts_of_the_demo_include_the_stem(submodel: Submodel) -> None:
    small = FAMILY.shrink(PRESETS["mcan-easy-vqa"], submodel)
    model = Mcan(small).eval()
    found = count(FAMILY, PRESETS["mcan-easy-vqa"], submodel)
    assert found.macs == torch_macs(model, FAMILY.example_inputs(small, 1))
    assert found.parameters == sum(parameter.numel() for parameter in model.parameters())


def test_layers_that_choose_for_themselves_are_counted() -> None:
    half = Submodel(heads=(Fraction(1, 2), *[Fraction(1)] * 7))
    config = PRESETS["mcan-easy-vqa"]
    saved = count(FAMILY, config, Submodel()).macs - count(FAMILY, config, half).macs
    # Half of four projections and of two products of attention, over the words of one encoder layer.
    words, hidden = config.question_length, config.hidden
    assert saved == (4 * words * hidden * hidden + 2 * words * words * hidden) // 2


def test_tied_parameters_count_once() -> None:
    config = ToyConfig()
    tied = Toy(config)
    found = count(TOY, config, Submodel())
    assert found.parameters == sum(parameter.numel() for parameter in tied.parameters())
    assert found.parameters < sum(parameter.numel() for _, parameter in tied.named_parameters(remove_duplicate=False))
    assert found.macs == torch_macs(tied, TOY.example_inputs(config, 1))


def test_counting_allocates_no_weights() -> None:
    model = weightless(FAMILY, PRESETS["mcan-vqa-v2"])
    assert sum(parameter.numel() for parameter in model.parameters()) == 58_077_195
    assert sum(parameter.untyped_storage().nbytes() for parameter in model.parameters()) < 4_000


def test_a_weightless_model_has_the_real_one_s_shapes() -> None:
    config = PRESETS["mcan-easy-vqa"]
    shapes = {name: tensor.shape for name, tensor in Mcan(config).state_dict().items()}
    assert {name: tensor.shape for name, tensor in weightless(FAMILY, config).state_dict().items()} == shapes


def test_the_fixed_part_is_what_every_submodel_has() -> None:
    # The LSTM alone: 14 words through four gates of 512, from 300 and from 512 numbers.
    assert fixed_macs(FAMILY, PRESETS["mcan-vqa-v2"]) == 14 * 4 * 512 * (300 + 512)


def test_recurrent_products_are_those_of_the_lstm_s_state() -> None:
    # 14 words, each through the four gates' 512 x 512; the 300 numbers of a word go in for all words at once.
    found = count(FAMILY, PRESETS["mcan-vqa-v2"], Submodel.from_id("w1of4-d1of6"))
    assert found.recurrent_macs == 14 * 4 * 512 * 512
    assert found.recurrent_bytes == 14 * (4 * 512 * 512) * 4


def test_counting_draws_no_random_number() -> None:
    state = torch.get_rng_state()
    count(TOY, ToyConfig(), Submodel())
    assert torch.equal(torch.get_rng_state(), state)


# Operators one by one


class AllElastic(nn.Module):
    """A module as a model without fixed part."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def fixed(self, **inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(inputs.values())

    def elastic(self, *features: Tensor) -> Tensor:
        return self.module(*features)


def family_of(build: Callable[[], nn.Module], **inputs: Tensor) -> Family:
    """A family that knows one model of one size."""
    return dataclasses.replace(
        TOY, build=lambda config: AllElastic(build()), example_inputs=lambda config, batch: inputs
    )


class Recurrent(nn.Module):
    def __init__(self, options: dict[str, object]) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, 8, **options)

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(x)[0]


@pytest.mark.parametrize(
    ("options", "recurrent"),
    [
        ({}, 4 * 8 * 8),
        ({"batch_first": True}, 4 * 8 * 8),
        ({"num_layers": 2}, 2 * 4 * 8 * 8),
        ({"bidirectional": True}, 2 * 4 * 8 * 8),
        ({"num_layers": 2, "bidirectional": True}, 4 * 4 * 8 * 8),
        ({"bias": False}, 4 * 8 * 8),
    ],
    ids=str,
)
def test_lstm(options: dict[str, object], recurrent: int) -> None:
    x = torch.randn(4, 5, 6)
    found = count(family_of(lambda: Recurrent(options), x=x), ToyConfig(), Submodel())
    assert found.macs == torch_macs(Recurrent(options), {"x": x})
    assert found.recurrent_macs == 4 * 5 * recurrent  # each of 20 tokens, through these weights


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
def test_lstm_whose_state_is_projected() -> None:
    # Four gates of 8, from 6 numbers of input and 3 of state; 8 are projected to 3 before the next step.
    family = family_of(lambda: Recurrent({"proj_size": 3}), x=torch.randn(1, 5, 6))
    found = count(family, ToyConfig(), Submodel())
    assert (found.macs, found.recurrent_macs) == (5 * (4 * 8 * (6 + 3) + 3 * 8), 5 * (4 * 8 * 3 + 3 * 8))


class Attending(nn.Module):
    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return nn.functional.scaled_dot_product_attention(q, k, v)


def test_attention_whose_values_are_wider_than_its_keys() -> None:
    inputs = {"q": torch.randn(2, 3, 5, 4), "k": torch.randn(2, 3, 7, 4), "v": torch.randn(2, 3, 7, 6)}
    found = count(family_of(Attending, **inputs), ToyConfig(), Submodel()).macs
    assert found == torch_macs(Attending(), inputs) == 2 * 3 * 5 * 7 * (4 + 6)


def test_norms_and_element_wise_operations_are_free() -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.LayerNorm(6), nn.GELU(), nn.BatchNorm1d(4), nn.Sigmoid(), nn.Softmax(-1))

    assert count(family_of(build, input=torch.randn(2, 4, 6)), ToyConfig(), Submodel()).macs == 0


class Applied(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def applied(function: Callable[..., Tensor]) -> Family:
    """A family whose one model applies `function` to a square matrix."""
    return family_of(lambda: Applied(function), x=torch.rand(3, 3))


class Notes(Listener):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: x.cumsum(-1), "cumsum"),
        (lambda x: x.rsqrt(), "rsqrt"),
        (lambda x: torch.where(x > 0, x, -x), "where"),
        (lambda x: x.lgamma(), "lgamma"),
        (lambda x: x.cummax(-1).values, "cummax"),
        (lambda x: nn.functional.normalize(x), "linalg_vector_norm"),
        (lambda x: nn.functional.interpolate(x[None, None], 6, mode="bilinear"), "upsample_bilinear2d"),
    ],
)
def test_an_operator_without_a_matrix_product_is_free_and_noted(function: Callable[..., Tensor], name: str) -> None:
    family, notes = applied(function), Notes()
    assert count(family, ToyConfig(), Submodel(), notes).macs == 0
    (line,) = notes.lines
    assert line.startswith("toy: counted as free, for they are no matrix products: ")
    assert name in line.rpartition(": ")[2].split(", ")


def test_what_the_convention_names_is_not_noted() -> None:
    notes = Notes()
    count(applied(lambda x: x.view(-1).exp().softmax(-1)), ToyConfig(), Submodel(), notes)
    count(applied(lambda x: x.cumsum(-1)), ToyConfig(), Submodel(width=Fraction(1, 2)), notes)  # only once: of the full
    assert notes.lines == []


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: x.mv(x[0]), "aten::mv"),
        (lambda x: torch.cdist(x, x), "aten::cdist"),
        (lambda x: torch.linalg.inv(x), "aten::linalg_inv"),
        (lambda x: torch.fft.fft(x).abs(), "aten::fft_fft"),
        (lambda x: torch.outer(x[0], x[1]), "aten::outer"),
    ],
)
def test_a_product_that_cannot_be_counted_is_refused(function: Callable[..., Tensor], name: str) -> None:
    with pytest.raises(InputError, match=f"toy runs {name}, which may multiply matrices, and cannot be counted; write"):
        count(applied(function), ToyConfig(), Submodel())


class Doubled(torch.autograd.Function):
    """What nobody can look into."""

    @staticmethod
    def forward(context: object, x: Tensor) -> Tensor:
        return x @ x

    @staticmethod
    def backward(context: object, *gradients: Tensor) -> Tensor:
        raise NotImplementedError


def test_an_operator_of_somebody_s_own_is_refused() -> None:
    with pytest.raises(InputError, match=r"toy runs prim::PythonOp\.Doubled, which may multiply matrices"):
        count(applied(Doubled.apply), ToyConfig(), Submodel())


def test_a_batched_product_with_a_sum_counts() -> None:
    x = torch.rand(2, 3, 3)
    found = count(family_of(lambda: Applied(lambda x: torch.baddbmm(x, x, x)), x=x), ToyConfig(), Submodel())
    assert found.macs == 2 * 3 * 3 * 3


def test_all_that_torch_s_own_counter_counts_are_products() -> None:
    counted = {str(operator).replace(".", "::") for operator in flop_registry if str(operator).startswith("aten.")}
    assert len(counted) > 15
    assert {operator for operator in counted if not is_product(operator)} == set()


@pytest.mark.parametrize("name", ["_weight_norm", "resolve_conj", "fft_fftshift", "linalg_norm", "lgamma", "convert"])
def test_a_name_that_only_looks_like_a_product_s_is_none(name: str) -> None:
    assert not is_product(f"aten::{name}")
