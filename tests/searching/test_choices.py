from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest

from bstsearch.searching.choices import Choices, share_groups, shares
from bstsearch.space import Space, Submodel

QUARTERS = tuple(Fraction(n, 4) for n in (1, 2, 3, 4))
BST = Space.bst(stacks=(6, 6))
ELASTIC = Space.bst(stacks=(4, 4)).elastic
PART = Space(
    widths=QUARTERS[:2],
    depths=QUARTERS,
    stacks=(4, 8),
    layer_ffn=QUARTERS[1:],
    tokens=QUARTERS[:3],
    has_own_depths=True,
)
PRECISE = dataclasses.replace(PART, precisions=("float32", "float16", "int8"))
SPACES = pytest.mark.parametrize(
    "space", [BST, ELASTIC, PART, dataclasses.replace(PART, has_own_depths=False), PRECISE]
)


def drawn(space: Space, count: int = 50) -> tuple[Choices, np.ndarray]:
    choices = Choices(space)
    return choices, choices.drawn(np.random.default_rng(0), count)


@SPACES
def test_rows_are_submodels_of_the_space_whatever_happens_to_them(space: Space) -> None:
    choices, rows = drawn(space)
    draw = np.random.default_rng(1)
    for bred in (
        rows,
        choices.changed(draw, rows, 3.0),
        choices.changed(draw, choices.crossed(draw, rows, rows[::-1]), 1),
    ):
        submodels = choices.submodels(bred)
        assert all(one in space for one in submodels)
        assert [choices.row(one).tolist() for one in submodels] == bred.tolist()


@SPACES
def test_rows_and_submodels_have_the_same_shares(space: Space) -> None:
    choices, rows = drawn(space)
    expected = [shares(one, space.stacks, space.precisions) for one in choices.submodels(rows)]
    np.testing.assert_allclose(choices.shares(rows), expected)
    groups = share_groups(space.stacks, space.precisions)
    assert [column for group in groups for column in group] == list(range(len(expected[0])))


@SPACES
def test_the_ends_are_the_first_and_last_choices(space: Space) -> None:
    choices, rows = drawn(space)
    path = choices.descent(np.random.default_rng(0), rows[0])
    assert choices.submodels(path[-1:]) == [space.smallest]
    assert choices.row(space.largest).tolist() == [len(one.options) - 1 for one in choices.all]


def test_each_precision_but_that_of_most_bits_is_a_number_of_its_own() -> None:
    precisions = PRECISE.precisions
    ends = [shares(Submodel(precision=precision), (4,), precisions)[-2:] for precision in precisions]
    assert dict(zip(precisions, ends, strict=True)) == {"int8": [1, 0], "float16": [0, 1], "float32": [0, 0]}


def test_layers_that_are_not_kept_have_no_shares() -> None:
    submodel = Submodel(width=Fraction(1, 2), depth=Fraction(1, 2), heads=(Fraction(1, 4), Fraction(3, 4)))
    assert shares(submodel, (4,)) == [0.5, 1.0, 0.5, 0.25, 0, 0, 0.75, 0.5, 0, 0, 0.5]


def test_a_deeper_row_keeps_the_choices_of_the_layers_it_had() -> None:
    choices = Choices(ELASTIC)
    row = choices.row(Submodel(width=Fraction(1), depth=Fraction(1, 2), heads=QUARTERS, ffn=QUARTERS[::-1]))
    names = [one.name for one in choices.all]
    assert [row[names.index(f"heads_{stack}_{layer}")] for stack in (0, 1) for layer in (0, 3)] == [0, 1, 2, 3]


def test_choices_have_names_of_their_own() -> None:
    names = [one.name for one in Choices(PART).all]
    assert len(set(names)) == len(names)
    assert names[:3] == ["width", "depth_0", "depth_1"]
    assert names[-1] == "tokens"
