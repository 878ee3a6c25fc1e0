"""Studies in storages that others use, too: PostgreSQL on this machine where it is installed, and Optuna's proxy."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
import worker_kills

from bstsearch.errors import DeviceError, InputError, UsageError
from bstsearch.score import Metric
from bstsearch.searching import storage, studies
from bstsearch.searching.costs import DEFAULT, Objectives
from bstsearch.searching.provenance import Provenance
from bstsearch.searching.storage import open_storage
from bstsearch.searching.studies import join, open_shared
from bstsearch.searching.study import VERSION, create_study

ORIGIN = worker_kills.ORIGIN


def quiet(_: object) -> None:
    """Hears nothing."""


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A storage that needs no server."""
    return f"journal://{tmp_path / 'journal.log'}"


def make(url: str, origin: Provenance = ORIGIN, objectives: Objectives = DEFAULT) -> None:
    with open_shared(url, "a", origin, objectives, quiet):
        pass


def test_a_study_is_made_once_and_found_again(url: str) -> None:
    make(url)
    make(url)
    with open_storage(url) as found:
        assert optuna.get_all_study_names(storage=found.backend) == ["a"]
    with join(url, "a", quiet, quiet) as study:
        assert Provenance.from_json(study.attributes) == ORIGIN


@pytest.mark.parametrize(
    ("origin", "objectives", "words"),
    [
        (dataclasses.replace(ORIGIN, split="test"), DEFAULT, "another split 'validation' .*give another --study"),
        (dataclasses.replace(ORIGIN, data_set="gqa"), DEFAULT, "another data set"),
        (ORIGIN, Objectives.of(["accuracy", "memory"]), "trades accuracy,latency,gflops, now it would be"),
        (ORIGIN, Objectives.of(DEFAULT.keys, Metric(name="error")), "holds scores by 'accuracy', now they are"),
    ],
)
def test_a_study_of_something_else_is_refused(url: str, origin: Provenance, objectives: Objectives, words: str) -> None:
    make(url)
    with pytest.raises(InputError, match=words) as found:
        make(url, origin, objectives)
    assert "journal.log" in str(found.value)


def test_a_study_of_somebody_else_is_refused(url: str) -> None:
    with open_storage(url) as found:
        study = optuna.create_study(study_name="a", storage=found.backend)
        study.add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(InputError, match="does not say what it was made from"):
        make(url)


def test_a_study_whose_maker_was_killed_is_made_complete(url: str) -> None:
    with open_storage(url) as found:
        optuna.create_study(study_name="a", storage=found.backend, directions=["maximize", "minimize", "minimize"])
    make(url)
    with join(url, "a", quiet, quiet):
        pass


def test_a_worker_of_another_version_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make(url)
    monkeypatch.setattr(studies, "__version__", "9.9.9")
    with pytest.raises(InputError, match=r"searched by bstsearch '.*', this is '9.9.9'; install the same"):
        join(url, "a", quiet, quiet).__enter__()


def test_a_worker_waits_a_little_for_a_study_that_is_being_made(url: str) -> None:
    with open_storage(url) as found:
        create_study(found, "a", {}, DEFAULT).set_attributes({VERSION: None})
    waited: list[float] = []
    with pytest.raises(InputError, match="searched by bstsearch None"):
        join(url, "a", quiet, waited.append).__enter__()
    assert not waited, "it is complete, of no version"


def test_the_names_of_other_studies_are_listed(url: str) -> None:
    make(url)
    with pytest.raises(InputError, match="holds no study 'b'; there are a"):
        join(url, "b", quiet, quiet).__enter__()
    with pytest.raises(UsageError, match="--study is missing"):
        join(url, None, quiet, quiet).__enter__()


@pytest.mark.usefixtures("_quick")
def test_a_file_has_one_study(tmp_path: Path) -> None:
    worker_kills.search(tmp_path / "one.db", is_working=True)
    with join(str(tmp_path / "one.db"), None, quiet, quiet) as study:
        assert len(study.candidates) == worker_kills.TRIALS
    with pytest.raises(InputError, match="is named 'bstsearch', not 'mine'"):
        join(str(tmp_path / "one.db"), "mine", quiet, quiet).__enter__()


