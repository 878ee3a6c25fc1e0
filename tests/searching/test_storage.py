from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
import sqlalchemy.exc

from bstsearch.errors import BstsearchError, DeviceError, InputError, UsageError
from bstsearch.searching import storage
from bstsearch.searching.storage import AwayError, Storage, explained, file_of, open_storage, patiently


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were taken, without taking them."""
    taken: list[float] = []
    monkeypatch.setattr(storage.time, "sleep", taken.append)
    return taken


def failing(times: int, error: Exception) -> Callable[[], str]:
    left = [error] * times

    def do() -> str:
        if left:
            raise left.pop()
        return "done"

    return do


def test_a_storage_that_is_away_is_waited_for_and_that_is_said_once(pauses: list[float]) -> None:
    said: list[str] = []
    assert patiently(failing(5, AwayError("db", "no route")), "db", said.append, 100) == "done"
    assert said == ["db does not answer (no route); waiting for it", "db answers again"]
    assert len(pauses) == 5
    assert sum(pauses) <= 0.2 + 0.4 + 0.8 + 1.6 + 3.2


def test_after_a_generous_time_it_is_an_error(pauses: list[float]) -> None:
    with pytest.raises(DeviceError, match="db does not answer: no route; check that it runs") as found:
        patiently(failing(1000, AwayError("db", "no route")), "db", lambda _: None, 60)
    assert found.value.exit_code == 5
    assert 30 <= sum(pauses) <= 90


def test_other_errors_are_not_waited_for(pauses: list[float]) -> None:
    with pytest.raises(InputError):
        patiently(failing(1, InputError("no")), "db", lambda _: None, 60)
    assert not pauses


def operational(text: str) -> Exception:
    inner = sqlalchemy.exc.OperationalError("SELECT 1", {}, Exception(text))
    outer = optuna.exceptions.StorageInternalError("An exception is raised during the commit.")
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (operational("connection refused\nIs it running?"), AwayError, "db does not answer: connection refused; check"),
        (operational("FATAL:  the database system is starting up"), AwayError, "starting up"),
        (operational("FATAL:  the database system is not yet accepting connections"), AwayError, "not yet accepting"),
        (operational("FATAL:  sorry, too many clients already"), AwayError, "too many"),
        (operational('FATAL:  database "x" does not exist'), DeviceError, "db refuses the connection: FATAL"),
        (ConnectionError("GRPC connection timeout"), AwayError, "GRPC connection timeout"),
        (RuntimeError("The runtime optuna version is no longer compatible"), InputError, "db: the study cannot be"),
    ],
)
def test_what_libraries_raise_is_told_in_one_line(error: Exception, kind: type[BstsearchError], words: str) -> None:
    found = explained(error, "db")
    assert type(found) is kind
    assert words in str(found)
    assert "\n" not in str(found)


def test_what_is_half_done_is_asked_again(pauses: list[float]) -> None:
    backend = optuna.storages.InMemoryStorage()
    calls: list[int] = []

    def do(_: object) -> int:
        calls.append(1)
        if len(calls) < 3:
            raise operational("server closed the connection unexpectedly")
        return 7

    assert Storage(backend, "db").ask(do) == 7
    with pytest.raises(AwayError):
        Storage(backend, "db").at_once(lambda _: patiently(failing(9, operational("gone")), "", print, 0))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("front/study.db", Path("front/study.db")),
        ("/a b/study.db", Path("/a b/study.db")),
        ("sqlite:///study.db", Path("study.db")),
        ("sqlite:////srv/study.db", Path("/srv/study.db")),
        ("postgresql://a/b", None),
    ],
)
def test_a_file_is_named_by_its_path_or_as_sqlite_does(text: str, path: Path | None) -> None:
    assert file_of(text) == path


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite://study.db"])
def test_what_is_kept_nowhere_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="names no file"):
        file_of(url)


@pytest.mark.parametrize(
    "url", ["grpc://", "grpc://server", "grpc://server:port", "nosuch://a/b", "postgresql://a:b/c"]
)
def test_what_names_no_storage_is_wrong_usage(url: str) -> None:
    with pytest.raises(UsageError), open_storage(url):
        pass


def test_a_password_is_never_shown() -> None:
    assert storage.public("mysql+pymysql://me:se:cret@h:1/d?x=1") == "mysql+pymysql://me:***@h:1/d?x=1"
    with pytest.raises(BstsearchError) as found, open_storage("nosuch://me:secret@h/d"):
        pass
    assert "secret" not in str(found.value)


def test_a_journal_is_a_storage_too(tmp_path: Path) -> None:
    with open_storage(f"journal://{tmp_path / 'journal.log'}") as found:
        optuna.create_study(study_name="a", storage=found.backend)
        assert optuna.get_all_study_names(storage=found.backend) == ["a"]


def test_tables_that_others_are_making_are_tried_again(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    step = sqlalchemy.exc.IntegrityError("CREATE TABLE", {}, Exception("duplicate key"))
    calls: list[str] = []
    make = failing(3, step)

    def database(url: str, options: object) -> None:
        calls.append(url)
        make()

    monkeypatch.setattr(storage, "RDBStorage", database)
    storage._make_tables("postgresql://a/b", {})
    assert len(calls) == 4
    make = failing(99, step)
    with pytest.raises(sqlalchemy.exc.IntegrityError):
        storage._make_tables("postgresql://a/b", {})


def test_the_error_below_others_is_found() -> None:
    inner = sqlite3.OperationalError("disk I/O error")
    outer = RuntimeError("commit")
    outer.__cause__ = inner
    assert storage.sqlite_error(outer) is inner
    assert storage.sqlite_error(ValueError("x")).args == ("x",)
