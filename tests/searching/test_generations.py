from __future__ import annotations

import dataclasses
import re
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from fractions import Fraction

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from bstsearch.errors import InfeasibleBudgetError, InputError, UsageError
from bstsearch.score import ACCURACY, Accuracy, Metric, Value
from bstsearch.searching.budget import Budget
from bstsearch.searching.costs import DEFAULT, Objectives
from bstsearch.searching.generations import SIZE, Searched, search_study
from bstsearch.searching.pareto import Candidate, find_front
from bstsearch.searching.proposing import ENUMERATED, choose_sampler
from bstsearch.searching.racing import Race, Values, order, part_ends, write_rights
from bstsearch.searching.scoring import NO_RIVALS, Outcome
from bstsearch.searching.storage import Storage
from bstsearch.searching.study import create_study
from bstsearch.searching.study_file import revalued
from bstsearch.searching.trials import candidate_of, generation_of
from bstsearch.searching.working import Worker
from bstsearch.space import Space, Submodel

MakeCandidate = Callable[..., Candidate]

HALVES = (Fraction(1, 2), Fraction(1))
QUARTERS = tuple(Fraction(n, 4) for n in (1, 2, 3, 4))
SMALL = Space.bst(stacks=(4, 4))
LARGE = Space(widths=QUARTERS, depths=HALVES, stacks=(2, 2), layer_heads=QUARTERS, layer_ffn=QUARTERS)
MIDDLING = Space(widths=HALVES, depths=HALVES, stacks=(2, 2), layer_ffn=HALVES)  # 36: small, but worth sampling


def size(submodel: Submodel) -> float:
    layers = int(4 * submodel.depth)
    shares = [sum(row) if row else layers * submodel.width for row in (submodel.heads, submodel.ffn)]
    return float(submodel.width + layers + sum(shares))


class Searcher:
    """Runs searches over one space and one study, and counts what was asked of it."""

    def __init__(self, make: MakeCandidate, space: Space, objectives: Objectives = DEFAULT) -> None:
        self.make, self.space = make, space
        storage = Storage(optuna.storages.InMemoryStorage(), "memory")
        self.study = create_study(storage, "bstsearch", {}, objectives)
        self.scored: Counter[str] = Counter()
        self.costed: Counter[str] = Counter()
        self.interrupt_after = 10_000
        self.steps: list[tuple[str, int, int, str]] = []

    def cost(self, submodel: Submodel) -> Candidate:
        self.costed[submodel.id] += 1
        return self.make(submodel.id, ms=size(submodel), macs=int(1e6 * size(submodel)))

    metric = ACCURACY

    def load(self) -> None:
        """Nothing is read."""

    def test(self, submodel: Submodel) -> None:
        """There is no test part."""

    def score(self, submodel: Submodel, rivals: Mapping[str, str] = NO_RIVALS) -> Outcome:
        if self.scored.total() >= self.interrupt_after:
            raise KeyboardInterrupt
        self.scored[submodel.id] += 1
        return Outcome(score=Accuracy(correct=round(900 + 9 * size(submodel) ** 0.5), total=1000))

    def __call__(self, budget: Budget | None = None, *, sampler: str = "auto", trials: int = 100) -> Searched:
        return search_study(
            self.study,
            self.space,
            cost=self.cost,
            step=Worker(self.study, self).step,
            budget=budget or Budget(),
            sampler=sampler,
            trials=trials,
            progress=lambda *step: self.steps.append(step),
        )


@pytest.fixture
def small(make_candidate: MakeCandidate) -> Searcher:
    return Searcher(make_candidate, SMALL)


@pytest.fixture
def large(make_candidate: MakeCandidate) -> Searcher:
    return Searcher(make_candidate, LARGE)


def test_small_space_is_enumerated_and_exact(small: Searcher) -> None:
    searched = small()
    assert small.scored == Counter(submodel.id for submodel in SMALL)
    assert searched.is_exact
    assert (searched.sampler, searched.trials) == ("exact", 10)
    assert {candidate.id for candidate in searched.candidates} == {submodel.id for submodel in SMALL}
    assert len(find_front(searched.candidates)) > 1


