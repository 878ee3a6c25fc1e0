from __future__ import annotations

import dataclasses
import random
from fractions import Fraction

import pytest

from bstsearch.space import Space, Submodel
from bstsearch.space_sample import draw_submodel

BST = Space.bst(stacks=(6, 6))
HALF = Fraction(1, 2)
SPACES = [
    BST,
    BST.unfiltered,
    BST.elastic,
    dataclasses.replace(BST, layer_ffn=(HALF,), tokens=(HALF, Fraction(1))),
    dataclasses.replace(BST.elastic, widths=(HALF,), least_depths=()),
]


@pytest.mark.parametrize("space", SPACES)
def test_what_is_drawn_is_in_the_space(space: Space) -> None:
    source = random.Random(0)
    assert all(draw_submodel(space, source) in space for _ in range(50))


def test_each_submodel_of_a_small_space_is_drawn_sooner_or_later() -> None:
    space, source = Space.bst(stacks=(4, 4)), random.Random(0)
    assert {draw_submodel(space, source) for _ in range(500)} == set(space)


def test_half_of_the_rows_are_the_same_for_all_layers() -> None:
    space, source = Space.bst(stacks=(6, 6)).elastic, random.Random(0)
    drawn = [draw_submodel(space, source) for _ in range(1000)]
    assert 400 < sum(_is_alike(one.heads) for one in drawn) < 650  # of the shallow ones, some are by chance


def _is_alike(row: tuple[object, ...]) -> bool:
    return len(set(row)) <= 1


def test_the_full_model_is_among_what_is_drawn() -> None:
    space, source = Space.bst(stacks=(4,), has_triangle_filter=False).layerwise, random.Random(1)
    assert Submodel() in {draw_submodel(space, source) for _ in range(5000)}
