"""`bstsearch worker`, and what `pareto` says of workers and storages."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bstsearch.profiles.profile import DeviceProfile
from bstsearch.profiles.profile_file import save_profile
from bstsearch.searching.front_file import read_front
from bstsearch.searching.study_file import read_study

Invoke = Callable[..., Any]
Scorer = Any  # of conftest.py
MakeProfile = Callable[..., DeviceProfile]


@pytest.fixture
def work(pareto: Invoke, scorer: Scorer, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs `bstsearch worker ARGS...`, which scores as `pareto` does."""
    from bstsearch.searching import run

    monkeypatch.setattr("bstsearch.searching.joining.make_scorer", lambda *_: run.make_scorer())
    return lambda *args: invoke("worker", "--supernet", "net", *args)


def reopen(path: Path, count: int) -> None:
    """Makes the first trials of a study wait again, as if their workers had gone."""
    first = "trial_id IN (SELECT trial_id FROM trials WHERE number < ?)"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute(f"UPDATE trials SET state = 'WAITING' WHERE {first}", (count,))
        database.execute(f"DELETE FROM trial_values WHERE {first}", (count,))
        database.execute(f"DELETE FROM trial_user_attributes WHERE key = 'score' AND {first}", (count,))


def test_it_scores_what_waits_and_ends(work: Invoke, scorer: Scorer, finished: Path) -> None:
    reopen(finished / "study.db", 3)
    result = work("--storage", "front/study.db", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"storage": "front/study.db", "study": "bstsearch", "scored": 3}
    assert set(scorer.scored.values()) == {1}
    assert len(read_study(finished / "study.db")[2]) == 10


def test_it_may_be_stopped_at_any_time(work: Invoke, scorer: Scorer, finished: Path) -> None:
    reopen(finished / "study.db", 3)
    scorer.stop_after = 1
    assert work("--storage", "front/study.db").exit_code == 130
    scorer.stop_after = 100
    result = work("--storage", "front/study.db")
    assert "2 submodels scored for bstsearch in front/study.db; nothing is left to do" in result.stdout
    assert len(read_study(finished / "study.db")[2]) == 10


def test_another_supernet_is_refused(work: Invoke, finished: Path) -> None:
    weights = Path("net/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    result = work("--storage", "front/study.db")
    assert result.exit_code == 4
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: front/study.db: the study is of the supernet '")
    assert line.endswith("; give the same --supernet")


def test_another_data_set_is_refused(work: Invoke, finished: Path) -> None:
    result = work("--storage", "front/study.db", "--data", "gqa")
    assert result.exit_code == 4
    assert "the study is of the data set 'of the supernet', here it is 'gqa'; give the same --data" in result.stderr


def test_another_version_is_refused(work: Invoke, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bstsearch.searching.studies.__version__", "9.9.9")
    result = work("--storage", "front/study.db")
    assert result.exit_code == 4
    assert "this is '9.9.9'; install the same version here" in result.stderr


def test_a_study_that_is_not_there_is_refused(work: Invoke, tmp_path: Path) -> None:
    assert work("--storage", "nowhere/study.db").exit_code == 4
    result = work("--storage", f"journal://{tmp_path}/journal.log", "--study", "a")
    assert result.exit_code == 4
    assert "journal.log holds no study 'a'; there are none" in result.stderr
    assert work("--storage", f"journal://{tmp_path}/journal.log").exit_code == 2


# pareto


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--study", "a"), "--study names a study in a storage; give --storage, too"),
        (("--workers", "0"), "without a --storage nobody else scores; give --workers 1 or more"),
        (("--storage", "journal:///x", "--force"), "--force removes no study of a storage"),
        (("--storage", "nosuch://x"), "--storage 'nosuch://x' is no URL of a storage"),
    ],
)
def test_what_does_not_go_together_is_wrong_usage(pareto: Invoke, args: tuple[str, ...], words: str) -> None:
    result = pareto(*args)
    assert result.exit_code == 2, result.output
    assert words in result.stderr
    assert not Path("front").exists()


def test_a_storage_holds_the_scores_in_place_of_a_file(pareto: Invoke, scorer: Scorer, tmp_path: Path) -> None:
    url = f"journal://{tmp_path / 'journal.log'}"
    result = pareto("--storage", url, "--generation", "4")
    assert result.exit_code == 0, result.output
    assert f"they run 'bstsearch worker --storage {url} --study net-local'" in result.stderr
    assert len(read_front(Path("front/front.json")).candidates) == 10
    assert not Path("front/study.db").exists()
    scorer.scored.clear()
    shutil.rmtree("front")
    assert pareto("--storage", url).exit_code == 0
    assert not scorer.scored
    shutil.rmtree("front")  # else it is answered from there
    result = pareto("--storage", url, "--out", "other", "--generation", "5")
    assert result.exit_code == 2
    assert "the study goes in generations of 4; give --generation 4" in result.stderr


def test_with_several_devices_each_has_a_study(pareto: Invoke, scorer: Scorer, phone: Path, tmp_path: Path) -> None:
    result = pareto("--storage", f"journal://{tmp_path / 'journal.log'}", "--study", "mine", "--device", "local,phone")
    assert result.exit_code == 0, result.output
    assert "--study mine-local" in result.stderr
    assert "--study mine-phone" in result.stderr


@pytest.mark.slow
def test_two_processes_score_and_end_with_the_search(
    tiny_easy_folder: Path, make_profile: MakeProfile, tmp_path: Path
) -> None:
    """The real thing: each reads weights and questions."""
    save_profile(make_profile(tiny_easy_folder), tmp_path / "profiles")
    options = ["--supernet", str(tiny_easy_folder), "--profiles", "profiles", "--device", "local"]
    command = [sys.executable, "-m", "bstsearch", "pareto", *options, "--budget-ms", "0.4", "--workers", "2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    file = read_front(tmp_path / "front" / "front.json")
    assert file.is_exact
    assert file.trials == sum(one.accuracy is not None for one in file.candidates) > 1
