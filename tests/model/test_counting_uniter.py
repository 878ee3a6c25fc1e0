"""Counts of UNITER-base under three assumptions about its tokens, against closed forms."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bstsearch.families.uniter import FAMILY, PRESETS, Uniter, UniterConfig
from bstsearch.model.cost import Cost
from bstsearch.model.counting import count
from bstsearch.space import Space, Submodel

BASE = PRESETS["uniter-base"]
TOKENS = ((16, 100), (20, 36), (20, 100))
CONFIGS = {
    (text, regions): dataclasses.replace(BASE, question_length=text, regions=regions) for text, regions in TOKENS
}
FIXED_TABLES = dataclasses.replace(BASE, table_hidden=768)
ALL_CELLS = list(Space.bst(stacks=(12,), has_triangle_filter=False))
# One small cell is counted at once, the others in the slow suite.
CELLS = [cell if cell.id == "w1of4-d1of6" else pytest.param(cell, marks=pytest.mark.slow) for cell in ALL_CELLS]


def closed_form(config: UniterConfig, submodel: Submodel) -> Cost:
    """Parameters and multiply-adds at batch 1, added up by hand.

    It takes for granted what holds there: the heads fill the hidden size, the FFN is four times and the
    head's inner size twice as wide.
    """
    hidden = int(config.hidden * submodel.width)
    layers = int(len(config.ffn) * submodel.depth)
    table = config.table_hidden or hidden
    text, regions, answers = config.question_length, config.regions, config.answers
    tokens = text + regions

    norm = 2 * hidden
    tables = (config.vocab + config.positions + 2) * table + 2 * table
    adapter = (table + 1) * hidden + norm if config.table_hidden else 0
    image = (config.region_features + 1) * hidden + 8 * hidden + 3 * norm
    layer = 4 * (hidden * hidden + hidden) + 8 * hidden * hidden + 5 * hidden + 2 * norm
    head = 2 * hidden * hidden + 2 * hidden + 2 * norm + (2 * hidden + 1) * answers
    parameters = tables + adapter + image + layers * layer + hidden * hidden + hidden + head

    macs = (
        (text * table * hidden if config.table_hidden else 0)
        + regions * (config.region_features + 7) * hidden
        + layers * (tokens * 12 * hidden * hidden + 2 * tokens * tokens * hidden)
        + 3 * hidden * hidden
        + 2 * hidden * answers
    )
    return Cost(parameters=parameters, macs=macs)


@pytest.mark.parametrize(
    ("tokens", "cell", "parameters", "macs"),
    [
        ((16, 100), "w1-d1", 115_888_185, 10_264_840_704),
        ((16, 100), "w1of2-d1", 36_269_625, 2_668_872_960),
        ((16, 100), "w1of4-d1of6", 8_268_729, 153_731_712),
        ((20, 36), "w1-d1", 115_888_185, 4_877_535_744),
        ((20, 36), "w3of4-d2of3", 54_704_697, 1_859_741_568),
        ((20, 100), "w1-d1", 115_888_185, 10_621_979_136),
        ((20, 100), "w1of4-d1of3", 9_158_457, 275_223_168),
    ],
)
def test_the_closed_form_gives_what_the_public_code_takes(
    tokens: tuple[int, int], cell: str, parameters: int, macs: int
) -> None:
    assert closed_form(CONFIGS[tokens], Submodel.from_id(cell)) == Cost(parameters=parameters, macs=macs)


@pytest.mark.parametrize(("cell", "parameters"), [("w1of4-d1of6", 25_415_673), ("w1-d1", 116_480_313)])
def test_fixed_tables_cost_an_adapter(cell: str, parameters: int) -> None:
    assert closed_form(FIXED_TABLES, Submodel.from_id(cell)).parameters == parameters


@pytest.mark.parametrize("config", [*CONFIGS.values(), FIXED_TABLES], ids=[*map(str, CONFIGS), "fixed tables"])
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.id)
def test_counts_are_exact(config: UniterConfig, cell: Submodel) -> None:
    assert count(FAMILY, config, cell) == closed_form(config, cell)


@pytest.mark.parametrize("submodel", FAMILY.space(PRESETS["uniter-easy-vqa"]), ids=lambda submodel: submodel.id)
def test_counts_of_the_small_preset_include_the_stem(submodel: Submodel) -> None:
    small = FAMILY.shrink(PRESETS["uniter-easy-vqa"], submodel)
    found = count(FAMILY, PRESETS["uniter-easy-vqa"], submodel)
    model = Uniter(small).eval().requires_grad_(False)  # else the counter follows gradients into its modules
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(**FAMILY.example_inputs(small, 1))
    assert found.macs == counter.get_total_flops() // 2
    assert found.parameters == sum(parameter.numel() for parameter in model.parameters())
