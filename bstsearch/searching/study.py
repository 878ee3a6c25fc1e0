"""A study that several processes share: who searches enqueues submodels, and who works claims, scores and tells them.

Optuna's storages let one process only turn a waiting trial into a running one, and let nobody change a finished one. So
a submodel has one trial, which is finished once, however many processes come and go.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from bstsearch import __version__
from bstsearch.errors import BstsearchError, UsageError
from bstsearch.reading import parsing
from bstsearch.searching.budget import Budget
from bstsearch.searching.costs import DEFAULT, Objectives
from bstsearch.searching.members import Member, Watch, beating, read_beat
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.storage import Storage
from bstsearch.searching.trials import (
    FINISHED,
    LIVE,
    WORKER,
    budget_of,
    candidate_of,
    first_of_each,
    generation_of,
)

VERSION = "bstsearch"  # the attribute that names the version; written last, so that who finds it finds the others
LEADER = "bstsearch:leader"  # a system attribute, which Optuna keeps for programs
FEW = 4  # a worker claims one of the costliest quarter of what waits


class Study:
    """One study, as it was when this process looked the last time; others change it meanwhile."""

    def __init__(self, storage: Storage, name: str, objectives: Objectives = DEFAULT) -> None:
        self.storage, self.name, self.objectives = storage, name, objectives
        self._study = storage.ask(lambda backend: optuna.load_study(study_name=name, storage=backend))
        self._id = storage.ask(lambda backend: backend.get_study_id_from_name(name))
        self._ids: dict[int, int] = {}
        self._candidates: dict[int, Candidate] = {}
        self._trials: list[FrozenTrial] = []
        self.look()

    @property
    def where(self) -> str:
        """Where it lies, as messages say it."""
        return self.storage.where

    # What is known

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What it was made from."""
        return self.storage.ask(lambda backend: backend.get_study_user_attrs(self._id))

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Adds to them, in this order."""
        for item in attributes.items():
            self._set_attribute(*item)

    def set_version(self) -> None:
        """Says that this version searches in it, where another one did."""
        if self.attributes.get(VERSION) != __version__:
            self.set_attributes({VERSION: __version__})

    def look(self) -> None:
        """Takes notice of what has changed meanwhile."""
        found = self.storage.ask(lambda _: self._study.get_trials(deepcopy=False, states=LIVE))
        self._trials = first_of_each(found)

    def trials(self, states: Collection[TrialState] = LIVE) -> list[FrozenTrial]:
        """The trials in one of these states, one of each submodel, in order."""
        return [trial for trial in self._trials if trial.state in states]

    @property
    def finished(self) -> list[FrozenTrial]:
        """The finished trials."""
        return self.trials(FINISHED)

    @property
    def candidates(self) -> list[Candidate]:
        """The scored submodels and those that were dropped meanwhile, in the order in which they were enqueued."""
        return [self.candidate(trial) for trial in self.finished]

    @property
    def budgets(self) -> list[Budget]:
        """The budget under which each of them was drawn."""
        with parsing(self.where):
            return [budget_of(trial) for trial in self.finished]

    def candidate(self, trial: FrozenTrial) -> Candidate:
        """The candidate that a trial is of; InputError where it is none."""
        if trial.number not in self._candidates:
            with parsing(self.where):
                found = candidate_of(trial)
            if trial.state not in FINISHED:
                return found
            self._candidates[trial.number] = found
        return self._candidates[trial.number]

    # Who searches

    def add(self, trials: Iterable[FrozenTrial]) -> None:
        """Stores trials, each in one transaction, but for those of submodels that have one."""

        def add(_: object) -> None:
            found = self._study.get_trials(deepcopy=False, states=LIVE)
            there = {trial.user_attrs.get("id") for trial in found}
            for trial in trials:
                if trial.user_attrs.get("id") not in there:
                    self._study.add_trial(trial)

        trials = list(trials)
        self.storage.ask(add)
        self.look()

    def withdraw(self, trial: FrozenTrial) -> None:
        """Has nobody claim a waiting trial any more."""
        self._set_state(trial, TrialState.FAIL)

    def release_gone(self, watch: Watch) -> list[FrozenTrial]:
        """Lets others claim the trials of workers that are gone; returns them."""
        running = self.trials((TrialState.RUNNING,))
        gone = [trial for trial in running if watch.is_gone(trial.number, trial.user_attrs.get(WORKER))]
        return [trial for trial in gone if self._set_state(trial, TrialState.WAITING)]

    @contextlib.contextmanager
    def leading(self, member: Member, wait: Callable[[], None] | None = None) -> Iterator[None]:
        """Makes `member` the one that searches in this study; UsageError where another one does.

        It waits as `check_free` does. Without `wait` nobody else can be there: the study's file is held.
        """
        if wait is not None:
            self.check_free(wait)
        self.storage.ask(lambda backend: self._lead(backend, member, 0))
        if wait is not None:
            wait()  # whoever began in the same moment has written by now
            self.check_leading(member)
        with beating(lambda number: self.storage.at_once(lambda backend: self._lead(backend, member, number))):
            try:
                yield
            finally:
                with contextlib.suppress(BstsearchError):
                    self.storage.at_once(lambda backend: backend.set_study_system_attr(self._id, LEADER, None))

    def check_free(self, wait: Callable[[], None]) -> None:
        """Passes where nobody searches in this study; UsageError names who does.

        One of another machine that has not said that it ended is looked at, between calls of `wait`, until it has been
        silent for long; then it is forgotten.
        """
        watch, first = Watch(), self.leader()
        while (data := self.leader()) is not None:
            if watch.is_gone(LEADER, data):
                self.storage.ask(lambda backend: backend.set_study_system_attr(self._id, LEADER, None))
                return
            found = read_beat(data)
            if found is not None and (data != first or found[0].machine == Member.here().machine):
                raise self._led_by(found[0])
            wait()

    def check_leading(self, member: Member) -> None:
        """Passes where `member` is the one that searches; UsageError names another one."""
        found = read_beat(self.leader())
        if found is not None and found[0] != member:
            raise self._led_by(found[0])

    def leader(self) -> Any:
        """Who searches in this study, as plain data with its beats; None where nobody does."""
        return self.storage.ask(lambda backend: backend.get_study_system_attrs(self._id)).get(LEADER)

    def _led_by(self, other: Member) -> UsageError:
        return UsageError(
            f"{self.where}: the study {self.name!r} is being searched by another process ({other.words}); "
            "wait until it ends, or let 'bstsearch worker' help it"
        )

    def _lead(self, backend: BaseStorage, member: Member, number: int) -> None:
        """Tells that `member` searches here, unless another one does: then it was taken for gone."""
        found = read_beat(backend.get_study_system_attrs(self._id).get(LEADER))
        if not number or found is None or found[0] == member:
            backend.set_study_system_attr(self._id, LEADER, member.to_json(number))

    # Who works

    def claim(self, member: Member) -> FrozenTrial | None:
        """A waiting trial that is `member`'s from now on; None where none is waiting.

        It is one of the costliest of its generation, so that at the end nobody waits long for the last one.
        """
        waiting = self.trials((TrialState.WAITING,))
        waiting.sort(key=lambda one: (generation_of(one), -self.candidate(one).macs, one.number))
        place = 0
        while waiting:
            trial = waiting.pop(place)
            if self._set_state(trial, TrialState.RUNNING):
                self._begin(trial, member)
                return trial
            place = random.randrange(-(-len(waiting) // FEW)) if waiting else 0  # not all workers try the next one
        return None

    def beat(self, trial: FrozenTrial, member: Member, number: int) -> None:
        """Tells that `member` is still at work on the trial; AwayError where the storage does not answer now."""
        data = member.to_json(number)
        with contextlib.suppress(UpdateFinishedTrialError):
            self.storage.at_once(lambda backend: backend.set_trial_user_attr(self._trial_id(trial), WORKER, data))

    def _begin(self, trial: FrozenTrial, member: Member) -> None:
        self.storage.ask(lambda _: self.beat(trial, member, 0))

    def finish(self, trial: FrozenTrial, attributes: Mapping[str, Any], values: tuple[float, ...] | None) -> bool:
        """Stores what came out, the state last; without values it was dropped. False where another was faster."""
        try:
            for item in attributes.items():
                self._set_trial_attribute(trial, *item)
        except UpdateFinishedTrialError:
            return False
        return self._set_state(trial, TrialState.PRUNED if values is None else TrialState.COMPLETE, values)

    def give_back(self, trial: FrozenTrial, member: Member) -> None:
        """Lets others claim the trial at once, where it is still `member`'s."""

        def give(backend: BaseStorage) -> None:
            now = backend.get_trial(self._trial_id(trial))
            found = read_beat(now.user_attrs.get(WORKER))
            if now.state == TrialState.RUNNING and (found is None or found[0] == member):
                backend.set_trial_state_values(self._trial_id(trial), TrialState.WAITING)

        with contextlib.suppress(BstsearchError, KeyError, UpdateFinishedTrialError):
            self.storage.at_once(give)  # where the storage is away, its member is found silent later

    def _set_attribute(self, name: str, value: Any) -> None:
        self.storage.ask(lambda backend: backend.set_study_user_attr(self._id, name, value))

    def _set_trial_attribute(self, trial: FrozenTrial, name: str, value: Any) -> None:
        self.storage.ask(lambda backend: backend.set_trial_user_attr(self._trial_id(trial), name, value))

    def _set_state(self, trial: FrozenTrial, state: TrialState, values: tuple[float, ...] | None = None) -> bool:
        """Whether the trial has come to this state; a finished one stays as it is."""
        try:
            return self.storage.ask(
                lambda backend: backend.set_trial_state_values(self._trial_id(trial), state, values)
            )
        except UpdateFinishedTrialError:
            return False

    def _trial_id(self, trial: FrozenTrial) -> int:
        if trial.number not in self._ids:
            find = self.storage.backend.get_trial_id_from_study_id_trial_number
            self._ids[trial.number] = find(self._id, trial.number)
        return self._ids[trial.number]


def create_study(storage: Storage, name: str, attributes: Mapping[str, Any], objectives: Objectives) -> Study:
    """A new study of that name, which must not exist, made for these objectives from what `attributes` say."""
    import warnings

    from optuna.exceptions import ExperimentalWarning

    def create(backend: BaseStorage) -> None:
        with contextlib.suppress(optuna.exceptions.DuplicatedStudyError):  # made before an answer got lost
            optuna.create_study(study_name=name, storage=backend, directions=directions(objectives))
        study = optuna.load_study(study_name=name, storage=backend)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # the names that the dashboard shows
            study.set_metric_names(list(objectives.names))

    storage.ask(create)
    study = Study(storage, name, objectives)
    study.set_attributes({**attributes, **objectives.to_json(), VERSION: __version__})
    return study


def directions(objectives: Objectives) -> list[StudyDirection]:
    """Which way each objective is better, as Optuna says it."""
    return [StudyDirection.MAXIMIZE if is_up else StudyDirection.MINIMIZE for is_up in objectives.is_maximized]
