from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import pytest

from bstsearch.measuring.fitting import fit_blocks, latency_error
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
    blocks, error = fit_blocks(rows, STACKS, SPACE.widths)
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
    blocks, _ = fit_blocks(rows, STACKS, SPACE.widths)
    known = {(row.block, row.width, row.heads, row.ffn): row.latency_ms for row in blocks}
    for row in rows:
        parts = blocks_of(Submodel.from_id(row.id), STACKS)
        keys = [(kind, *(str(share) for share in shape)) for kind, shape in parts]
        total = sum(known[(*key, *(None,) * (4 - len(key)))] for key in keys)  # type: ignore[index]
        assert total == pytest.approx(row.latency_ms, rel=1e-3)


def test_the_error_is_that_of_rows_which_check(rows: list[MeasuredRow]) -> None:
    """Rows to check by that read 10 % more than the others: all predictions are 10 % off, and the blocks as before."""
    other = [make_row(submodel, 1.1 if role == CHECK else 1.0) for submodel, role in CHOSEN.items()]
    (blocks, error), (before, _) = (fit_blocks(some, STACKS, SPACE.widths) for some in (other, rows))
    assert error is not None
    assert (error.median, error.p90, error.worst) == pytest.approx((0.1, 0.1, 0.1), abs=1e-3)
    assert error.interval == error.worst
    assert error.rows == sum(row.role == CHECK for row in rows)
    assert blocks == before


def test_without_rows_to_check_by_nothing_is_composed(rows: list[MeasuredRow]) -> None:
    assert fit_blocks([row for row in rows if row.role == FIT], STACKS, SPACE.widths) == ((), None)


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
