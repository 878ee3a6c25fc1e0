from __future__ import annotations

import itertools
import random
from fractions import Fraction

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.samplers import NSGAIISampler, RandomSampler, TPESampler

from bstsearch.searching.samplers import Choices, ExhaustedError, FeasibleSampler, from_params, to_params
from bstsearch.space import Space, Submodel

HALVES = (Fraction(1, 2), Fraction(1))
QUARTERS = tuple(Fraction(n, 4) for n in (1, 2, 3, 4))
UNIFORM = Space.bst(stacks=(6, 6))
LAYERWISE = Space(widths=QUARTERS, depths=HALVES, stacks=(2, 4), layer_heads=QUARTERS, layer_ffn=HALVES)
TINY = Space(widths=HALVES, depths=HALVES, stacks=(2,), layer_ffn=HALVES)
ENORMOUS = Space(widths=HALVES, depths=HALVES, stacks=(64,), layer_heads=HALVES)


def size(submodel: Submodel) -> Fraction:
    """A cost that grows with every choice."""
    layers = 6 * submodel.depth
    shares = [sum(row) if row else layers * submodel.width for row in (submodel.heads, submodel.ffn)]
    return submodel.width + layers + sum(shares)


def draw_all(sampler: FeasibleSampler, space: Space, count: int) -> list[Submodel]:
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    choices = Choices(space)
    drawn = []
    for _ in range(count):
        trial = study.ask(choices.distributions)
        drawn.append(choices.submodel(from_params(trial.params)))
        sampler._is_new.add(drawn[-1])  # type: ignore[attr-defined]
        study.tell(trial, [float(size(drawn[-1])) % 1, float(size(drawn[-1]))])
    return drawn


class Unseen(set[Submodel]):
    """Called, says whether a submodel is not in this set."""

    def __call__(self, submodel: Submodel) -> bool:
        return submodel not in self


@given(space=st.sampled_from([UNIFORM, LAYERWISE]), data=st.data())
def test_row_and_submodel_are_inverse(space: Space, data: st.DataObject) -> None:
    submodels = list(UNIFORM) if space is UNIFORM else [space.smallest, space.middle, space.largest]
    submodel = data.draw(st.sampled_from(submodels))
    choices = Choices(space)
    assert choices.submodel(from_params(to_params(choices.row(submodel)))) == submodel


@given(data=st.data())
def test_every_row_settles_into_the_space(data: st.DataObject) -> None:
    choices = Choices(LAYERWISE)
    row = {name: data.draw(st.sampled_from(options)) for name, options in choices.options.items()}
    settled = choices.settled(row)
    assert choices.submodel(settled) in LAYERWISE
    assert settled == choices.settled(settled)


@given(data=st.data(), seed=st.integers(0, 99))
def test_descent_ends_at_the_smallest_and_never_grows(data: st.DataObject, seed: int) -> None:
    choices = Choices(LAYERWISE)
    row = {name: data.draw(st.sampled_from(options)) for name, options in choices.options.items()}
    path = [choices.submodel(step) for step in choices.descent(row, random.Random(seed))]
    assert path[0] == choices.submodel(choices.settled(row))
    assert path[-1] == LAYERWISE.smallest
    assert all(submodel in LAYERWISE for submodel in path)
    assert all(size(b) <= size(a) for a, b in itertools.pairwise(path))


@pytest.mark.parametrize("inner", [NSGAIISampler(population_size=4, seed=0), TPESampler(seed=0, n_startup_trials=4)])
@pytest.mark.parametrize("limit", [1000, 8, 7])
def test_draws_exist_fit_the_budget_and_are_new(inner: optuna.samplers.BaseSampler, limit: int) -> None:
    sampler = FeasibleSampler(
        inner, LAYERWISE, is_admitted=lambda submodel: size(submodel) <= limit, is_new=Unseen(), seed=0
    )
    drawn = draw_all(sampler, LAYERWISE, 10)
    assert len(set(drawn)) == 10
    assert all(submodel in LAYERWISE and size(submodel) <= limit for submodel in drawn)


def test_enqueued_trials_become_parents() -> None:
    inner = NSGAIISampler(population_size=4, seed=0)
    sampler = FeasibleSampler(inner, LAYERWISE, is_admitted=lambda _: True, is_new=Unseen(), seed=0)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    choices = Choices(LAYERWISE)
    study.enqueue_trial(to_params(choices.row(LAYERWISE.smallest)))
    study.tell(study.ask(choices.distributions), [1, 1])
    assert inner.get_population(study, 0) == study.trials


def test_nsga2_breeds_from_what_was_found() -> None:
    """After the first generation children share most choices with a parent; random rows share a third."""
    inner = NSGAIISampler(population_size=4, seed=0)
    sampler = FeasibleSampler(inner, LAYERWISE, is_admitted=lambda _: True, is_new=Unseen(), seed=0)
    choices = Choices(LAYERWISE)
    rows = [choices.row(submodel) for submodel in draw_all(sampler, LAYERWISE, 12)]

    def shared(one: dict[str, Fraction], others: list[dict[str, Fraction]]) -> float:
        return max(sum(one[name] == other[name] for name in one) / len(one) for other in others)

    assert min(shared(row, rows[:8]) for row in rows[8:]) > 0.5


def test_a_small_space_is_drawn_to_its_end() -> None:
    sampler = FeasibleSampler(RandomSampler(seed=0), TINY, is_admitted=lambda _: True, is_new=Unseen(), seed=0)
    assert set(draw_all(sampler, TINY, len(TINY))) == set(TINY)
    with pytest.raises(ExhaustedError) as caught:
        draw_all(sampler, TINY, 1)
    assert caught.value.is_certain


def test_a_large_space_is_given_up_after_a_bounded_number_of_draws() -> None:
    asked = []
    sampler = FeasibleSampler(
        RandomSampler(seed=0),
        ENORMOUS,
        is_admitted=lambda submodel: asked.append(submodel) is None,
        is_new=lambda _: False,
        seed=0,
    )
    with pytest.raises(ExhaustedError) as caught:
        draw_all(sampler, ENORMOUS, 1)
    assert not caught.value.is_certain
    assert len(asked) <= 100
