from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import optuna
import pytest
from optuna.distributions import CategoricalDistribution

from bstsearch.errors import DeviceError, InputError
from bstsearch.score import Metric
from bstsearch.searching import study_file
from bstsearch.searching.costs import DEFAULT, Objectives
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.provenance import Provenance
from bstsearch.searching.study import Study
from bstsearch.searching.study_file import (
    NAME,
    check_replaceable,
    discard_other,
    open_study,
    read_study,
)
from bstsearch.space import Space

MakeCandidate = Callable[..., Candidate]

ORIGIN = Provenance(
    supernet={"path": "runs/a", "digest": "a" * 16, "architecture": "b" * 16, "family": "mcan"},
    space=Space.bst(stacks=(4, 4)),
    split="validation",
    device={"name": "local", "obtained": "measured", "digest": "c" * 16, "runtime": {"threads": 2}},
)
OTHER = dataclasses.replace(ORIGIN, split="test")


@pytest.fixture(scope="module")
def empty_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: Optuna takes half a second to make a database."""
    path = tmp_path_factory.mktemp("study") / "front" / NAME
    with open_study(path, ORIGIN):
        return path


@pytest.fixture
def path(tmp_path: Path, empty_study: Path) -> Path:
    """An empty study of ORIGIN."""
    (tmp_path / "front").mkdir()
    return shutil.copy(empty_study, tmp_path / "front" / NAME)


def add(study: Study, candidate: Candidate) -> None:
    trial = optuna.trial.create_trial(
        params={"width": "1/2"},
        distributions={"width": CategoricalDistribution(["1/2", "1"])},
        values=DEFAULT.values(candidate),
        user_attrs=candidate.to_json(),
    )
    study.add([trial])


def fill(path: Path, *candidates: Candidate) -> None:
    with open_study(path, ORIGIN) as study:
        for candidate in candidates:
            add(study, candidate)


def test_scores_are_kept(path: Path, make_candidate: MakeCandidate) -> None:
    candidates = [make_candidate("w1of2-d1", correct=900), make_candidate("w1-d1", correct=950)]
    fill(path, candidates[0])
    with open_study(path, ORIGIN) as study:
        assert study.candidates == candidates[:1]
        add(study, candidates[1])
        assert study.candidates == candidates
    with open_study(path, ORIGIN) as study:
        assert study.candidates == candidates


def test_plain_optuna_opens_it(path: Path, make_candidate: MakeCandidate) -> None:
    fill(path, make_candidate("w1of2-d1", ms=2.5, correct=900))
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{path}")
    assert study.metric_names == ["accuracy", "latency_ms", "gflops"]
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE", "MINIMIZE"]
    assert study.user_attrs["supernet"]["digest"] == "a" * 16
    assert study.user_attrs["device"]["digest"] == "c" * 16
    assert (study.user_attrs["split"], study.user_attrs["space"]["stacks"]) == ("validation", [4, 4])
    (trial,) = study.trials
    assert (trial.user_attrs["id"], trial.values[1], trial.params) == ("w1of2-d1", 2.5, {"width": "1/2"})


MEMORY = Objectives.of(["accuracy", "memory"])


def test_other_objectives_are_given_their_values_and_the_scores_stay(path: Path, make_candidate: MakeCandidate) -> None:
    candidates = [make_candidate("w1of2-d1", correct=900, memory=3_000_000), make_candidate("w1-d1", correct=950)]
    fill(path, *candidates)
    with open_study(path, ORIGIN, MEMORY) as study:
        assert study.candidates == candidates
        assert [trial.values for trial in study.finished] == [[0.9, 3.0], [0.95, 1.0]]
    assert read_study(path) == (ORIGIN, MEMORY, candidates)
    found = optuna.load_study(study_name=None, storage=f"sqlite:///{path}")
    assert (found.metric_names, len(found.directions)) == (["accuracy", "memory_mb"], 2)
    assert [trial.params for trial in found.trials] == [{"width": "1/2"}] * 2


def test_a_study_that_names_no_objectives_is_brought_up_to_date(path: Path, make_candidate: MakeCandidate) -> None:
    """Those of bstsearch 0.1.0, whose values are accuracy, GFLOPs and latency."""
    fill(path, make_candidate("w1of2-d1", ms=2.5, macs=500_000_000, correct=900))
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM study_user_attributes WHERE key = 'objectives'")
        database.execute("UPDATE trial_values SET value = 1.0 WHERE objective = 1")
        database.execute("UPDATE trial_values SET value = 2.5 WHERE objective = 2")
    with open_study(path, ORIGIN) as study:
        assert [trial.values for trial in study.finished] == [[0.9, 2.5, 1.0]]
    assert optuna.load_study(study_name=None, storage=f"sqlite:///{path}").user_attrs["objectives"]


def test_scores_by_another_metric_are_refused_and_kept(path: Path, make_candidate: MakeCandidate) -> None:
    fill(path, make_candidate(correct=1))
    error = Objectives.of(["accuracy", "memory"], Metric(name="error", is_higher_better=False))
    refused = pytest.raises(InputError, match="holds scores by 'accuracy', now they are by 'error'")
    with refused, open_study(path, ORIGIN, error):
        pass
    assert len(read_study(path)[2]) == 1


def test_a_score_that_is_better_when_lower_is_minimized(tmp_path: Path) -> None:
    error = Objectives.of(["accuracy", "size"], Metric(name="error", is_higher_better=False))
    with open_study(tmp_path / NAME, ORIGIN, error):
        pass
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{tmp_path / NAME}")
    assert [direction.name for direction in study.directions] == ["MINIMIZE", "MINIMIZE"]
    assert study.metric_names == ["error", "size_mb"]
    assert read_study(tmp_path / NAME)[1] == error


def test_nothing_but_the_study_is_left(empty_study: Path) -> None:
    assert [file.name for file in empty_study.parent.iterdir()] == [NAME]


def test_another_origin_is_refused_and_nothing_lost(path: Path, make_candidate: MakeCandidate) -> None:
    fill(path, make_candidate(correct=1))
    with pytest.raises(InputError, match="another split"), open_study(path, OTHER):
        pass
    with open_study(path, ORIGIN) as study:
        assert len(study.candidates) == 1


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100, "half"])
def test_damaged_file_is_refused_and_kept_and_may_be_replaced(path: Path, content: bytes | str) -> None:
    damaged = path.read_bytes()[: path.stat().st_size // 2] if isinstance(content, str) else content
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=r"study\.db: the study .*--force"), open_study(path, ORIGIN):
        pass
    check_replaceable(path)
    assert path.read_bytes() == damaged
    discard_other(path, ORIGIN, DEFAULT)
    assert not path.exists()


def test_a_study_of_another_origin_or_metric_is_discarded_and_of_the_same_is_not(
    path: Path, make_candidate: MakeCandidate
) -> None:
    fill(path, make_candidate(correct=1))
    discard_other(path, ORIGIN, DEFAULT)
    assert len(read_study(path)[2]) == 1
    path.with_name("study.db-journal").write_bytes(b"")
    discard_other(path, OTHER, DEFAULT)
    assert not list(path.parent.iterdir())
    discard_other(path, OTHER, DEFAULT)  # there may be none


def refuse_everything(path: Path, message: str) -> None:
    """Neither is the file at `path` opened as a study, nor is it ours to replace."""
    with pytest.raises(InputError, match=message), open_study(path, ORIGIN):
        pass
    with pytest.raises(InputError, match=message):
        check_replaceable(path)
    with pytest.raises(InputError, match=message):
        discard_other(path, ORIGIN, DEFAULT)


def test_database_of_something_else_is_never_touched(path: Path) -> None:
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE recipes (name TEXT)")
    content = path.read_bytes()
    refuse_everything(path, "no Optuna study")
    assert path.read_bytes() == content


def test_study_of_something_else_is_refused(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM study_user_attributes")
    with pytest.raises(InputError, match="does not say what it was made from"), open_study(path, ORIGIN):
        pass


def test_study_of_another_name_is_refused(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE studies SET study_name = 'mine'")
    with pytest.raises(InputError, match="no study named 'bstsearch'"), open_study(path, ORIGIN):
        pass


def test_file_that_another_program_writes_to_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_file, "IN_USE_S", 0.1)
    program = (
        "import sqlite3, sys; database = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "database.execute('BEGIN EXCLUSIVE'); print('locked', flush=True); input()"
    )
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "locked\n"
        refuse_everything(path, "in use by another process")
        other.communicate("\n")
    with open_study(path, ORIGIN):
        pass


def test_a_write_that_was_killed_is_undone_before_anything_takes_the_place(
    path: Path, make_candidate: MakeCandidate
) -> None:
    """SQLite's journal would be played back into whatever has the study's name next."""
    fill(path, make_candidate(correct=1))
    before = path.read_bytes()
    program = (
        "import os, sqlite3, sys; database = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "database.execute('PRAGMA cache_size = 1'); database.execute('PRAGMA cache_spill = 1'); "
        "database.execute('BEGIN'); database.execute('UPDATE trial_user_attributes SET value_json = zeroblob(90000)'); "
        "database.execute('UPDATE trials SET number = 77'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert path.with_name("study.db-journal").exists()
    assert path.read_bytes() != before
    check_replaceable(path)
    assert not path.with_name("study.db-journal").exists()
    assert path.read_bytes() == before


def test_folder_that_cannot_be_made_is_a_device_error(tmp_path: Path) -> None:
    (tmp_path / "front").write_text("a file where the folder should be")
    with pytest.raises(DeviceError, match="cannot write"), open_study(tmp_path / "front" / NAME, ORIGIN):
        pass


def test_full_disk_is_a_device_error_and_nothing_is_lost(
    path: Path, make_candidate: MakeCandidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorname = "SQLITE_FULL"
        raise error

    fill(path, make_candidate("w1of2-d1", correct=1))
    with open_study(path, ORIGIN) as study:
        monkeypatch.setattr(study._study, "add_trial", refuse)
        with pytest.raises(DeviceError, match="disk is full"):
            add(study, make_candidate("w1-d1", correct=1))
    monkeypatch.undo()
    with open_study(path, ORIGIN) as study:
        assert [candidate.id for candidate in study.candidates] == ["w1of2-d1"]


# What is in the file


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"latency_ms": float("nan")}, "candidate, latency_ms: expected float"),
        ({"macs": -1}, "candidate, macs: expected int >= 1"),
        ({"id": "w" * 300_000}, "is not a submodel id"),
        ({"correct": 2000.0}, "of 1000 questions, 1 or more, 2000.0 cannot be correct"),
    ],
)
def test_a_trial_that_no_search_stored_is_refused(
    path: Path, make_candidate: MakeCandidate, change: dict[str, object], words: str
) -> None:
    with open_study(path, ORIGIN) as study:
        candidate = make_candidate(correct=1)
        attributes = {**candidate.to_json(), **change}
        study.add([optuna.trial.create_trial(values=DEFAULT.values(candidate), user_attrs=attributes)])
    with pytest.raises(InputError, match=words) as found, open_study(path, ORIGIN) as study:
        _ = study.candidates
    assert str(found.value).startswith(str(path))
    assert len(str(found.value)) - len(str(path)) < 300
    with pytest.raises(InputError, match=words):
        read_study(path)


@pytest.mark.parametrize("budget", [None, {"latency_ms": float("nan")}, {"at": "low"}, 3])
def test_a_trial_of_no_budget_is_refused(path: Path, make_candidate: MakeCandidate, budget: object) -> None:
    candidate = make_candidate(correct=1)
    with open_study(path, ORIGIN) as study:
        attributes = {**candidate.to_json(), "budget": budget}
        study.add([optuna.trial.create_trial(values=DEFAULT.values(candidate), user_attrs=attributes)])
        with pytest.raises(InputError, match=r"study\.db: budget[:,] "):
            _ = study.budgets


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_page_is_one_line(path: Path, make_candidate: MakeCandidate, seed: int) -> None:
    fill(path, *(make_candidate(name, correct=1) for name in ("w1-d1", "w1of2-d1")))
    content, random = bytearray(path.read_bytes()), Random(seed)
    start = 0 if seed == 0 else 4096 * random.randrange(len(content) // 4096)
    content[start : start + 4096] = random.randbytes(4096)
    path.write_bytes(content)
    for read in (lambda: read_study(path), lambda: contextlib.ExitStack().enter_context(open_study(path, ORIGIN))):
        try:
            read()
        except InputError as error:
            assert str(error).startswith(str(path))  # noqa: PT017
            assert len(str(error)) - len(str(path)) < 300  # noqa: PT017
            assert str(error).isprintable()  # noqa: PT017


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir], ids=["pipe", "folder"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / NAME)
    for read in (read_study, lambda path: contextlib.ExitStack().enter_context(open_study(path, ORIGIN))):
        with pytest.raises(InputError, match=r"study\.db: a .*; expected a file"):
            read(tmp_path / NAME)


def test_a_path_is_taken_as_it_is(tmp_path: Path, make_candidate: MakeCandidate) -> None:
    """An URL would have other meanings for some of these."""
    folder = tmp_path / "p%20x?y#z [1] ä {0} %s"
    candidate = make_candidate(correct=1)
    fill(folder / NAME, candidate)
    assert read_study(folder / NAME) == (ORIGIN, DEFAULT, [candidate])
    with open_study(folder / NAME, ORIGIN, MEMORY) as study:
        assert study.candidates == [candidate]
    assert [one.name for one in tmp_path.iterdir()] == [folder.name]
    assert [one.name for one in folder.iterdir()] == [NAME]


# Reading what another search left


def test_a_study_is_read_as_it_is(path: Path, make_candidate: MakeCandidate) -> None:
    candidates = [make_candidate("w1-d1", correct=900), make_candidate("w1of2-d1", correct=800)]
    fill(path, *candidates)
    before = path.read_bytes()
    assert read_study(path) == (ORIGIN, DEFAULT, candidates)
    assert path.read_bytes() == before
    assert [found.name for found in path.parent.iterdir()] == [NAME]


def test_a_study_is_read_while_another_process_holds_it(path: Path) -> None:
    with open_study(path, ORIGIN):
        assert read_study(path) == (ORIGIN, DEFAULT, [])


@pytest.mark.parametrize("content", [b"", b"no database" * 1000])
def test_what_is_no_study_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"study\.db: the study cannot be read"):
        read_study(path)
    assert path.read_bytes() == content
