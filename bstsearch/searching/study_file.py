"""study.db: every scored submodel, as trials of an Optuna study in SQLite that optuna-dashboard opens."""

from __future__ import annotations

import contextlib
import copy
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

import optuna
import sqlalchemy
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.pool import QueuePool

from bstsearch.errors import BstsearchError, DeviceError, InputError
from bstsearch.reading import check_file, parsing, said, shown
from bstsearch.searching.costs import DEFAULT, Objectives
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.provenance import REMEDY, Provenance
from bstsearch.searching.storage import Note, Storage, close, sqlite_error
from bstsearch.searching.study import Study, create_study
from bstsearch.searching.trials import candidate_of
from bstsearch.writing import writing

NAME = "study.db"
JOURNAL = "-journal"  # behind the name: SQLite's file of a transaction
STUDY = "bstsearch"
IN_USE_S = 10.0  # how long a file that somebody writes to is waited for before it is opened
LOCKED_S = 30.0  # how long one process waits for the others' transactions, which take milliseconds


class _DamagedError(InputError):
    """The file is none that SQLite can read."""


@contextlib.contextmanager
def open_study(
    path: Path, origin: Provenance, objectives: Objectives = DEFAULT, note: Note = lambda _: None
) -> Iterator[Study]:
    """The study at `path`, made where there is none; who opens it holds its folder, so that nobody else searches there.

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
        study = stack.enter_context(join_study(path, objectives, note))
        if not _is_aimed_at(study, origin, objectives):
            trials = study.finished
            stack.close()
            _create(path, origin, objectives, trials)
            study = stack.enter_context(join_study(path, objectives, note))
        study.set_version()
        yield study


@contextlib.contextmanager
def join_study(path: Path, objectives: Objectives = DEFAULT, note: Note = lambda _: None) -> Iterator[Study]:
    """The study at `path`, for who works in it beside others; InputError where it is damaged, or there is none."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    check_file(path)
    with contextlib.ExitStack() as stack:
        with _storage_errors(path):
            storage = stack.enter_context(_storage(path, note))
            study = Study(storage, STUDY, objectives)
        yield study


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
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    check_file(path)
    with _storage_errors(path), _storage(path, is_read_only=True) as storage:
        study = Study(storage, STUDY)
        attributes, candidates = study.attributes, study.candidates
    with parsing(path):
        return Provenance.from_json(attributes), Objectives.from_json(attributes), candidates


def _create(path: Path, origin: Provenance, objectives: Objectives, trials: Iterable[FrozenTrial] = ()) -> None:
    # Made beside its place: a file that exists is a whole study, whenever this is interrupted.
    with writing(path) as temporary, _storage_errors(path), _storage(temporary) as storage:
        study = create_study(storage, STUDY, origin.to_json(), objectives)
        study.add(revalued(trials, objectives))


def revalued(trials: Iterable[FrozenTrial], objectives: Objectives) -> list[FrozenTrial]:
    """The same trials with the values of these objectives, which all their costs are stored for."""
    found = copy.deepcopy(list(trials))
    for trial in found:
        if trial.state == TrialState.PRUNED:
            continue
        trial.values = objectives.values(candidate_of(trial))
    return found


@contextlib.contextmanager
def _storage(path: Path, note: Note = lambda _: None, *, is_read_only: bool = False) -> Iterator[Storage]:
    # Who only reads neither makes tables in somebody's file nor waits for another process. The file is opened here, for
    # in a URL SQLAlchemy and Optuna would take a part of its path for something else.
    is_shared = False

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            path,
            timeout=0.5 if is_read_only else LOCKED_S,
            check_same_thread=False,
            isolation_level=None if is_shared else "DEFERRED",
        )
        connection.execute("PRAGMA mmap_size = 0")  # a damaged page must not end the process
        return connection

    options = {"creator": connect, "poolclass": QueuePool}
    backend = optuna.storages.RDBStorage("sqlite://", options, skip_table_creation=is_read_only)
    if not is_read_only:
        is_shared = True
        backend.engine.dispose()
        sqlalchemy.event.listen(backend.engine, "begin", _begin)
    try:
        yield Storage(backend, str(path), note=note, explain=lambda error: _explained(error, path))
    finally:
        close(backend)


def _begin(connection: sqlalchemy.Connection) -> None:
    """Begins a transaction that others wait for, reads included: SQLite has no locks for rows.

    Else two processes can both read that a trial waits, and then both claim it.
    """
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _is_aimed_at(study: Study, origin: Provenance, objectives: Objectives) -> bool:
    """Whether the study was made for these objectives; False of a version, too, that does not name them."""
    attributes = study.attributes
    check_made_from(attributes, origin, objectives, study.where, REMEDY)
    return "objectives" in attributes and Objectives.from_json(attributes) == objectives


def check_made_from(attributes: object, origin: Provenance, objectives: Objectives, where: str, remedy: str) -> None:
    """Passes where a study's attributes are of the same origin and metric; else InputError, which says what is not."""
    try:
        found, held = Provenance.from_json(attributes), Objectives.from_json(attributes)
    except InputError as error:
        raise InputError(f"{where}: the study does not say what it was made from ({error}); {remedy}") from error
    origin.check_same(found, where, remedy)
    if held.metric != objectives.metric:
        raise InputError(
            f"{where}: the study holds scores by {shown(held.metric.name)}, now they are by "
            f"{shown(objectives.metric.name)}; {remedy}"
        )


def _check_ours(path: Path) -> None:
    """Passes where `path` is a study that can be opened; else InputError: it is in use, damaged, or no study."""
    check_file(path)
    with (
        _storage_errors(path),
        contextlib.closing(sqlite3.connect(path, timeout=IN_USE_S, isolation_level=None)) as database,
    ):
        database.execute("BEGIN IMMEDIATE")
        health = database.execute("PRAGMA quick_check").fetchone()[0]
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        database.rollback()
    if health != "ok" or not tables:
        raise _DamagedError(f"{path}: the study is damaged ({said(ValueError(health))}); {REMEDY}")
    if not {"studies", "trials"} <= tables:
        raise InputError(f"{path} is an SQLite file, but no Optuna study; give another --out")


@contextlib.contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    """Turns what SQLite, SQLAlchemy and Optuna raise into InputError or, where the disk is at fault, DeviceError."""
    try:
        yield
    except BstsearchError:
        raise
    except Exception as error:  # a damaged file can make Optuna raise anything
        raise _explained(error, path) from error


def _explained(error: Exception, path: Path) -> BstsearchError:
    """What SQLite, SQLAlchemy or Optuna raised, as an error of this package."""
    if isinstance(error, KeyError):
        return InputError(f"{path}: the file holds no study named {STUDY!r}; {REMEDY}")
    cause = sqlite_error(error)
    name = getattr(cause, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return InputError(f"{path}: the study is in use by another process; wait, or give another --out")
    if name.startswith(("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return DeviceError(f"{path}: the study cannot be written: {said(cause)}; what was finished is kept")
    return _DamagedError(f"{path}: the study cannot be read: {said(cause)}; {REMEDY}")
