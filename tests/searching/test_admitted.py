from __future__ import annotations

from fractions import Fraction
from itertools import islice

import numpy as np
import pytest

from bstsearch.searching.admitted import Admitted
from bstsearch.searching.choices import shares
from bstsearch.space import Space, Submodel

QUARTERS = tuple(Fraction(n, 4) for n in (1, 2, 3, 4))
LARGE = Space.bst(stacks=(4, 4)).elastic
SMALL = Space(widths=QUARTERS, depths=QUARTERS, stacks=(4,), layer_ffn=QUARTERS[2:])


def size(submodel: Submodel) -> float:
    """A cost that grows with every choice."""
    return sum(shares(submodel, (4, 4)))


@pytest.mark.parametrize("limit", [100, 9, 5])
def test_what_is_over_the_budget_is_made_smaller_until_it_just_fits(limit: float) -> None:
    admitted = Admitted(LARGE, lambda one: size(one) <= limit)
    found = admitted.drawn(np.random.default_rng(0), 40)
    assert len(found) > 10
    assert all(one in admitted for one in found)
    if limit == 5:
        assert np.mean([size(one) for one in found]) > 0.8 * limit


def test_none_fits_where_the_smallest_does_not() -> None:
    admitted = Admitted(LARGE, lambda _: False)
    assert admitted.drawn(np.random.default_rng(0), 10) == []
    assert list(admitted.listed()) == []


def test_a_small_space_is_listed() -> None:
    admitted = Admitted(SMALL, lambda one: one.depth < 1)
    assert list(admitted.listed()) == [one for one in SMALL if one.depth < 1]


def test_little_of_a_large_space_is_listed_whole() -> None:
    """Whatever a tight budget leaves of it, nothing else is looked at for long."""
    limit = size(LARGE.smallest) + 0.5
    asked: list[Submodel] = []

    def is_admitted(one: Submodel) -> bool:
        asked.append(one)
        return size(one) <= limit

    found = list(Admitted(LARGE, is_admitted).listed())
    assert len(found) == len(set(found)) > 1
    assert LARGE.smallest in found
    assert max(map(size, found)) <= limit
    drawn = Admitted(LARGE, lambda one: size(one) <= limit).drawn(np.random.default_rng(0), 200)
    assert set(drawn) <= set(found)
    assert len(asked) < 100 * len(found)


def test_a_large_space_is_listed_a_few_at_a_time() -> None:
    assert len(list(islice(Admitted(LARGE, lambda _: True).listed(), 5))) == 5
