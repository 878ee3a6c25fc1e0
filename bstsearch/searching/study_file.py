"""study.db: every scored submodel, as trials of an Optuna study in SQLite that optuna-dashboard opens."""

from __future__ import annotations

import contextlib
import copy
import sqlite3
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.pool import QueuePool

from bstsearch import __version__
from bstsearch.errors import BstsearchError, DeviceError, InputError
from bstsearch.reading import check_file, parsing, said, shown
from bstsearch.searching.budget import Budget
from bstsearch.searching.costs import DEFAULT, Objectives
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.provenance import Provenance
from bstsearch.writing import writing

NAME = "study.db"
JOURNAL = "-journal"  # behind the name: SQLite's file of a transaction
STUDY = "bstsearch"
_REMEDY = "give another --out to keep it, or --force to start over"


class _DamagedError(InputError):
    """The file is none that SQLite can read."""


class StudyFile:
    """The study on disk: read once, then only ever added to, one finished trial at a time."""

    def __init__(self, study: optuna.Study, path: Path, objectives: Objectives = DEFAULT) -> None:
        self._study, self.path, self.objectives = study, path, objectives
        self.trials = study.get_trials(states=(TrialState.COMPLETE,))

    @property
    def candidates(self) -> list[Candidate]:
        """The scored submodels, in the order in which they were scored."""
        with parsing(self.path):
            return [Candidate.from_json(trial.user_attrs) for trial in self.trials]

    @property
    def budgets(self) -> list[Budget]:
        """The budget under which each of them was scored."""
        with parsing(self.path):
            return [Budget.from_json(trial.user_attrs.get("budget")) for trial in self.trials]

    def add(self, trial: FrozenTrial) -> None:
        """Stores a finished trial in one transaction: whole, or not at all."""
        with _storage_errors(self.path):
            self._study.add_trial(trial)
        self.trials.append(trial)


@contextlib.contextmanager
def open_study(path: Path, origin: Provenance, objectives: Objectives = DEFAULT) -> Iterator[StudyFile]:
    """The study at `path`, made where there is none; who opens it holds its folder, so that nobody else writes to it.

    InputError where another program writes to it, where it is damaged or no such study, or where it is of another
    origin or was scored by another metric. If it has other objectives, it is written again with these, and its scores
    are kept.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it warns of what it raises
    if path.exists():
        _check_ours(path)
    else:
        _create(path, origin, objectives)
    with contextlib.ExitStack() as stack:
        study = _load(path, stack)
        trials = _aimed_at_others(study, origin, objectives, path)
        if trials is not None:
            stack.close()
            _create(path, origin, objectives, trials)
            study = _load(path, stack)
        with _storage_errors(path):
            file = StudyFile(study, path, objectives)
        yield file


def check_replaceable(path: Path) -> None:
    """Passes where there is no file at `path`, or a study, damaged or not; InputError where it is no study, or in use.

    What a search that was killed left half written in a study is undone.
    """
    if path.exists():
        with contextlib.suppress(_DamagedError):
            _check_ours(path)


def discard_other(path: Path, origin: Provenance, objectives: Objectives) -> None:
    """Removes the study at `path` where `open_study` cannot go on in it: damaged, or of another origin or metric."""
    check_replaceable(path)
    if path.exists():
        try:
            with open_study(path, origin, objectives):
                return
        except InputError:
            remove_study(path)


def remove_study(path: Path) -> None:
    """Removes the study at `path`, if there is one."""
    path.unlink(missing_ok=True)
    remove_journal(path)


def remove_journal(path: Path) -> None:
    """Removes what SQLite would take back of the study at `path`: another file comes in its place."""
    path.with_name(path.name + JOURNAL).unlink(missing_ok=True)


def read_study(path: Path) -> tuple[Provenance, Objectives, list[Candidate]]:
    """The origin and objectives of the study at `path` and its scored submodels, which stay as they are.

    InputError where the file is damaged, or no study.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it warns of what it raises
    check_file(path)
    with _storage_errors(path), _storage(path, is_read_only=True) as storage:
        study = optuna.load_study(study_name=STUDY, storage=storage)
        attributes, file = study.user_attrs, StudyFile(study, path)
    with parsing(path):
        return Provenance.from_json(attributes), Objectives.from_json(attributes), file.candidates


