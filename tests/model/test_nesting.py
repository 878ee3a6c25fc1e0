from __future__ import annotations

import itertools
import random

import pytest

from bstsearch.model.nesting import Nesting, is_within, overlap, union
from bstsearch.space import Space, Submodel
from bstsearch.space_sample import draw_submodel

ORDERS = ((0, 3, 1, 2), (3, 0, 1, 2))
SPACES = [Space.bst(stacks=(4, 4)), Space.bst(stacks=(4, 4)).layerwise, Space.bst(stacks=(4, 4)).elastic]


def nested(space: Space) -> Nesting:
    return Nesting(space=space, keep_orders=ORDERS)


@pytest.mark.parametrize("space", SPACES)
def test_a_submodel_is_told_by_how_far_it_reaches(space: Space) -> None:
    source = random.Random(0)
    for submodel in [*space.grid(), *(draw_submodel(space, source) for _ in range(50))]:
        assert nested(space).submodel(nested(space).extent(submodel)) == submodel


@pytest.mark.parametrize("space", SPACES)
def test_overlap_and_union_of_two_are_in_the_space_and_around_them(space: Space) -> None:
    source, nesting = random.Random(1), nested(space)
    for _ in range(50):
        one, other = (nesting.extent(draw_submodel(space, source)) for _ in range(2))
        least, most = overlap(one, other), union(one, other)
        assert all(is_within(least, each) and is_within(each, most) for each in (one, other))
        assert nesting.submodel(least) in space
        assert nesting.submodel(most) in space


def test_of_uniform_ones_it_is_width_and_depth_that_count() -> None:
    extent = nested(SPACES[0]).extent
    for one, other in itertools.product(SPACES[0].grid(), repeat=2):
        expected = one.width <= other.width and one.depth <= other.depth
        assert is_within(extent(one), extent(other)) == expected


def test_a_layer_counts_by_itself() -> None:
    extent = nested(SPACES[1]).extent
    few, many = (Submodel.from_id(name) for name in ("w1-d1of4-h31of4", "w1-d1of2-h1114of4"))
    # The first stack's first layer has three quarters of the heads in one, a quarter in the other.
    assert not is_within(extent(few), extent(many))
    assert is_within(extent(Submodel.from_id("w1-d1of4-h11of4")), extent(many))
