from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bstsearch.profiles.composition import Block, Blocks, fit, monomials

QUARTERS = (0.25, 0.5, 0.75, 1.0)
SIZES = {"base": 1, "encoder": 3, "decoder": 3}
Costs = dict[str, tuple[float, ...]]

amounts = st.sampled_from([0.01, 0.1, 0.5, 1.0])
costs_of_kinds = st.fixed_dictionaries(
    {kind: st.tuples(*[amounts] * len(monomials((0.0,) * size))) for kind, size in SIZES.items()}
)


def cost(costs: Costs, block: Block) -> float:
    kind, shape = block
    return sum(one * other for one, other in zip(costs[kind], monomials(shape), strict=True))


def total(costs: Costs, blocks: Blocks) -> float:
    return sum(count * cost(costs, block) for block, count in blocks.items())


def draw_models(count: int, seed: int) -> list[Counter[Block]]:
    """Models of one base and one to four layers in each of two stacks, every layer with sizes of its own."""
    draw, models = random.Random(seed), []
    for _ in range(count):
        width, depth = draw.choice(QUARTERS), draw.randint(1, 4)
        layers: list[Block] = [
            (stack, (width, draw.choice(QUARTERS), draw.choice(QUARTERS)))
            for stack in ("encoder", "decoder")
            for _ in range(depth)
        ]
        models.append(Counter([("base", (width,)), *layers]))
    return models


MODELS, UNSEEN = draw_models(80, seed=0), draw_models(30, seed=1)


def errors(costs: Costs, values: Sequence[float], unseen: Sequence[Blocks] = UNSEEN) -> list[float]:
    fitted = fit(MODELS, values)
    return [abs(total(costs, model) / fitted.total(model) - 1) for model in unseen]


@settings(max_examples=40)
@given(costs_of_kinds)
def test_a_device_that_adds_up_is_composed_exactly(costs: Costs) -> None:
    assert max(errors(costs, [total(costs, model) for model in MODELS])) < 1e-3


@settings(max_examples=20)
@given(costs_of_kinds, st.floats(0.001, 1000))
def test_the_unit_does_not_matter(costs: Costs, unit: float) -> None:
    values = [total(costs, model) for model in MODELS]
    one, other = fit(MODELS, values), fit(MODELS, [unit * value for value in values])
    assert [other.total(model) for model in UNSEEN] == pytest.approx([unit * one.total(model) for model in UNSEEN])


@settings(max_examples=40)
@given(costs_of_kinds, st.integers(0, len(MODELS) - 1), st.sampled_from([1.2, 1.5, 4.0]))
def test_one_disturbed_row_does_not_move_the_others(costs: Costs, row: int, factor: float) -> None:
    """Whatever disturbs a measurement makes it slower."""
    values = [total(costs, model) for model in MODELS]
    values[row] *= factor
    others = [model for number, model in enumerate(MODELS) if number != row]
    assert max(errors(costs, values, [*others, *UNSEEN])) < 0.01


def test_noise_averages_out() -> None:
    """Rows that are each 2 % off predict others to better than that."""
    draw = random.Random(2)
    costs: Costs = {kind: (0.5,) * len(monomials((0.0,) * size)) for kind, size in SIZES.items()}
    found = sorted(errors(costs, [total(costs, model) * draw.gauss(1, 0.02) for model in MODELS]))
    assert found[len(found) // 2] < 0.01


def test_a_total_is_the_sum_of_its_blocks() -> None:
    fitted = fit(MODELS, [float(number + 1) for number in range(len(MODELS))])
    for model in UNSEEN:
        assert fitted.total(model) == pytest.approx(sum(fitted.cost(block) for block in model.elements()))


def test_a_block_that_was_in_no_model_is_not_made_up() -> None:
    with pytest.raises(KeyError, match="middle"):
        fit(MODELS, [1.0] * len(MODELS)).cost(("middle", (1.0, 1.0, 1.0)))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_monomials_are_those_of_degree_two(size: int) -> None:
    shape = (2.0, 3.0, 5.0)[:size]
    expected = [1.0, *shape, *(one * other for one, other in itertools.combinations_with_replacement(shape, 2))]
    assert list(monomials(shape)) == expected