def test_a_server_that_does_not_answer_is_waited_for_and_then_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses, said = list[float](), list[str]()
    monkeypatch.setattr(storage.time, "sleep", pauses.append)
    monkeypatch.setattr(storage, "AT_START_S", 3.0)
    with (
        pytest.raises(DeviceError, match=r"127.0.0.1:1/b does not answer: connection failed.*; check") as found,
        open_storage("postgresql://me@127.0.0.1:1/b", said.append),
    ):
        pass
    assert found.value.exit_code == 5
    assert len(said) == 1
    assert pauses


# PostgreSQL


def programs() -> Path | None:
    """The folder of PostgreSQL's server programs."""
    found = [*map(Path, filter(None, [shutil.which("initdb")])), *Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return found[-1].parent if found else None


class Server:
    """A PostgreSQL server of its own, on loopback; root has the user `postgres` run it."""

    def __init__(self, folder: Path) -> None:
        self._bin, self._data = programs(), folder / "data"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._user = [*(["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else [])]
        if self._user:
            shutil.chown(folder, "postgres")
        self._run("initdb", "-D", str(self._data), "-A", "trust", "-U", "me", "--no-sync")

    @property
    def url(self) -> str:
        return f"postgresql://me@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -c unix_socket_directories='' -c fsync=off"
        self._run("pg_ctl", "-D", str(self._data), "-o", options, "-l", str(self._data / "log"), "-w", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")

    def make_database(self, name: str) -> str:
        """The URL of a new, empty database."""
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "me", name)
        return f"{self.url.rpartition('/')[0]}/{name}"

    def _run(self, program: str, *words: str) -> None:
        assert self._bin
        command = [*self._user, str(self._bin / program), *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    if programs() is None:
        pytest.skip("no PostgreSQL server is installed: neither initdb on the PATH nor in /usr/lib/postgresql")
    with tempfile.TemporaryDirectory(prefix="bstsearch-postgresql-") as folder:  # which other users can reach
        os.chmod(folder, 0o755)
        found = Server(Path(folder))
        found.start()
        try:
            yield found
        finally:
            with contextlib.suppress(subprocess.CalledProcessError):
                found.stop()


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_kills, "SCORING_S", 0.01)
    monkeypatch.setattr(worker_kills, "TRIALS", 16)


@pytest.fixture
def expected(tmp_path: Path, _quick: None) -> dict[str, float]:
    """The scores of an undisturbed search in a file."""
    worker_kills.search(tmp_path / "one.db", is_working=True)
    return worker_kills.found(tmp_path / "one.db")


@pytest.mark.slow
def test_workers_on_postgresql_are_killed_and_nothing_is_lost(server: Server, expected: dict[str, float]) -> None:
    place = (server.url, "killed")
    worker_kills.disturb(place, 4, random.Random(1), (0.1, 0.4))
    assert worker_kills.found(place) == expected


@pytest.mark.slow
def test_processes_that_start_together_in_an_empty_database_all_find_their_tables(server: Server) -> None:
    for turn in range(3):
        url = server.make_database(f"empty{turn}")

        def use(url: str = url) -> None:
            with open_storage(url) as found:
                found.ask(lambda backend: backend.get_all_studies())

        assert worker_kills.all_end_well([use] * 4)


@pytest.mark.slow
def test_a_database_that_goes_away_is_waited_for(server: Server, expected: dict[str, float]) -> None:
    place = (server.url, "away")
    with worker_kills.opened(place):
        pass
    searching = worker_kills.start(lambda: worker_kills.search(place, is_working=True))
    while not worker_kills.found(place):
        worker_kills.check_runs(searching)
        time.sleep(0.02)
    server.stop()
    time.sleep(0.5)
    server.start()
    assert worker_kills.end_well([searching])
    assert worker_kills.found(place) == expected


PROXY = """
import sys
from optuna.storages import get_storage, run_grpc_proxy_server
run_grpc_proxy_server(get_storage(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]))
"""


@pytest.mark.slow
def test_workers_behind_a_proxy(server: Server, expected: dict[str, float]) -> None:
    pytest.importorskip("grpc")
    port = server.port + 1 if server.port < 65_000 else server.port - 1
    url = server.url.replace("postgresql:", "postgresql+psycopg:")
    # Processes that use gRPC cannot be forked from one that does, so this one does not.
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", PROXY, url, str(port)]) as proxy:
        try:
            place = (f"grpc://127.0.0.1:{port}", "proxied")
            roles = [lambda: worker_kills.search(place, is_working=True)]
            assert worker_kills.all_end_well(roles)
            assert worker_kills.found((server.url, "proxied")) == expected
        finally:
            proxy.terminate()
