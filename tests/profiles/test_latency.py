from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from bstsearch.errors import InputError
from bstsearch.profiles.latency import BASE, LatencyTable, around, blocks_of
from bstsearch.profiles.profile import BlockRow, DeviceProfile, MeasuredModel
from bstsearch.space import Space, Submodel

MakeProfile = Callable[..., DeviceProfile]
QUARTERS = tuple(Fraction(n, 4) for n in (1, 2, 3, 4))
GRID = list(Space.bst(stacks=(4, 4)).grid())
STACKS = {"backbone.enc_list": 4, "backbone.dec_list": 4}
MIXED = "w1of2-d1of2-h1234of4"


@st.composite
def layerwise(draw: st.DrawFn) -> Submodel:
    cell = draw(st.sampled_from(GRID))
    row = st.lists(st.sampled_from(QUARTERS), min_size=int(8 * cell.depth), max_size=int(8 * cell.depth)).map(tuple)
    return Submodel(width=cell.width, depth=cell.depth, heads=draw(row), ffn=draw(row))


@pytest.fixture(scope="module")
def model(tiny_folder: Path, make_profile: MakeProfile) -> MeasuredModel:
    return make_profile(tiny_folder).models[0]


@pytest.fixture(scope="module")
def table(model: MeasuredModel) -> LatencyTable:
    return LatencyTable("phone", model)


def block(model: MeasuredModel, kind: str, shape: tuple[Fraction, ...]) -> BlockRow:
    """The row of a block, by reading the table from top to bottom."""
    texts = [*map(str, shape), None, None][:3]
    (row,) = (row for row in model.blocks if [row.block, row.width, row.heads, row.ffn] == [kind, *texts])
    return row


# Measured


def test_a_row_is_returned_as_measured(table: LatencyTable, model: MeasuredModel) -> None:
    for row in model.submodels:
        found = table.latency(Submodel.from_id(row.id))
        assert (found.ms, found.source) == (row.latency_ms, "measured")
        assert (found.low_ms, found.high_ms) == (row.low_ms, row.high_ms)
        memory = table.memory(Submodel.from_id(row.id))
        assert (memory.bytes, memory.source) == (row.peak_memory_bytes, "measured")
        assert memory.low_bytes == memory.high_bytes == memory.bytes
        assert (found.safe_ms, memory.safe_bytes) == (row.high_ms, memory.bytes)


def test_the_table_is_that_of_the_architecture_asked_for(tiny_folder: Path, make_profile: MakeProfile) -> None:
    profile = make_profile(tiny_folder)
    other = structs.replace(profile.models[0], architecture="0" * 16, family="uniter", submodels=())
    both = structs.replace(profile, models=(other, profile.models[0]))
    table = LatencyTable.from_profile(both, profile.models[0].architecture, "mcan")
    assert table.latency(Submodel()).source == "measured"
    with pytest.raises(InputError, match="holds no measurement of this model"):
        LatencyTable.from_profile(both, "1" * 16, "mcan")


# Composed


@given(st.lists(layerwise(), min_size=1, max_size=3))
def test_a_submodel_without_a_row_is_the_sum_of_its_blocks(
    table: LatencyTable, model: MeasuredModel, unseen: list[Submodel]
) -> None:
    for submodel in unseen:
        if submodel in GRID:
            continue
        rows = [block(model, kind, shape) for kind, shape in blocks_of(submodel, STACKS)]
        found, memory = table.latency(submodel), table.memory(submodel)
        assert (found.ms, found.source) == (pytest.approx(sum(row.latency_ms for row in rows)), "composed")
        shares = (submodel.width, *submodel.heads, *submodel.ffn)
        live = max(
            row.activation_bytes
            for row in model.activations
            if row.width == str(submodel.width) and Fraction(row.share) in shares
        )
        assert memory.bytes == 10_000_000 + 2 * sum(row.weight_bytes for row in rows) + live
        assert memory.source == "composed"


def test_the_profiles_error_is_the_range(table: LatencyTable) -> None:
    found, memory = table.latency(Submodel.from_id(MIXED)), table.memory(Submodel.from_id(MIXED))
    assert (found.low_ms, found.high_ms) == pytest.approx((found.ms / 1.25, 1.25 * found.ms))
    assert (memory.low_bytes, memory.high_bytes) == pytest.approx((memory.bytes / 1.1, 1.1 * memory.bytes), abs=1)
    assert (found.safe_ms, memory.safe_bytes) == (found.high_ms, memory.high_bytes)
    assert isinstance(memory.bytes, int)


