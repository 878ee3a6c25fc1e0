"""What several processes may do to one study at the same time."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
import worker_kills

from bstsearch.errors import InputError, UsageError
from bstsearch.score import Accuracy
from bstsearch.searching import members
from bstsearch.searching.budget import Budget
from bstsearch.searching.costs import DEFAULT
from bstsearch.searching.generations import search_study, settle_size
from bstsearch.searching.members import Member, Watch
from bstsearch.searching.storage import Storage
from bstsearch.searching.study import LEADER, Study, create_study
from bstsearch.searching.trials import Draw, candidate_of, make_trial
from bstsearch.searching.working import Worker, work
from bstsearch.space import Submodel

SPACE, Scorer = worker_kills.SPACE, worker_kills.Scorer
DRAW = Draw(budget=Budget(), objectives=str(DEFAULT), sampler="tpe", seed=0)
CORNERS = (SPACE.smallest, SPACE.middle, SPACE.largest)
HERE = Member.here()
ELSEWHERE = dataclasses.replace(HERE, machine="another one", host="far", key="f" * 32)
SCORE = Accuracy(correct=900, total=1000)


@pytest.fixture
def backend() -> optuna.storages.InMemoryStorage:
    return optuna.storages.InMemoryStorage()


@pytest.fixture
def study(backend: optuna.storages.InMemoryStorage) -> Study:
    """A study in which the corners wait."""
    found = create_study(Storage(backend, "memory"), "a", worker_kills.ORIGIN.to_json(), DEFAULT)
    found.add(make_trial(worker_kills.cost(one), SPACE, DEFAULT, DRAW, 1) for one in CORNERS)
    return found


@pytest.fixture
def other(study: Study, backend: optuna.storages.InMemoryStorage) -> Study:
    """The same study, as another process sees it."""
    return Study(Storage(backend, "memory"), "a")


def states(study: Study) -> list[str]:
    return [trial.state.name for trial in study._study.get_trials(deepcopy=False)]


def test_a_trial_is_claimed_once_the_costliest_first(study: Study, other: Study) -> None:
    claimed = [one.claim(HERE) for one in (study, other, study, other)]
    ids = [trial.user_attrs["id"] for trial in claimed if trial]
    assert ids[0] == SPACE.largest.id
    assert sorted(ids) == sorted(one.id for one in CORNERS)
    assert claimed[3] is None


def test_a_finished_trial_stays_as_it_is(study: Study, other: Study) -> None:
    """The second one was taken for gone, and another worker has been faster."""
    trial = study.claim(HERE)
    assert trial is not None
    assert other.finish(trial, {"score": {"accuracy": 0.9}}, (0.9, 1.0, 1.0))
    assert not study.finish(trial, {"score": {"accuracy": 0.1}}, (0.1, 1.0, 1.0))
    study.give_back(trial, HERE)
    study.beat(trial, HERE, 1)
    study.look()
    (finished,) = study.finished
    assert (finished.values, finished.user_attrs["score"]) == ([0.9, 1.0, 1.0], {"accuracy": 0.9})


def test_what_is_given_back_waits_again_unless_it_is_another_one_s(study: Study, other: Study) -> None:
    trial = study.claim(HERE)
    assert trial is not None
    other.give_back(trial, ELSEWHERE)
    assert states(study).count("RUNNING") == 1
    study.give_back(trial, HERE)
    assert states(study) == ["WAITING"] * 3


def test_what_a_worker_that_is_gone_had_waits_again(study: Study, other: Study) -> None:
    other.claim(dataclasses.replace(HERE, process=2**22 + 1))
    study.look()
    (trial,) = study.release_gone(Watch())
    assert trial.user_attrs["id"] == SPACE.largest.id
    assert states(study) == ["WAITING"] * 3
    other.claim(ELSEWHERE)
    study.look()
    assert not study.release_gone(Watch()), "it may be at work"


def test_a_submodel_is_enqueued_once_even_where_an_answer_got_lost(study: Study, other: Study) -> None:
    study.add(make_trial(worker_kills.cost(one), SPACE, DEFAULT, DRAW, 2) for one in CORNERS)
    assert len(states(study)) == 3
    twice = make_trial(worker_kills.cost(CORNERS[0]), SPACE, DEFAULT, DRAW, 1)
    other._study.add_trial(twice)  # as when the storage did it and its answer was lost
    study.look()
    assert len(study.trials()) == 3
    assert len([1 for _ in range(5) if study.claim(HERE)]) == 3


def test_one_process_searches_at_a_time(study: Study, other: Study) -> None:
    wait: Callable[[], None] = lambda: None  # noqa: E731
    with study.leading(HERE, wait):
        with (
            pytest.raises(UsageError, match=r"memory: the study 'a' is being searched by another process \(.*wait"),
            other.leading(Member.here(), wait),
        ):
            pass
        study.check_leading(HERE)
    assert study.leader() is None
    with other.leading(Member.here(), wait):
        pass


def test_who_searched_and_was_killed_is_followed_at_once_here_and_after_a_silence_elsewhere(study: Study) -> None:
    def lead(member: Member) -> None:
        study.storage.backend.set_study_system_attr(study._id, LEADER, member.to_json(3))

    waits: list[int] = []
    lead(dataclasses.replace(HERE, process=2**22 + 1))
    with study.leading(HERE, lambda: waits.append(1)):
        assert len(waits) == 1
    lead(ELSEWHERE)
    with pytest.MonkeyPatch.context() as patch:
        now = [0.0]
        patch.setattr(members.Watch.__init__, "__defaults__", (lambda: now[0],))
        waits.clear()

        def wait() -> None:
            waits.append(1)
            now[0] += 1

        with study.leading(HERE, wait):
            assert 60 <= len(waits) <= 63


def test_one_elsewhere_that_beats_is_not_followed(study: Study) -> None:
    beats = iter(range(100))

    def wait() -> None:
        study.storage.backend.set_study_system_attr(study._id, LEADER, ELSEWHERE.to_json(next(beats)))

    wait()
    with pytest.raises(UsageError, match="far, process"), study.leading(HERE, wait):
        pass


# Working


def test_a_worker_that_fails_or_is_stopped_gives_back_what_it_has(study: Study) -> None:
    for error in (KeyboardInterrupt, InputError):

        def fail(_: Submodel, error: type[BaseException] = error) -> Accuracy:
            raise error

        study.look()
        with pytest.raises(error):
            Worker(study, Scorer(fail)).step()
        assert states(study) == ["WAITING"] * 3


def test_a_worker_ends_with_the_search(study: Study, other: Study) -> None:
    told: list[int] = []
    with study.leading(HERE):
        assert Worker(other, Scorer(lambda _: SCORE)).step()
    work(Worker(other, Scorer(lambda _: SCORE)), told.append, lambda _: None)
    assert told == [1, 2]
    assert states(study) == ["COMPLETE"] * 3
    study.look()
    assert study.candidates[0].accuracy == SCORE
    assert study.finished[0].user_attrs["worker"]["process"] == HERE.process


def test_scores_on_other_questions_are_refused(study: Study) -> None:
    assert Worker(study, Scorer(lambda _: SCORE)).step()
    study.look()
    with pytest.raises(InputError, match="scored on 1,000 questions, here there are 10"):
        Worker(study, Scorer(lambda _: Accuracy(correct=1, total=10))).step()


# Generations


def search(study: Study, **options: object) -> set[str]:
    worker = Worker(study, Scorer())
    search_study(study, SPACE, cost=worker_kills.cost, step=worker.step, budget=Budget(), trials=20, **options)  # type: ignore[arg-type]
    return {one.id for one in study.candidates}


def make(name: str) -> Study:
    return create_study(Storage(optuna.storages.InMemoryStorage(), name), "a", {}, DEFAULT)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches of sixteen submodels, each scored in some milliseconds."""
    monkeypatch.setattr(worker_kills, "SCORING_S", 0.005)
    monkeypatch.setattr(worker_kills, "TRIALS", 16)