def test_nothing_outside_the_budget_is_scored(small: Searcher) -> None:
    budget = Budget(latency_ms=5.0)
    searched = small(budget)
    assert small.scored == Counter(submodel.id for submodel in SMALL if size(submodel) <= 5.0)
    assert 0 < len(small.scored) < 10
    assert searched.is_exact
    unscored = [candidate for candidate in searched.candidates if candidate.accuracy is None]
    assert len(unscored) == 10 - len(small.scored)


def test_a_looser_budget_scores_only_what_it_adds(small: Searcher) -> None:
    small(Budget(latency_ms=5.0))
    small.scored.clear()
    small()
    assert small.scored == Counter(submodel.id for submodel in SMALL if size(submodel) > 5.0)
    small.scored.clear()
    small(Budget(latency_ms=6.0))
    assert not small.scored


@pytest.mark.parametrize("space", [SMALL, LARGE])
def test_infeasible_budget_names_the_nearest_before_any_score(make_candidate: MakeCandidate, space: Space) -> None:
    searcher = Searcher(make_candidate, space)
    with pytest.raises(InfeasibleBudgetError, match=f"nearest is {space.smallest.id} with"):
        searcher(Budget(latency_ms=0.1))
    assert not searcher.scored


def test_interrupted_search_keeps_its_scores_and_goes_on(small: Searcher) -> None:
    small.interrupt_after = 4
    with pytest.raises(KeyboardInterrupt):
        small()
    assert len(small.study.candidates) == 4
    small.interrupt_after = 10_000
    searched = small()
    assert small.scored == Counter(submodel.id for submodel in SMALL)
    assert searched.is_exact


def test_interrupted_sampling_goes_on_to_the_same_number_of_trials(large: Searcher) -> None:
    large.interrupt_after = 7
    with pytest.raises(KeyboardInterrupt):
        large(trials=30)
    large.interrupt_after = 10_000
    assert large(trials=30).trials == 30
    assert large.scored.total() == len(large.scored) == 30


@pytest.mark.parametrize("sampler", ["auto", "nsga2", "tpe"])
def test_large_space_is_sampled_without_duplicates(large: Searcher, sampler: str) -> None:
    searched = large(sampler=sampler, trials=30)
    assert {LARGE.smallest.id, LARGE.middle.id, LARGE.largest.id} <= set(list(large.scored)[:SIZE])
    assert large.scored.total() == len(large.scored) == searched.trials == 30
    assert not searched.is_exact
    assert searched.sampler == sampler
    assert all(Submodel.from_id(name) in LARGE for name in large.scored)


@pytest.mark.parametrize("sampler", ["nsga2", "tpe"])
def test_sampling_stays_within_a_tight_budget(large: Searcher, sampler: str) -> None:
    searched = large(Budget(latency_ms=4.0), sampler=sampler, trials=12)
    assert len(large.scored) == 12
    assert all(size(Submodel.from_id(name)) <= 4.0 for name in large.scored)
    assert {LARGE.smallest.id, LARGE.middle.id, LARGE.largest.id} <= {one.id for one in searched.candidates}


def test_trials_count_under_this_budget_or_a_looser_one(large: Searcher) -> None:
    large(trials=6)
    large(Budget(latency_ms=6.0), trials=6)
    assert len(large.scored) == 6
    large(Budget(latency_ms=6.0), trials=8)
    assert len(large.scored) == 8
    assert large(trials=6).trials == 6, "trials under a budget do not count without it"
    assert large(trials=8).trials == 8
    assert len(large.scored) == 10


@pytest.mark.parametrize("sampler", ["nsga2", "tpe"])
def test_sampling_ends_when_everything_is_scored(make_candidate: MakeCandidate, sampler: str) -> None:
    searcher = Searcher(make_candidate, MIDDLING)
    assert MIDDLING.size <= ENUMERATED
    searched = searcher(sampler=sampler, trials=1000)
    assert searcher.scored == Counter(submodel.id for submodel in MIDDLING)
    assert searched.is_exact