def _create(path: Path, origin: Provenance, objectives: Objectives, trials: Iterable[FrozenTrial] = ()) -> None:
    # Made beside its place: a file that exists is a whole study, whenever this is interrupted.
    with writing(path) as temporary, _storage_errors(path), _storage(temporary) as storage:
        study = optuna.create_study(study_name=STUDY, storage=storage, directions=directions(objectives))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # the names that the dashboard shows
            study.set_metric_names(list(objectives.names))
        for name, value in {**origin.to_json(), **objectives.to_json(), "bstsearch": __version__}.items():
            study.set_user_attr(name, value)
        study.add_trials(revalued(trials, objectives))


def directions(objectives: Objectives) -> list[StudyDirection]:
    """Which way each objective is better, as Optuna says it."""
    return [StudyDirection.MAXIMIZE if is_up else StudyDirection.MINIMIZE for is_up in objectives.is_maximized]


def revalued(trials: Iterable[FrozenTrial], objectives: Objectives) -> list[FrozenTrial]:
    """The same trials with the values of these objectives, which all their costs are stored for."""
    found = copy.deepcopy(list(trials))
    for trial in found:
        trial.values = objectives.values(Candidate.from_json(trial.user_attrs))
    return found


@contextlib.contextmanager
def _storage(path: Path, *, is_read_only: bool = False) -> Iterator[optuna.storages.RDBStorage]:
    # Who only reads neither makes tables in somebody's file nor waits for another process. The file is opened here, for
    # in a URL SQLAlchemy and Optuna would take a part of its path for something else.
    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=0.5 if is_read_only else 5, check_same_thread=False)
        connection.execute("PRAGMA mmap_size = 0")  # a damaged page must not end the process
        return connection

    options = {"creator": connect, "poolclass": QueuePool}
    storage = optuna.storages.RDBStorage("sqlite://", options, skip_table_creation=is_read_only)
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _load(path: Path, stack: contextlib.ExitStack) -> optuna.Study:
    """The study at `path`, open until `stack` is closed."""
    storage = stack.enter_context(_storage(path))
    with _storage_errors(path):
        return optuna.load_study(study_name=STUDY, storage=storage)


def _aimed_at_others(
    study: optuna.Study, origin: Provenance, objectives: Objectives, path: Path
) -> list[FrozenTrial] | None:
    """The trials of the study where it was made for other objectives, or by a version that does not name them."""
    with _storage_errors(path):
        attributes = study.user_attrs
    try:
        found, held = Provenance.from_json(attributes), Objectives.from_json(attributes)
    except InputError as error:
        raise InputError(f"{path}: the study does not say what it was made from ({error}); {_REMEDY}") from error
    origin.check_same(found, path)
    if held.metric != objectives.metric:
        raise InputError(
            f"{path}: the study holds scores by {shown(held.metric.name)}, now they are by "
            f"{shown(objectives.metric.name)}; {_REMEDY}"
        )
    if held == objectives and "objectives" in attributes:
        return None
    with _storage_errors(path):
        return study.get_trials(states=(TrialState.COMPLETE,))


def _check_ours(path: Path) -> None:
    """Passes where `path` is a study that can be opened; else InputError: it is in use, damaged, or no study."""
    check_file(path)
    with (
        _storage_errors(path),
        contextlib.closing(sqlite3.connect(path, timeout=0.5, isolation_level=None)) as database,
    ):
        database.execute("BEGIN IMMEDIATE")
        health = database.execute("PRAGMA quick_check").fetchone()[0]
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        database.rollback()
    if health != "ok" or not tables:
        raise _DamagedError(f"{path}: the study is damaged ({said(ValueError(health))}); {_REMEDY}")
    if not {"studies", "trials"} <= tables:
        raise InputError(f"{path} is an SQLite file, but no Optuna study; give another --out")


@contextlib.contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    """Turns what SQLite, SQLAlchemy and Optuna raise into InputError or, where the disk is at fault, DeviceError."""
    try:
        yield
    except BstsearchError:
        raise
    except KeyError as error:
        raise InputError(f"{path}: the file holds no study named {STUDY!r}; {_REMEDY}") from error
    except Exception as error:  # a damaged file can make Optuna raise anything
        cause = _sqlite_error(error)
        name = getattr(cause, "sqlite_errorname", "")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise InputError(f"{path}: the study is in use by another process; wait, or give another --out") from error
        if name.startswith(("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_PERM")):
            raise DeviceError(
                f"{path}: the study cannot be written: {said(cause)}; what was finished is kept"
            ) from error
        raise _DamagedError(f"{path}: the study cannot be read: {said(cause)}; {_REMEDY}") from error


def _sqlite_error(error: BaseException) -> BaseException:
    """The SQLite error at the bottom of `error`, or `error` itself."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, sqlite3.Error):
        cause = cause.__cause__
    return cause or error