@pytest.mark.parametrize("stopped_after", [3, 8, 11])
def test_a_search_that_was_stopped_ends_as_an_undisturbed_one(
    stopped_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, study, scored = search(make("one")), make("other"), list[str]()
    score = worker_kills.score

    def stop(submodel: Submodel) -> Accuracy:
        if len(scored) == stopped_after:
            raise KeyboardInterrupt
        scored.append(submodel.id)
        return score(submodel)

    with monkeypatch.context() as patch:
        patch.setattr(worker_kills, "score", stop)
        with pytest.raises(KeyboardInterrupt):
            search(study)
    assert search(study) == expected
    assert states(study) == ["COMPLETE"] * 20


def test_the_order_of_scores_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    expected, study = search(make("one")), make("other")
    claim = Study.claim

    def claim_cheapest(self: Study, member: Member) -> object:
        with monkeypatch.context() as patch:
            patch.setattr(
                Study, "candidate", lambda _, trial: dataclasses.replace(candidate_of(trial), macs=-trial.number)
            )
            return claim(self, member)

    monkeypatch.setattr(Study, "claim", claim_cheapest)
    assert search(study) == expected


def test_what_waits_under_another_budget_is_not_scored(study: Study) -> None:
    """The corners are those of an earlier command, which was killed."""
    worker = Worker(study, Scorer())
    budget = Budget(latency_ms=worker_kills.size(SPACE.middle))
    search_study(study, SPACE, cost=worker_kills.cost, step=worker.step, budget=budget, trials=4)
    assert len(study.candidates) == 4
    assert all(budget.admits(one) for one in study.candidates)
    assert states(study).count("FAIL") == 3


def test_known_scores_need_no_worker() -> None:
    study = make("one")

    def idle() -> bool:
        raise AssertionError("there is nothing to score")

    search_study(study, SPACE, cost=worker_kills.cost, step=idle, known=Scorer().score, budget=Budget(), trials=9)
    assert len(study.candidates) == 9


def test_the_size_of_a_generation_is_settled_once() -> None:
    study = make("one")
    assert settle_size(study, None) == 8
    assert settle_size(study, 8) == 8
    with pytest.raises(UsageError, match="goes in generations of 8; give --generation 8"):
        settle_size(study, 9)
    assert settle_size(make("other"), 64) == 64


def test_trials_say_what_people_understand(study: Study) -> None:
    trial = study.trials()[1]
    assert trial.params == {"width": "3/4", "depth": "1/2", "mean heads": 0.75, "mean ffn": 0.75}
    assert set(trial.user_attrs) == {"id", "costs", "budget", "draw", "generation"}
    assert trial.user_attrs["costs"]["latency_ms"] == worker_kills.size(SPACE.middle)
    assert candidate_of(trial) == worker_kills.cost(SPACE.middle)


# Processes


def test_three_workers_score_what_one_does(tmp_path: Path) -> None:
    worker_kills.search(tmp_path / "one.db", is_working=True)
    expected = worker_kills.found(tmp_path / "one.db")
    place = tmp_path / "three.db"
    searching = worker_kills.start(lambda: worker_kills.search(place))
    worker_kills.await_search(place, searching)
    helping = [worker_kills.start(lambda: worker_kills.help_search(place)) for _ in range(3)]
    assert worker_kills.end_well([searching, *helping])
    assert worker_kills.found(place) == expected


@pytest.mark.slow
def test_killed_workers_lose_no_score_and_double_none(tmp_path: Path) -> None:
    worker_kills.search(tmp_path / "one.db", is_working=True)
    killed = worker_kills.disturb(tmp_path / "killed.db", 6, random.Random(0), (0.05, 0.4))
    assert worker_kills.found(tmp_path / "killed.db") == worker_kills.found(tmp_path / "one.db")
    assert killed.total() > 0
