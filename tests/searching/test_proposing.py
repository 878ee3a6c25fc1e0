from __future__ import annotations

import dataclasses
import random
import tracemalloc
from collections.abc import Callable
from fractions import Fraction

import pytest

from bstsearch.errors import UsageError
from bstsearch.profiles.latency import Latency, Memory
from bstsearch.profiles.robust import rank_correlation
from bstsearch.score import Accuracy
from bstsearch.searching.costs import Objectives
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.proposing import SAMPLERS, Proposer, choose_sampler, make_proposer
from bstsearch.space import Space, Submodel

HALVES = (Fraction(1, 2), Fraction(1))
QUARTERS = tuple(Fraction(n, 4) for n in (1, 2, 3, 4))
SMALL = Space.bst(stacks=(4, 4))
MIDDLING = Space(widths=HALVES, depths=HALVES, stacks=(2, 2), layer_heads=HALVES, layer_ffn=HALVES)  # 544
LARGE = Space.bst(stacks=(4, 4)).elastic
HUGE = Space.bst(stacks=(6, 6)).elastic
OBJECTIVES = Objectives(("accuracy", "latency", "gflops"))
EVERY_SAMPLER = pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "gp"])  # which takes seconds each


def rows(submodel: Submodel) -> list[float]:
    """The shares of all layers, as if there were twelve where they follow the width."""
    follow = (submodel.width,) * int(12 * submodel.depth)
    return [float(share) for row in (submodel.heads, submodel.ffn) for share in row or follow]


def cost(submodel: Submodel) -> Candidate:
    macs = int(1e6 * (1 + float(submodel.width) * sum(rows(submodel))))
    ms = macs / 1e6 + float(submodel.depth)
    return Candidate(
        submodel=submodel,
        parameters=macs,
        macs=macs,
        latency=Latency(ms=ms, source="measured", low_ms=ms, high_ms=ms),
        memory=Memory(bytes=macs, source="measured", low_bytes=macs, high_bytes=macs),
        size_bytes=4 * macs,
    )


def scored(submodel: Submodel, total: int = 1000) -> Candidate:
    """Accurate where it is costly, and where its first layers are."""
    worth = float(submodel.width) * sum(share**0.5 / (1 + place % 7) for place, share in enumerate(rows(submodel)))
    chance = random.Random(submodel.id).uniform(-0.003, 0.003)
    return dataclasses.replace(
        cost(submodel), accuracy=Accuracy(correct=round(total * (0.1 + worth / 12 + chance)), total=total)
    )


def make(name: str, space: Space, is_admitted: Callable[[Submodel], bool] = lambda _: True, seed: int = 0) -> Proposer:
    return make_proposer(name, space, objectives=OBJECTIVES, cost=cost, is_admitted=is_admitted, seed=seed)


def run(proposer: Proposer, generations: int, count: int = 8) -> list[Submodel]:
    found: list[Candidate] = []
    for _ in range(generations):
        found += map(scored, proposer.propose(found, count))
    return [one.submodel for one in found]


@EVERY_SAMPLER
def test_the_trained_grid_comes_first_then_new_ones_within_the_budget(name: str) -> None:
    def is_admitted(submodel: Submodel) -> bool:
        return cost(submodel).macs < 3e6

    found = run(make(name, LARGE, is_admitted), 4)
    grid = {cell for cell in LARGE.uniform if is_admitted(cell)}
    assert len(found) == len(set(found)) == 32
    assert grid
    assert grid <= set(found[:8] if len(grid) < 8 else found)
    assert all(one in LARGE and is_admitted(one) for one in found)


@EVERY_SAMPLER
def test_proposals_follow_from_the_seed_and_the_set_of_scores(name: str) -> None:
    found = [scored(one) for one in run(make(name, LARGE), 2)]
    one = make(name, LARGE).propose(found, 4)
    assert one == make(name, LARGE).propose(found[::-1], 4)
    assert len(one) == 4
    if name != "tpe":  # which takes the likeliest of 24 draws, among few options nearly always the same
        assert one != make(name, LARGE, seed=1).propose(found, 4)


@pytest.mark.parametrize("name", ["auto", "random"])
def test_every_submodel_of_a_space_is_proposed_once(name: str) -> None:
    def is_admitted(submodel: Submodel) -> bool:
        return float(submodel.width) < 1 or submodel.depth < 1

    found = run(make(name, MIDDLING, is_admitted), 20, 40)
    assert len(found) == len(set(found))
    assert set(found) == set(filter(is_admitted, MIDDLING))