def test_sampling_a_larger_space_to_its_end_is_exact_too(large: Searcher) -> None:
    space = Space(widths=HALVES, depths=HALVES, stacks=(2, 2), layer_heads=HALVES, layer_ffn=HALVES)
    assert space.size > ENUMERATED
    large.space = space
    searched = large(Budget(latency_ms=5.0), trials=1000)
    within = {submodel.id for submodel in space if size(submodel) <= 5.0}
    assert set(large.scored) == within
    assert searched.is_exact


def test_costs_are_asked_for_once(small: Searcher) -> None:
    small(Budget(latency_ms=5.0))
    assert set(small.costed.values()) == {1}


def test_progress_tells_the_best_so_far(small: Searcher) -> None:
    small()
    assert small.steps[0] == ("scoring", 0, 10, "")
    best = max(small.study.candidates, key=lambda one: (one.score, -one.latency.ms))
    assert small.steps[-1] == (
        "scoring",
        9,
        10,
        f"best {100 * best.score:.2f} % at {best.latency.ms:.3g} ms ({best.id})",
    )


def test_progress_tells_how_well_the_sampler_foretells(large: Searcher) -> None:
    large(sampler="auto", trials=40)
    told = [words for *_, words in large.steps]
    assert "foretold" not in told[0]
    assert re.search(r"^best .*, rank correlation of what was foretold -?[01]\.\d\d$", told[-1])
    large.steps.clear()
    large(sampler="auto", trials=48)
    assert "foretold" in large.steps[0][3], "a search that goes on knows it from the study"


def test_same_seed_same_submodels(make_candidate: MakeCandidate) -> None:
    one, other = Searcher(make_candidate, LARGE), Searcher(make_candidate, LARGE)
    one(trials=25)
    other(trials=25)
    assert list(one.scored) == list(other.scored)


def test_unknown_sampler_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="auto, nsga2, nsga3, tpe, gp, random"):
        choose_sampler("guess", SMALL)


def test_scores_and_budget_are_in_the_trials(small: Searcher) -> None:
    small(Budget(latency_ms=5.0))
    trial = small.study.finished[0]
    assert trial.user_attrs["budget"]["latency_ms"] == 5.0
    assert trial.params == {"width": "1/4", "depth": "1/4"}
    costs = trial.user_attrs["costs"]
    assert trial.values == [trial.user_attrs["score"]["accuracy"], costs["latency_ms"], costs["gflops"]]
    assert candidate_of(trial).id == trial.user_attrs["id"]
    assert trial.user_attrs["draw"] == {"sampler": "exact", "seed": 0, "objectives": "accuracy,latency,gflops"}


class Guesser(Searcher):
    """Scores by an error, which is smaller for larger submodels."""

    def score(self, submodel: Submodel, rivals: Mapping[str, str] = NO_RIVALS) -> Outcome:
        self.scored[submodel.id] += 1
        error = 1 / size(submodel)
        return Outcome(score=Value(value=error, low=0.9 * error, high=1.1 * error, total=100))


@pytest.mark.parametrize("sampler", ["nsga2", "tpe"])
def test_a_sampler_aims_at_what_the_study_trades(make_candidate: MakeCandidate, sampler: str) -> None:
    """The smallest error is that of the full model, which costs most."""
    objectives = Objectives.of(["accuracy", "parameters"], Metric(name="error", unit="m", is_higher_better=False))
    searcher = Guesser(make_candidate, LARGE, objectives)
    searched = searcher(sampler=sampler, trials=25)
    assert searched.trials == 25
    assert [trial.values for trial in searcher.study.finished] == [
        list(objectives.values(one)) for one in searcher.study.candidates
    ]
    assert searcher.steps[-1][3].startswith(f"best {1 / size(LARGE.largest):.4g} m at ")
    ids = {one.id for one in find_front(searched.candidates, objectives)}
    assert {LARGE.smallest.id, LARGE.largest.id} <= ids


ROWS = 2000


