from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bstsearch import latency
from bstsearch.devices.profile import DeviceProfile
from bstsearch.errors import InputError
from bstsearch.latency import LatencyTable, held_out_errors
from bstsearch.space import Space, Submodel

MakeProfile = Callable[..., DeviceProfile]
QUARTERS = tuple(Fraction(n, 4) for n in (1, 2, 3, 4))
GRID = list(Space.bst(stacks=(4, 4)).grid())
WEIGHTS = st.tuples(*[st.sampled_from([0.0, 0.1, 0.5, 2.0])] * 5).filter(any)


def cost(weights: tuple[float, ...], submodel: Submodel) -> float:
    """A machine on which the parts of a submodel cost exactly this much."""
    heads, ffn = submodel.heads or [submodel.width], submodel.ffn or [submodel.width]
    width, depth = submodel.width, submodel.depth
    parts = 1, width, depth, depth * sum(heads) / len(heads), depth * width * sum(ffn) / len(ffn)
    return float(sum(weight * float(part) for weight, part in zip(weights, parts, strict=True)))


@st.composite
def layerwise(draw: st.DrawFn) -> Submodel:
    cell = draw(st.sampled_from(GRID))
    row = st.lists(st.sampled_from(QUARTERS), min_size=int(8 * cell.depth), max_size=int(8 * cell.depth)).map(tuple)
    return Submodel(width=cell.width, depth=cell.depth, heads=draw(row), ffn=draw(row))


@pytest.fixture
def table(tiny_folder: Path, make_profile: MakeProfile) -> LatencyTable:
    return LatencyTable.from_profile(make_profile(tiny_folder))


def test_a_row_is_returned_as_measured(table: LatencyTable, tiny_folder: Path, make_profile: MakeProfile) -> None:
    for row in make_profile(tiny_folder).rows:
        found = table.latency(Submodel.from_id(row.id))
        assert (found.ms, found.source) == (row.latency_ms, "measured")
        assert (found.low_ms, found.high_ms) == (row.low_ms, row.high_ms)
        memory = table.memory(Submodel.from_id(row.id))
        assert (memory.bytes, memory.source) == (row.peak_memory_bytes, "measured")
        assert memory.low_bytes == memory.high_bytes == memory.bytes


def test_a_submodel_without_a_row_is_estimated_with_the_profiles_error(table: LatencyTable) -> None:
    submodel = Submodel.from_id("w1of2-d1of2-h1.2.3.4of4")
    found, memory = table.latency(submodel), table.memory(submodel)
    assert found.source == memory.source == "estimated"
    assert (found.low_ms, found.high_ms) == pytest.approx((0.8 * found.ms, 1.2 * found.ms))
    assert (memory.low_bytes, memory.high_bytes) == pytest.approx((0.9 * memory.bytes, 1.1 * memory.bytes), abs=1)
    assert isinstance(memory.bytes, int)


def test_an_estimate_never_reaches_below_zero(tiny_folder: Path, make_profile: MakeProfile) -> None:
    errors = {"method": "none", "latency": {"median": 2.0, "worst": 3.0}, "memory": {"median": 0.0, "worst": 0.0}}
    table = LatencyTable.from_profile(make_profile(tiny_folder, error=errors))
    found = table.latency(Submodel.from_id("w1of2-d1of2-h1.2.3.4of4"))
    assert (found.low_ms, found.high_ms) == (0.0, pytest.approx(4 * found.ms))


def test_without_an_error_nothing_is_estimated(tiny_folder: Path, make_profile: MakeProfile) -> None:
    table = LatencyTable.from_profile(make_profile(tiny_folder, error=None))
    assert table.latency(Submodel()).source == "measured"
    for look_up in (table.latency, table.memory):
        with pytest.raises(InputError, match=r"no row 'w1of2-d1of4'.* 'bstsearch profile --measure'$"):
            look_up(Submodel.from_id("w1of2-d1of4"))


@given(WEIGHTS, st.lists(layerwise(), min_size=1, max_size=3))
def test_a_machine_that_adds_up_is_estimated_exactly(weights: tuple[float, ...], unseen: list[Submodel]) -> None:
    fitted = latency._fit(GRID, [cost(weights, submodel) for submodel in GRID])
    assert [latency._predict(fitted, submodel) for submodel in unseen] == pytest.approx(
        [cost(weights, submodel) for submodel in unseen]
    )
    assert min(fitted) >= 0


@given(st.lists(st.floats(0.1, 10), min_size=10, max_size=10))
def test_the_fit_is_the_non_negative_optimum(values: list[float]) -> None:
    """First-order conditions: the gradient is zero where a weight is positive, and not negative where it is 0."""
    features = np.array([[cost(tuple(np.eye(5)[part]), submodel) for part in range(5)] for submodel in GRID])
    relative = features / np.array(values)[:, None]
    weights = np.array(latency._fit(GRID, values))
    gradient = relative.T @ (relative @ weights - 1)
    scale = np.abs(relative).sum()
    assert (weights >= 0).all()
    assert (gradient >= -1e-7 * scale).all()
    assert np.abs(gradient[weights > 1e-9]).max() <= 1e-7 * scale


@given(WEIGHTS)
def test_a_machine_that_adds_up_has_no_error_on_widths_it_has_seen_enough_of(weights: tuple[float, ...]) -> None:
    submodels = [Submodel(width=Fraction(w, 8), depth=Fraction(d, 4)) for w in range(1, 9) for d in range(1, 5)]
    assert max(held_out_errors(submodels, [cost(weights, one) for one in submodels])) <= 1e-6


def test_the_error_of_a_row_does_not_depend_on_rows_of_its_own_width() -> None:
    """Changing a value changes its own error, but no other one of the same width."""
    values = [cost((0.1, 0.1, 0.2, 0.3, 0.3), one) for one in GRID]
    changed = [3 * value if one.id == "w1of4-d1" else value for one, value in zip(GRID, values, strict=True)]
    before = dict(zip((one.id for one in GRID), held_out_errors(GRID, values), strict=True))
    after = dict(zip((one.id for one in GRID), held_out_errors(GRID, changed), strict=True))
    assert after["w1of4-d1"] > before["w1of4-d1"] + 1
    assert all(after[one.id] == before[one.id] for one in GRID if one.id.startswith("w1of4") and one.id != "w1of4-d1")


def test_errors_are_shares_of_the_estimate() -> None:
    submodels = [Submodel(width=Fraction(1, 2)), Submodel()]
    # A constant explains the one row that is left, so each is estimated by the other's value.
    assert held_out_errors(submodels, [1.0, 4.0]) == pytest.approx([0.75, 3.0])


def test_rows_of_one_width_say_nothing_of_others() -> None:
    submodels = [Submodel(depth=depth) for depth in QUARTERS]
    assert held_out_errors(submodels, [1.0, 2.0, 3.0, 4.0]) == []


def test_a_layer_that_follows_the_width_costs_the_same_spelled_out() -> None:
    spelled: dict[str, Any] = {"heads": (Fraction(1, 2),) * 4, "ffn": (Fraction(1, 2),) * 4}
    uniform = Submodel(width=Fraction(1, 2), depth=Fraction(1, 2))
    assert Submodel(width=Fraction(1, 2), depth=Fraction(1, 2), **spelled) == uniform


def test_importing_loads_neither_torch_nor_numpy_nor_pydantic() -> None:
    code = "import bstsearch.latency, sys; sys.exit(bool({'torch', 'numpy', 'pydantic'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
