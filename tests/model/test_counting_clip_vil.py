"""Counts of CLIP-ViL_p at its published size, without and with its image tower, against closed forms."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bstsearch.families.clip_vil import FAMILY, PRESETS, ClipVil, ClipVilConfig
from bstsearch.model.cost import Cost
from bstsearch.model.counting import count
from bstsearch.space import Space, Submodel

ON_TOWER = PRESETS["clip-vil-rn50x4"]
ON_GRID = dataclasses.replace(ON_TOWER, tower_layers=())  # 12 x 20 visual tokens, saved
ON_100 = dataclasses.replace(ON_GRID, image_height=320, image_width=320)  # as many as pre-training samples

ALL_CELLS = list(Space.bst(stacks=(12,), has_triangle_filter=False))
# One small cell is counted at once, the others in the slow suite.
CELLS = [cell if cell.id == "w1of4-d1of6" else pytest.param(cell, marks=pytest.mark.slow) for cell in ALL_CELLS]


def closed_form(config: ClipVilConfig, submodel: Submodel) -> Cost:
    """Parameters and multiply-adds without tower at batch 1, added up by hand.

    It takes for granted what holds there: the heads fill the hidden size, the FFN is four times and the
    head's inner size twice as wide, the text tables are slimmed.
    """
    hidden = int(config.hidden * submodel.width)
    layers = int(len(config.ffn) * submodel.depth)
    features, answers = config.visual_features, config.answers
    visual = config.grid[0] * config.grid[1]
    tokens = config.question_length + visual

    norm = 2 * hidden
    tables = (config.vocab + config.positions + 2) * hidden + norm
    positions = 2 * config.visual_positions * features
    layer = 4 * (hidden * hidden + hidden) + 8 * hidden * hidden + 5 * hidden + 2 * norm
    head = 2 * hidden * hidden + 2 * hidden + 2 * norm + (2 * hidden + 1) * answers
    parameters = tables + positions + (features + 1) * hidden + norm + layers * layer + hidden * hidden + hidden + head

    layer_macs = tokens * 12 * hidden * hidden + 2 * tokens * tokens * hidden
    macs = visual * features * hidden + layers * layer_macs + 3 * hidden * hidden + 2 * hidden * answers
    return Cost(parameters=parameters, macs=macs)


@pytest.mark.parametrize(
    ("config", "cell", "parameters", "macs"),
    [
        (ON_GRID, "w1-d1", 117_572_153, 23_807_448_576),
        (ON_GRID, "w3of4-d2of3", 55_999_673, 9_262_624_896),
        (ON_GRID, "w1of2-d1", 37_175_609, 6_382_529_280),
        (ON_GRID, "w1of4-d1of6", 8_785_721, 401_225_088),
        (ON_100, "w1-d1", 117_572_153, 10_660_763_136),
        (ON_100, "w1of2-d1of3", 22_979_897, 994_732_800),
        (ON_100, "w1of4-d1of6", 8_785_721, 167_691_648),
    ],
)
def test_the_closed_form_gives_what_the_public_code_takes(
    config: ClipVilConfig, cell: str, parameters: int, macs: int
) -> None:
    assert closed_form(config, Submodel.from_id(cell)) == Cost(parameters=parameters, macs=macs)


@pytest.mark.parametrize("config", [ON_GRID, ON_100], ids=["240 tokens", "100 tokens"])
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.id)
def test_counts_without_tower_are_exact(config: ClipVilConfig, cell: Submodel) -> None:
    assert count(FAMILY, config, cell) == closed_form(config, cell)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "parameters", "gflops"),
    [("clip-vil-rn50x4", 65_619_640, 115.54), ("clip-vil-rn50", 23_527_264, 52.58)],
)
def test_the_tower_costs_every_submodel_the_same(preset: str, parameters: int, gflops: float) -> None:
    config = PRESETS[preset]
    for cell in (Submodel.from_id("w1of4-d1of6"), Submodel()):
        found, rest = count(FAMILY, config, cell), closed_form(config, cell)
        assert found.parameters - rest.parameters == parameters
        assert round(found.gflops - rest.gflops, 2) == gflops


@pytest.mark.slow
def test_the_whole_model_is_the_published_one() -> None:
    found = count(FAMILY, ON_TOWER, Submodel())
    assert found.parameters == 183_191_793
    assert round(found.gflops, 2) == 163.16


@pytest.mark.parametrize(("cell", "parameters"), [("w1of4-d1of6", 26_811_641), ("w1-d1", 118_164_281)])
def test_tables_of_a_fixed_size_stay_whole_and_bring_an_adapter(cell: str, parameters: int) -> None:
    submodel = Submodel.from_id(cell)
    small = FAMILY.shrink(dataclasses.replace(ON_GRID, table_hidden=768), submodel)
    with torch.device("meta"):
        model = ClipVil(small)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


@pytest.mark.parametrize("submodel", FAMILY.space(PRESETS["clip-vil-easy-vqa"]), ids=lambda submodel: submodel.id)
def test_counts_of_the_small_preset_include_the_tower(submodel: Submodel) -> None:
    small = FAMILY.shrink(PRESETS["clip-vil-easy-vqa"], submodel)
    found = count(FAMILY, PRESETS["clip-vil-easy-vqa"], submodel)
    model = ClipVil(small).eval()
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(**FAMILY.example_inputs(small, 1))
    assert found.macs == counter.get_total_flops() // 2
    assert found.parameters == sum(parameter.numel() for parameter in model.parameters())