def test_heads_and_ffn_may_differ_alone(table: LatencyTable, model: MeasuredModel) -> None:
    """Where only one of the two is given, the other follows the width."""
    half, full = Fraction(1, 2), Fraction(1)
    base = block(model, BASE, (half,)).latency_ms
    for heads, ffn in itertools.product([(), (full,) * 4], repeat=2):
        if not (heads or ffn):
            continue
        found = table.latency(Submodel(width=half, depth=half, heads=heads, ffn=ffn))
        shape = half, (heads or (half,))[0], (ffn or (half,))[0]
        assert found.ms == pytest.approx(base + 2 * sum(block(model, stack, shape).latency_ms for stack in STACKS))


def test_a_layer_that_follows_the_width_costs_the_same_spelled_out(table: LatencyTable) -> None:
    spelled: dict[str, Any] = {"heads": (Fraction(1, 2),) * 4, "ffn": (Fraction(1, 2),) * 4}
    uniform = Submodel(width=Fraction(1, 2), depth=Fraction(1, 2))
    assert table.latency(Submodel(width=Fraction(1, 2), depth=Fraction(1, 2), **spelled)) == table.latency(uniform)


def test_without_a_peak_of_its_own_memory_is_composed(model: MeasuredModel) -> None:
    rows = tuple(structs.replace(row, peak_memory_bytes=None) for row in model.submodels)
    table = LatencyTable("phone", structs.replace(model, submodels=rows))
    assert (table.latency(Submodel()).source, table.memory(Submodel()).source) == ("measured", "composed")


def test_where_no_peak_was_measured_memory_is_an_estimate(model: MeasuredModel) -> None:
    assert model.memory is not None
    lower_bound = structs.replace(model.memory, runtime_bytes=0, weight_copies=1.0, worst=0.0, rows=0)
    table = LatencyTable("phone", structs.replace(model, memory=lower_bound))
    assert table.memory(Submodel.from_id(MIXED)).source == "estimated"


# Missing


REMEDY = "measure it with 'bstsearch profile --device phone --measure' and the same --supernet"


@pytest.mark.parametrize(
    ("lost", "name"),
    [
        (("backbone.dec_list", "1/2", "3/4", "1/2"), "backbone.dec_list width 1/2 heads 3/4 ffn 1/2"),
        (("base", "1/2", None, None), "base width 1/2"),
    ],
)
def test_a_block_that_lacks_is_named_with_the_remedy(
    lost: tuple[str | None, ...], name: str, model: MeasuredModel
) -> None:
    blocks = tuple(row for row in model.blocks if (row.block, row.width, row.heads, row.ffn) != lost)
    table = LatencyTable("phone", structs.replace(model, blocks=blocks))
    for look_up in (table.latency, table.memory):
        with pytest.raises(InputError) as caught:
            look_up(Submodel.from_id(MIXED))
        text = str(caught.value)
        assert text.startswith(f"device profile 'phone' lacks the block '{name}")
        assert f"of submodel '{MIXED}'; {REMEDY}" in text
    assert table.latency(Submodel()).source == "measured"


def test_without_blocks_nothing_is_composed(model: MeasuredModel) -> None:
    table = LatencyTable("phone", structs.replace(model, blocks=(), error=None, memory=None))
    assert table.latency(Submodel()).source == "measured"
    with pytest.raises(InputError, match="lacks the block 'base width 1/2"):
        table.latency(Submodel.from_id(MIXED))
    with pytest.raises(InputError, match=f"device profile 'phone' has no memory figures; {REMEDY}"):
        table.memory(Submodel.from_id(MIXED))


# Small parts


def test_around_is_a_factor_either_way() -> None:
    found = around(3.0, "calibrated", 0.5)
    assert (found.low_ms, found.ms, found.high_ms, found.source) == (2.0, 3.0, 4.5, "calibrated")
    assert around(3.0, "composed", 0.0).low_ms == around(3.0, "composed", 0.0).high_ms == 3.0
    assert around(1.0, "estimated", 4.0).low_ms > 0


def test_the_blocks_of_a_submodel_are_its_base_and_kept_layers() -> None:
    quarter, half, full = Fraction(1, 4), Fraction(1, 2), Fraction(1)
    submodel = Submodel(width=half, depth=quarter, heads=(full, quarter), ffn=())
    assert blocks_of(submodel, STACKS) == [
        (BASE, (half,)),
        ("backbone.enc_list", (half, full, half)),
        ("backbone.dec_list", (half, quarter, half)),
    ]
    assert len(blocks_of(Submodel(), STACKS)) == 9


def test_importing_loads_neither_torch_nor_numpy_nor_pydantic() -> None:
    code = "import bstsearch.profiles.latency, sys; sys.exit(bool({'torch', 'numpy', 'pydantic'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