def values_of(submodel: Submodel) -> Values:
    """Which questions it answers: more where its FFN is wide, whatever its heads cost."""
    share = 0.4 + 0.13 * float(sum(submodel.ffn or [submodel.width * int(4 * submodel.depth)]))
    hard, luck = (np.random.default_rng(seed).random(ROWS) for seed in (0, zlib.crc32(submodel.id.encode())))
    return (0.9 * hard + 0.1 * luck < share).astype(float)


class Racing(Searcher):
    """Scores part after part, as the real one does; `rows` counts the questions that were answered."""

    rows = 0

    def score(self, submodel: Submodel, rivals: Mapping[str, str] = NO_RIVALS) -> Outcome:
        if self.scored.total() >= self.interrupt_after:
            raise KeyboardInterrupt
        self.scored[submodel.id] += 1
        values, race = values_of(submodel), Race.of(rivals, ROWS, ACCURACY)
        for end in part_ends(ROWS):
            rows = order(ROWS)[:end]
            winner = race.winner(values[rows], rows) if end < ROWS else None
            if winner:
                self.rows += end
                return Outcome(score=Accuracy.of(values[rows].tolist()), beaten_by=winner)
        self.rows += ROWS
        return Outcome(score=Accuracy.of(values.tolist()), rights=write_rights(values))


@pytest.fixture
def racing(make_candidate: MakeCandidate) -> Racing:
    return Racing(make_candidate, LARGE)


def test_a_race_keeps_the_front_and_saves_questions(racing: Racing) -> None:
    searched = racing(sampler="random", trials=80)
    assert searched.trials == 80
    whole = [
        dataclasses.replace(one, accuracy=Accuracy.of(values_of(one.submodel).tolist()), partial=None)
        for one in racing.study.candidates
    ]
    assert [one.id for one in find_front(searched.candidates)] == [one.id for one in find_front(whole)]
    assert racing.rows < 0.7 * 80 * ROWS


def test_who_was_dropped_is_a_pruned_trial_that_names_an_earlier_rival(racing: Racing) -> None:
    racing(sampler="random", trials=80)
    trials = {trial.user_attrs["id"]: trial for trial in racing.study.finished}
    dropped = [trial for trial in trials.values() if trial.state == TrialState.PRUNED]
    assert dropped
    for trial in dropped:
        one = candidate_of(trial)
        rival = trials[str(one.beaten_by)]
        assert trial.values is None
        assert one.accuracy is None
        assert one.partial is not None
        assert one.partial.total in part_ends(ROWS)[:-1]
        assert generation_of(rival) < generation_of(trial)
        better = candidate_of(rival)
        assert better.score > one.partial.value
        assert (better.latency.ms, better.macs) <= (one.latency.ms, one.macs)


def test_under_other_objectives_who_was_dropped_has_no_values_either(racing: Racing) -> None:
    racing(sampler="random", trials=80)
    finished = racing.study.finished
    found = revalued(finished, Objectives.of(["accuracy", "size"]))
    assert [trial.values is None for trial in found] == [trial.state == TrialState.PRUNED for trial in finished]
    assert any(trial.values is None for trial in found)


def test_an_interrupted_race_goes_on_as_it_would_have(racing: Racing, make_candidate: MakeCandidate) -> None:
    whole = Racing(make_candidate, LARGE)
    expected = whole(trials=60)
    racing.interrupt_after = 37
    with pytest.raises(KeyboardInterrupt):
        racing(trials=60)
    racing.interrupt_after = 10_000
    assert racing(trials=60).candidates == expected.candidates
    assert set(racing.scored.values()) == {1}


def test_scores_on_other_questions_are_refused_and_partial_ones_are_not(racing: Racing) -> None:
    racing(sampler="random", trials=80)
    racing.scored.clear()

    def score(submodel: Submodel, rivals: Mapping[str, str] = NO_RIVALS) -> Outcome:
        return Outcome(score=Accuracy(correct=1, total=7))

    racing.score = score  # type: ignore[method-assign]
    with pytest.raises(InputError, match="the study was scored on 2,000 questions, here there are 7"):
        racing(trials=81)
