from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import pytest
from msgspec import structs

from bstsearch.measuring.fitting import fit_blocks, fit_memory, latency_error
from bstsearch.measuring.selection import CHECK, FIT, choose
from bstsearch.profiles.composition import BlockCosts
from bstsearch.profiles.latency import BASE, blocks_of
from bstsearch.profiles.profile import MeasuredRow
from bstsearch.space import Space, Submodel

SPACE = Space.bst(stacks=(4, 4))
STACKS = {"encoder": 4, "decoder": 4}
CHOSEN = choose(SPACE, is_layerwise=True, seed=0)


def block_ms(kind: str, shape: Sequence[Fraction]) -> float:
    """A device on which a block takes exactly this long."""
    if kind == BASE:
        return 0.1 + 0.05 * float(shape[0])
    width, heads, ffn = map(float, shape)
    return (1 if kind == "encoder" else 1.7) * (0.02 + 0.3 * width * heads + 0.2 * width * ffn)


def block_bytes(kind: str, shape: Sequence[Fraction]) -> int:
    return 400 if kind == BASE else int(6400 * shape[0] * (shape[1] + 2 * shape[2]))


def make_row(submodel: Submodel, factor: float = 1.0) -> MeasuredRow:
    blocks = blocks_of(submodel, STACKS)
    ms = factor * sum(block_ms(*block) for block in blocks)
    return MeasuredRow(
        id=submodel.id,
        role=CHOSEN[submodel],
        latency_ms=ms,
        low_ms=ms,
        high_ms=ms,
        p90_ms=ms,
        spread=0.0,
        outliers=0,
        times_ms=(ms,),
        weight_bytes=sum(block_bytes(*block) for block in blocks),
        activation_bytes=None,
        peak_memory_bytes=None,
    )


@pytest.fixture(scope="module")
def rows() -> list[MeasuredRow]:
    return [make_row(submodel) for submodel in CHOSEN]


def test_every_block_has_a_row_with_its_cost(rows: list[MeasuredRow]) -> None:
    blocks, error = fit_blocks(rows, STACKS, SPACE.layerwise)
    found = {
        (row.block, tuple(Fraction(share) for share in (row.width, row.heads, row.ffn) if share)): row for row in blocks
    }
    expected = [(BASE, (width,)) for width in SPACE.widths]
    expected += [(stack, shape) for stack in STACKS for shape in itertools.product(SPACE.widths, repeat=3)]
    assert list(found) == expected
    for (kind, shape), row in found.items():
        assert row.weight_bytes == pytest.approx(block_bytes(kind, shape), rel=1e-3, abs=5)
    assert error is not None
    assert error.worst < 1e-3


def test_the_rows_of_a_submodel_add_up_to_what_it_takes(rows: list[MeasuredRow]) -> None:
    blocks, _ = fit_blocks(rows, STACKS, SPACE.layerwise)
    known = {(row.block, row.width, row.heads, row.ffn): row.latency_ms for row in blocks}
    for row in rows:
        parts = blocks_of(Submodel.from_id(row.id), STACKS)
        keys = [(kind, *(str(share) for share in shape)) for kind, shape in parts]
        total = sum(known[(*key, *(None,) * (4 - len(key)))] for key in keys)  # type: ignore[index]
        assert total == pytest.approx(row.latency_ms, rel=1e-3)


def test_the_error_is_that_of_rows_which_check(rows: list[MeasuredRow]) -> None:
    """Rows to check by that read 10 % more than the others: all predictions are 10 % off, and the blocks as before."""
    other = [make_row(submodel, 1.1 if role == CHECK else 1.0) for submodel, role in CHOSEN.items()]
    (blocks, error), (before, _) = (fit_blocks(some, STACKS, SPACE.layerwise) for some in (other, rows))
    assert error is not None
    assert (error.median, error.p90, error.worst) == pytest.approx((0.1, 0.1, 0.1), abs=1e-3)
    assert error.interval == error.worst
    assert error.rows == sum(row.role == CHECK for row in rows)
    assert blocks == before


def test_without_rows_to_check_by_nothing_is_composed(rows: list[MeasuredRow]) -> None:
    assert fit_blocks([row for row in rows if row.role == FIT], STACKS, SPACE.layerwise) == ((), None)


