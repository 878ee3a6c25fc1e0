from __future__ import annotations

import dataclasses
from collections import Counter
from fractions import Fraction

import pytest

from bstsearch.measuring.selection import CHECK, CHECKED, FIT, FITTED, choose, uniform
from bstsearch.profiles.latency import blocks_of
from bstsearch.space import Space, Submodel

SPACE = Space.bst(stacks=(4, 4))
STACKS = {"encoder": 4, "decoder": 4}


def test_a_family_without_layerwise_sizes_is_measured_on_its_grid() -> None:
    assert choose(SPACE, is_layerwise=False, seed=0) == dict.fromkeys(SPACE.grid(), FIT)


def test_the_grid_the_uniform_and_random_ones_are_chosen() -> None:
    chosen = choose(SPACE, is_layerwise=True, seed=0)
    first = [*SPACE.grid(), *uniform(SPACE.layerwise).values()]
    assert list(chosen)[: len(set(first))] == list(dict.fromkeys(first))
    counts = Counter(chosen.values())
    assert counts == {FIT: len(set(first)) + FITTED, CHECK: CHECKED}
    assert all(submodel in SPACE.layerwise or submodel in SPACE for submodel in chosen)


def test_what_checks_is_never_on_the_grid() -> None:
    chosen = choose(SPACE, is_layerwise=True, seed=0)
    assert not {one for one, role in chosen.items() if role == CHECK} & {
        *SPACE.grid(),
        *uniform(SPACE.layerwise).values(),
    }


def test_every_width_and_depth_is_checked() -> None:
    chosen = choose(SPACE, is_layerwise=True, seed=0)
    cells = {(cell.width, cell.depth) for cell in SPACE.grid()}
    for role in (FIT, CHECK):
        assert {(one.width, one.depth) for one, of in chosen.items() if of == role} == cells


@pytest.mark.parametrize("seed", range(5))
def test_every_block_size_is_fitted(seed: int) -> None:
    """At each width every share of heads, and of FFN units, in both stacks: else a block would be guessed."""
    chosen = choose(SPACE, is_layerwise=True, seed=seed)
    fitted = [block for one, role in chosen.items() if role == FIT for block in blocks_of(one, STACKS)]
    for stack in STACKS:
        for place in (1, 2):
            seen = {(shape[0], shape[place]) for kind, shape in fitted if kind == stack}
            assert seen == {(width, share) for width in SPACE.widths for share in SPACE.widths}


ELASTIC = dataclasses.replace(SPACE.elastic, layer_ffn=SPACE.widths[1:], tokens=SPACE.widths[::2])


def test_of_an_elastic_space_only_its_own_submodels_are_chosen() -> None:
    chosen = choose(ELASTIC, is_layerwise=True, seed=0)
    assert all(submodel in ELASTIC for submodel in chosen)
    assert sum(bool(submodel.depths) for submodel in chosen) > FITTED
    assert Counter(chosen.values())[CHECK] == CHECKED
    checked = [one for one, role in chosen.items() if role == CHECK]
    assert {one.width for one in checked} == set(ELASTIC.widths)
    assert {one.tokens for one in checked} == set(ELASTIC.tokens)


@pytest.mark.parametrize("seed", range(3))
def test_every_block_of_an_elastic_space_is_fitted(seed: int) -> None:
    chosen = choose(ELASTIC, is_layerwise=True, seed=seed)
    fitted = [block for one, role in chosen.items() if role == FIT for block in blocks_of(one, STACKS)]
    for stack in STACKS:
        for place, row in ((1, ELASTIC.layer_heads), (2, ELASTIC.layer_ffn)):
            seen = {(shape[0], shape[place]) for kind, shape in fitted if kind == stack}
            assert seen >= {(width, share) for width in ELASTIC.widths for share in row}


def test_uniform_ones_of_an_elastic_space_are_its_own() -> None:
    assert all(submodel in ELASTIC for submodel in uniform(ELASTIC).values())
    assert len(uniform(ELASTIC)) == 4 * 4 * 2


def test_the_seed_decides() -> None:
    one, same, other = (list(choose(SPACE, is_layerwise=True, seed=seed)) for seed in (0, 0, 1))
    assert one == same != other


def test_a_space_too_small_for_so_many_is_measured_as_a_whole() -> None:
    half = Fraction(1, 2)
    space = Space(widths=(half, Fraction(1)), depths=(Fraction(1),), stacks=(1,))
    chosen = choose(space, is_layerwise=True, seed=0)
    assert len(chosen) == space.layerwise.size == 8
    assert set(chosen) == set(space.layerwise)


def test_the_full_model_alone_needs_no_blocks() -> None:
    space = Space(widths=(Fraction(1),), depths=(Fraction(1),), stacks=(4, 4))
    assert choose(space, is_layerwise=True, seed=0) == {Submodel(): FIT}


def test_uniform_ones_have_every_width_and_share_once() -> None:
    found = list(uniform(SPACE.layerwise).values())
    shares = [(one.width, (one.heads or (one.width,))[0], (one.ffn or (one.width,))[0]) for one in found]
    assert Counter(shares) == {(width, share, share): 1 for width in SPACE.widths for share in SPACE.widths}
    shallowest = {width: min(cell.depth for cell in SPACE.grid() if cell.width == width) for width in SPACE.widths}
    assert all(one.depth == shallowest[one.width] for one in found)