def test_what_a_tight_budget_leaves_of_a_huge_space_is_proposed_whole() -> None:
    limit = cost(HUGE.smallest).macs + 100_000
    found = run(make("auto", HUGE, lambda one: cost(one).macs <= limit), 8)
    assert HUGE.smallest in found
    assert 1 < len(found) == len(set(found)) < 64, "no more is there"


@pytest.mark.parametrize(
    "space", [SMALL, dataclasses.replace(SMALL, widths=HALVES[:1], depths=HALVES[:1], least_depths=())]
)
def test_a_small_space_is_listed(space: Space) -> None:
    assert choose_sampler("auto", space) == make("auto", space).name == "exact"
    assert set(run(make("auto", space), 3)) == set(space)


@EVERY_SAMPLER
def test_nothing_is_proposed_where_nothing_fits_or_nothing_is_wanted(name: str) -> None:
    assert make(name, LARGE, lambda _: False).propose([], 8) == []
    assert make(name, LARGE).propose([], 0) == []


def test_unknown_samplers_are_refused() -> None:
    with pytest.raises(UsageError, match="unknown sampler 'best'; there are auto, nsga2, nsga3, tpe, gp, random"):
        make("best", LARGE)


@pytest.mark.slow
def test_gp_proposes() -> None:
    found = [scored(one) for one in run(make("random", LARGE), 2)]
    (new,) = make("gp", LARGE).propose(found, 1)
    assert new in LARGE
    assert new not in {one.submodel for one in found}


def test_auto_says_what_it_foretells() -> None:
    proposer = make("auto", LARGE)
    found = run(proposer, 5)
    foretold = proposer.foretold
    assert set(foretold) <= set(found)
    assert len(foretold) >= 20
    assert rank_correlation(list(foretold.values()), [scored(one).score for one in foretold]) > 0.3


def test_auto_takes_scores_of_a_part_and_submodels_of_another_space() -> None:
    found = [scored(one) for one in run(make("auto", LARGE), 2)]
    partial = scored(Submodel(width=Fraction(1, 2), depth=Fraction(1, 2), heads=(Fraction(1, 8),) * 4), total=100)
    assert partial.submodel not in LARGE
    new = make("auto", LARGE).propose([*found, partial], 8)
    assert len(new) == 8


def test_auto_finds_better_fronts_than_random() -> None:
    def best(name: str) -> float:
        found = [one for one in map(scored, run(make(name, LARGE), 7)) if one.macs < 4e6]
        return max(one.score for one in found)

    assert best("auto") > best("random")


def test_auto_takes_the_precision_that_costs_less_where_nothing_is_lost() -> None:
    space = dataclasses.replace(LARGE, precisions=("float32", "int8"))

    def price(submodel: Submodel) -> Candidate:
        one = cost(submodel)
        ms = one.latency.ms * (0.5 if submodel.precision == "int8" else 1)
        return dataclasses.replace(one, latency=Latency(ms=ms, source="measured", low_ms=ms, high_ms=ms))

    proposer = make_proposer("auto", space, objectives=OBJECTIVES, cost=price, is_admitted=lambda _: True, seed=0)
    found: list[Candidate] = []
    for _ in range(6):
        new = proposer.propose(found, 8)
        found += [dataclasses.replace(price(one), accuracy=scored(one.at("float32")).accuracy) for one in new]
    assert [one.submodel for one in found[:5]][2:] == list(space.cells())[:3]  # after the ends, in float32
    assert len({one.id for one in found}) == 48
    assert sum(one.submodel.precision == "int8" for one in found[-16:]) > 8


@pytest.mark.slow
def test_memory_does_not_grow_with_the_space() -> None:
    def peak(space: Space) -> int:
        known = [scored(one) for one in list(SMALL)[:10]]
        tracemalloc.start()
        make("auto", space).propose(known, 8)
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return held

    peak(SMALL)  # what is imported
    assert LARGE.size > 10**10
    assert HUGE.size > 10**15
    assert peak(HUGE) < 40e6
    assert peak(HUGE) < 1.5 * peak(LARGE)


@EVERY_SAMPLER
def test_what_was_dropped_is_learnt_from_by_what_was_found_of_it(name: str) -> None:
    proposer = make(name, LARGE)
    whole = [scored(one) for one in proposer.propose([], 24)]
    dropped = [dataclasses.replace(one, accuracy=None, partial=one.accuracy) for one in whole[::3]]
    assert len(proposer.propose([*dropped, *(one for one in whole if one not in whole[::3])], 8)) == 8