def test_the_error_tells_how_well_the_order_is_predicted() -> None:
    costs = BlockCosts(coefficients={"base": (0.0, 1.0, 0.0)}, scale=1.0)
    models = [Counter({("base", (float(size),)): 1}) for size in range(1, 9)]
    assert latency_error(costs, models, list(range(1, 9))).rank_correlation == pytest.approx(1)
    assert latency_error(costs, models, list(range(9, 1, -1))).rank_correlation == pytest.approx(-1)
    shuffled = random.Random(0).sample(range(1, 9), 8)
    assert -1 < (latency_error(costs, models, shuffled).rank_correlation or 0) < 1


def test_a_single_row_to_check_by_has_no_order() -> None:
    costs = BlockCosts(coefficients={"base": (0.0, 1.0, 0.0)}, scale=1.0)
    error = latency_error(costs, [Counter({("base", (1.0,)): 1})], [1.1])
    assert (error.rank_correlation, error.rows, error.worst) == (None, 1, pytest.approx(0.1))


def test_errors_are_shares_of_what_was_predicted() -> None:
    costs = BlockCosts(coefficients={"base": (1.0, 0.0, 0.0)}, scale=2.0)
    models = [Counter({("base", (1.0,)): 1})] * 3
    error = latency_error(costs, models, [2.0, 2.2, 1.0])
    assert (error.median, error.worst, error.rows) == (pytest.approx(0.1), 0.5, 3)


# Memory

MB = 1_000_000


def peak_row(weight_bytes: int, activation_bytes: int | None, peak: int | None) -> MeasuredRow:
    return MeasuredRow(
        id="w1-d1",
        role="fit",
        latency_ms=1.0,
        low_ms=1.0,
        high_ms=1.0,
        p90_ms=1.0,
        spread=0.0,
        outliers=0,
        times_ms=(1.0,),
        weight_bytes=weight_bytes,
        activation_bytes=activation_bytes,
        peak_memory_bytes=peak,
    )


def peak_rows(runtime: int, copies: float, count: int = 10) -> list[MeasuredRow]:
    """Rows of a runtime that needs exactly this much."""
    sizes = [(weights * MB, (1 + weights % 3) * MB // 2) for weights in range(1, count + 1)]
    return [peak_row(weights, live, round(runtime + copies * weights + live)) for weights, live in sizes]


@pytest.mark.parametrize(("runtime", "copies"), [(12 * MB, 2.0), (0, 1.0), (12 * MB, 0.0), (3 * MB, 1.3)])
def test_a_runtime_that_adds_up_is_found_exactly(runtime: int, copies: float) -> None:
    fit = fit_memory(peak_rows(runtime, copies))
    assert fit.runtime_bytes == pytest.approx(runtime, abs=2)
    assert fit.weight_copies == pytest.approx(copies, abs=1e-6)
    assert (fit.median, fit.worst, fit.rows) == (pytest.approx(0, abs=1e-6), pytest.approx(0, abs=1e-6), 10)


def test_rows_without_a_peak_or_activations_do_not_count() -> None:
    rows = [*peak_rows(12 * MB, 2.0), peak_row(MB, MB, None), peak_row(MB, None, 100 * MB)]
    assert fit_memory(rows).rows == 10
    assert fit_memory(rows) == fit_memory(rows[:10])


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_peaks_leave_a_lower_bound(count: int) -> None:
    """Two numbers are fitted, and a third peak is what tells whether they hold."""
    fit = fit_memory(peak_rows(12 * MB, 2.0, count))
    assert (fit.runtime_bytes, fit.weight_copies, fit.rows) == (0, 1.0, 0)


def test_errors_are_shares_of_what_was_computed() -> None:
    rows = peak_rows(12 * MB, 2.0)
    rows[4] = structs.replace(rows[4], peak_memory_bytes=round(1.2 * (rows[4].peak_memory_bytes or 0)))
    fit = fit_memory(rows)
    assert 0.1 < fit.worst < 0.2
    assert 0 < fit.median < 0.1


def test_nothing_is_below_zero() -> None:
    rows = [peak_row(10 * MB * n, MB, 2 * MB - 1000 * n) for n in range(1, 6)]
    fit = fit_memory(rows)
    assert fit.runtime_bytes >= 0
    assert fit.weight_copies >= 0
