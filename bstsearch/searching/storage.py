"""Optuna's storages by their URLs: opened, waited for while they do not answer, and explained where they refuse."""

from __future__ import annotations

import contextlib
import random
import re
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import optuna
import sqlalchemy.exc
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.storages import BaseStorage, GrpcStorageProxy, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from bstsearch.errors import BstsearchError, DeviceError, InputError, UsageError
from bstsearch.reading import said, shown

Found = TypeVar("Found")
Note = Callable[[str], None]

AT_START_S = 60.0  # how long a storage that does not answer is waited for, before a search has begun
LATER_S = 3600.0  # and later, when scores are at stake
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 15.0
MAKERS, MEETING_S = 20, 0.3  # how often processes may meet at making a database's tables, and how far they then part

_URL = re.compile(r"[a-z][a-z0-9+]*://", re.IGNORECASE)
_GRPC = re.compile(r"grpc://(?P<host>[^/:]+):(?P<port>\d{1,5})/?")
_DRIVERS = {"postgresql": "psycopg", "mysql": "pymysql", "mariadb": "pymysql"}
# A server that answers so will not answer otherwise in a minute; one that is starting will.
_REFUSED = re.compile(r"FATAL:|Access denied|Unknown database|\(10(?:44|45|49),")
_PASSING = re.compile(
    r"starting up|shutting down|recovery mode|accepting connections|too many|remaining connection slots"
)
_TIMEOUTS: dict[
    str, int
] = {  # of a network that has gone away without a word, in seconds but for the last, in milliseconds
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


class Storage:
    """A storage that is asked patiently: while it does not answer, the same is asked again, which is said once."""

    def __init__(
        self,
        backend: BaseStorage,
        where: str,
        *,
        note: Note = lambda _: None,
        explain: Callable[[Exception], BstsearchError] | None = None,
    ) -> None:
        self.backend, self.where = backend, where
        self._note, self._explain = note, explain or (lambda error: explained(error, where))

    def ask(self, do: Callable[[BaseStorage], Found]) -> Found:
        """What `do` returns, which may be called again after it was half done; BstsearchError where that is in vain."""
        return patiently(lambda: self.at_once(do), self.where, self._note, LATER_S)

    def at_once(self, do: Callable[[BaseStorage], Found]) -> Found:
        """The same without patience."""
        try:
            return do(self.backend)
        except (BstsearchError, KeyError, UpdateFinishedTrialError):
            raise
        except Exception as error:
            with contextlib.suppress(Exception):
                self.backend.remove_session()  # its connection may be dead
            raise self._explain(error) from error


def patiently(do: Callable[[], Found], where: str, note: Note, longest_s: float) -> Found:
    """What `do` returns; while it raises an AwayError it is called again, after ever longer pauses."""
    waited_s, pause_s = 0.0, FIRST_PAUSE_S
    while True:
        try:
            found = do()
        except AwayError as error:
            if waited_s >= longest_s:
                raise
            if not waited_s:
                note(f"{where} does not answer ({error.reason}); waiting for it")
            time.sleep(pause_s * random.uniform(0.5, 1))  # not all workers in the same moment
            waited_s, pause_s = waited_s + pause_s, min(2 * pause_s, LONGEST_PAUSE_S)
            continue
        if waited_s:
            note(f"{where} answers again")
        return found


class AwayError(DeviceError):
    """The storage does not answer now, for that `reason`."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where} does not answer: {reason}; check that it runs and can be reached from here")
        self.reason = reason


def is_url(text: str) -> bool:
    """Whether `text` names a storage by its URL, and not a file.

    >>> is_url("postgresql://server/studies"), is_url("front/study.db")
    (True, False)
    """
    return bool(_URL.match(text))


def file_of(text: str) -> Path | None:
    """The SQLite file that `text`, a path or an URL, names; None where it is another storage."""
    if not is_url(text):
        return Path(text)
    scheme, _, rest = text.partition("://")
    if scheme.lower().partition("+")[0] != "sqlite":
        return None
    if not rest.startswith("/") or ":memory:" in rest or rest == "/":
        raise UsageError(f"--storage {shown(text)} names no file; write it like sqlite:///study.db")
    return Path(rest[1:].partition("?")[0])


def public(url: str) -> str:
    """The URL without its password.

    >>> public("postgresql://me:secret@server/studies")
    'postgresql://me:***@server/studies'
    """
    return re.sub(r"(?<=://)([^/@:]*):[^@]*@", r"\1:***@", url)


@contextlib.contextmanager
def open_storage(url: str, note: Note = lambda _: None) -> Iterator[Storage]:
    """The storage at `url`, which is no SQLite file; a DeviceError where it does not answer for a minute."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it warns of what it raises
    where = public(url)

    def connect() -> BaseStorage:
        try:
            return _connect(url)
        except BstsearchError:
            raise
        except Exception as error:
            raise explained(error, where) from error

    backend = patiently(connect, where, note, AT_START_S)
    try:
        yield Storage(backend, where, note=note)
    finally:
        close(backend)


def close(backend: BaseStorage) -> None:
    """Closes what a storage holds open."""
    with contextlib.suppress(Exception):
        backend.remove_session()
        if isinstance(backend, RDBStorage):
            backend.engine.dispose()
        elif isinstance(backend, GrpcStorageProxy):
            backend.close()


def _connect(url: str) -> BaseStorage:
    if url.startswith("grpc:"):
        return _connect_proxy(url)
    if url.startswith("journal:///"):
        return JournalStorage(JournalFileBackend(url.removeprefix("journal://")))
    return _connect_database(url)


def _connect_proxy(url: str) -> BaseStorage:
    match = _GRPC.fullmatch(url)
    if match is None:
        raise UsageError(f"--storage {shown(url)} is no proxy; write it like grpc://server:13000")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            proxy = GrpcStorageProxy(host=match["host"], port=int(match["port"]))
        proxy.wait_server_ready(timeout=5)
    except ImportError as error:
        raise DeviceError(_missing(url, "grpc")) from error
    return proxy


def _connect_database(url: str) -> BaseStorage:
    try:
        parsed = make_url(url)
        name = parsed.get_backend_name()
        if name in _DRIVERS and parsed.drivername == name:
            parsed = parsed.set(drivername=f"{name}+{_DRIVERS[name]}")
        timeouts = dict(_TIMEOUTS) if parsed.drivername == "postgresql+psycopg" else {}
        options = {"pool_pre_ping": True, "connect_args": timeouts}
        text = parsed.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")  # Optuna formats it
        _make_tables(text, timeouts)
        return RDBStorage(text, options, skip_table_creation=True)
    except (sqlalchemy.exc.ArgumentError, ValueError) as error:
        raise UsageError(f"--storage {shown(public(url))} is no URL of a storage: {said(error)}") from error
    except ImportError as error:
        raise DeviceError(_missing(url, url.partition(":")[0])) from error


def _make_tables(url: str, timeouts: dict[str, int]) -> None:
    """Makes Optuna's tables where there are none; no connection is left open where another process is faster.

    Each table is asked for and then made, so processes that start together meet again and again, at one after another.
    """
    for left in reversed(range(MAKERS)):
        try:
            RDBStorage(url, {"poolclass": NullPool, "connect_args": timeouts})
            return
        except (sqlalchemy.exc.ProgrammingError, sqlalchemy.exc.IntegrityError):
            if not left:
                raise
            time.sleep(random.uniform(0, MEETING_S))


def _missing(url: str, what: str) -> str:
    package = {"postgresql": "'bstsearch[postgresql]'", "grpc": "grpcio and protobuf"}.get(
        what.partition("+")[0], "its Python driver"
    )
    return f"{public(url)} needs a package that is not there; install {package} with pip"


def explained(error: Exception, where: str) -> BstsearchError:
    """What a library raised, as an error of this package: an AwayError where the storage may answer again."""
    for cause in _chain(error):
        text = " ".join(str(cause).split())
        if isinstance(cause, sqlalchemy.exc.OperationalError | sqlalchemy.exc.InterfaceError):
            reason = _first_line(cause.orig or cause)
            if _REFUSED.search(text) and not _PASSING.search(text):
                return DeviceError(f"{where} refuses the connection: {reason}; check its URL")
            return AwayError(where, reason)
        if isinstance(cause, sqlalchemy.exc.DBAPIError) and cause.connection_invalidated:
            return AwayError(where, said(cause))
        if isinstance(cause, ConnectionError | sqlalchemy.exc.TimeoutError):
            return AwayError(where, said(cause))
        code = getattr(cause, "code", None)
        if callable(code) and type(cause).__module__.startswith("grpc"):  # whose package need not be there
            return _explained_call(cause, code(), where)
    return InputError(f"{where}: the study cannot be read or written: {said(error)}")


def _explained_call(error: BaseException, code: object, where: str) -> BstsearchError:
    """What a proxy answered. UNKNOWN is what it says of its own storage's errors, which may pass, too."""
    reason = f"{getattr(code, 'name', code)}: {getattr(error, 'details', lambda: error)()}"
    if getattr(code, "name", "") in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "UNKNOWN"):
        return AwayError(where, said(ValueError(reason)))
    return InputError(f"{where}: the study cannot be read or written: {said(ValueError(reason))}")


def _first_line(error: BaseException) -> str:
    """What a driver says, without its advice."""
    return said(ValueError(next(iter(str(error).splitlines()), ""))).rstrip(".")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it came from."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def sqlite_error(error: BaseException) -> BaseException:
    """The SQLite error at the bottom of `error`, or `error` itself."""
    return next((cause for cause in _chain(error) if isinstance(cause, sqlite3.Error)), error)
