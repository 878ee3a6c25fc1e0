"""What a search left: results of another origin, lost and damaged files."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bstsearch.errors import InputError
from bstsearch.holding import holding
from bstsearch.model.supernet_folder import read_folder
from bstsearch.profiles.profile import DeviceProfile
from bstsearch.profiles.profile_file import save_profile
from bstsearch.searching.front_file import read_front
from bstsearch.searching.run import search
from bstsearch.searching.study_file import read_study

Invoke = Callable[..., Any]
Scorer = Any  # of conftest.py
MakeProfile = Callable[..., DeviceProfile]

FILES = {"front.json", "front.csv", "front.png", "front.html", "study.db"}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def change_supernet(folder: Path) -> None:
    weights = folder / "net" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)


def change_profile(folder: Path) -> None:
    profile = folder / "profiles" / "local.json"
    profile.write_text(profile.read_text().replace("Test CPU", "Another CPU"))


def write_half(folder: Path) -> None:
    Path("half.json").write_text('{"widths": ["1/4", "1/2"]}')


CHANGES: list[tuple[Callable[[Path], None], list[str], str]] = [
    (change_supernet, [], "another supernet"),
    (change_profile, [], "another device profile 'local'"),
    (lambda folder: None, ["--split", "test"], "another split 'validation' (now 'test')"),
    (write_half, ["--space", "half.json"], "another space of 10 submodels (now 7)"),
]


@pytest.mark.parametrize("lost", [None, "front.json"])
@pytest.mark.parametrize(("change", "args", "words"), CHANGES)
def test_scores_of_another_origin_are_refused_and_kept(
    pareto: Invoke,
    scorer: Scorer,
    finished: Path,
    tmp_path: Path,
    lost: str | None,
    change: Callable[[Path], None],
    args: list[str],
    words: str,
) -> None:
    """The study is looked at as closely as the front."""
    if lost:
        (finished / lost).unlink()
    change(tmp_path)
    before = contents(finished)
    result = pareto(*args, "--out", "front")
    assert result.exit_code == 4
    assert words in result.stderr
    assert "--force" in result.stderr
    assert contents(finished) == before
    assert not scorer.scored


@pytest.mark.parametrize("lost", [None, "front.json"])
@pytest.mark.parametrize(("change", "args", "words"), CHANGES)
def test_without_out_they_stay_and_the_new_ones_go_beside_them(
    pareto: Invoke,
    finished: Path,
    tmp_path: Path,
    lost: str | None,
    change: Callable[[Path], None],
    args: list[str],
    words: str,
) -> None:
    if lost:
        (finished / lost).unlink()
    change(tmp_path)
    before = contents(finished)
    result = pareto(*args, "--trials", "5")
    assert result.exit_code == 0, result.output
    made = {path.name for path in (finished / "local").iterdir()}
    assert FILES - {"study.db"} <= made <= FILES  # known scores need no study
    shutil.rmtree(finished / "local")
    assert contents(finished) == before


def test_force_starts_over(pareto: Invoke, scorer: Scorer, finished: Path, tmp_path: Path) -> None:
    change_supernet(tmp_path)
    assert pareto("--force", "--out", "front").exit_code == 0
    assert scorer.scored.total() == 10
    assert read_front(finished / "front.json").origin.supernet["digest"] == read_folder(tmp_path / "net").digest()


def test_a_forced_search_that_was_stopped_leaves_the_old_one_and_goes_on(
    pareto: Invoke, scorer: Scorer, finished: Path
) -> None:
    before = contents(finished)
    scorer.stop_after = 4
    stopped = pareto("--force")
    assert stopped.exit_code == 130
    assert "4 submodels are scored and kept; the same command goes on from there" in stopped.stderr
    after = contents(finished)
    assert after.pop("study.new.db")
    assert after == before
    scorer.stop_after = 10_000
    result = pareto("--force")
    assert result.exit_code == 0
    assert "front/study.new.db holds 4 scores of a search that was stopped; it goes on" in result.stderr
    assert set(scorer.scored.values()) == {1}
    assert {path.name for path in finished.iterdir()} == FILES


def test_a_stopped_search_of_another_origin_is_forgotten_by_force(
    pareto: Invoke, scorer: Scorer, finished: Path, tmp_path: Path
) -> None:
    scorer.stop_after = 4
    assert pareto("--force").exit_code == 130
    change_supernet(tmp_path)
    scorer.stop_after = 10_000
    assert pareto("--force", "--out", "front").exit_code == 0
    assert scorer.scored.total() == 14


def test_with_several_devices_a_stopped_search_goes_on_with_each(
    pareto: Invoke, scorer: Scorer, phone: Path, tmp_path: Path
) -> None:
    """None of a device that was finished is scored again."""
    arguments = ("--device", "local,phone", "--out", "f")
    assert pareto(*arguments).exit_code == 0
    scorer.scored.clear()
    scorer.stop_after = 4
    assert pareto(*arguments, "--force").exit_code == 130
    scorer.stop_after = 10_000
    assert pareto(*arguments, "--force").exit_code == 0
    assert set(scorer.scored.values()) == {1}
    assert not list(tmp_path.glob("f/**/*.new*"))
    assert not list(tmp_path.glob("f/**/.*"))


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("--supernet", "nowhere"), 4),
        (("--device", "tablet"), 4),
        (("--budget-ms", "0.000001"), 3),
        (("--objectives", "accuracy,joy"), 2),
    ],
)
def test_what_is_refused_leaves_the_old_search_as_it_is(
    pareto: Invoke, finished: Path, args: tuple[str, ...], code: int
) -> None:
    before = contents(finished)
    assert pareto("--force", "--out", "front", *args).exit_code == code
    assert contents(finished) == before


def test_weights_and_data_are_read_before_anything_changes(
    pareto: Invoke, scorer: Scorer, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(_: object) -> None:
        raise InputError("nowhere does not exist")

    monkeypatch.setattr(type(scorer), "load", load)
    before = contents(finished)
    assert pareto("--force").exit_code == 4
    assert contents(finished) == before
    shutil.rmtree(finished)
    assert pareto().exit_code == 4
    assert not finished.exists()


def test_neither_force_replaces_a_database_of_something_else(pareto: Invoke, finished: Path) -> None:
    (finished / "study.db").unlink()
    with contextlib.closing(sqlite3.connect(finished / "study.db")) as database:
        database.execute("CREATE TABLE recipes (name TEXT)")
    before = contents(finished)
    result = pareto("--force")
    assert result.exit_code == 4
    assert "no Optuna study" in result.stderr
    assert contents(finished) == before


def test_force_replaces_a_damaged_study_and_what_its_journal_holds(pareto: Invoke, finished: Path) -> None:
    (finished / "study.db").write_bytes(b"no database" * 1000)
    (finished / "study.db-journal").write_bytes(b"old" * 1000)
    assert pareto("--force").exit_code == 0
    assert {path.name for path in finished.iterdir()} == FILES
    assert len(read_study(finished / "study.db")[2]) == 10


def test_a_full_disk_leaves_all_files_of_the_old_front(
    pareto: Invoke, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = contents(finished)
    for name in ("write_csv", "write_page", "write_front"):
        for args in ((), ("--force",)):
            with monkeypatch.context() as patch:
                patch.setattr(f"bstsearch.report.{name}", full)
                result = pareto("--budget-ms", "60%", *args)
            assert result.exit_code == 5
            assert result.stderr.splitlines()[-1].endswith("No space left on device; nothing there was changed")
            (finished / "study.new.db").unlink(missing_ok=True)
            assert contents(finished) == before


def test_a_picture_that_cannot_be_drawn_costs_only_itself(
    pareto: Invoke, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bstsearch.report.picture.draw_picture", lambda *_: 1 / 0)
    result = pareto("--budget-ms", "60%")
    assert result.exit_code == 0
    assert "front.png could not be drawn" in result.stderr
    assert {path.name for path in finished.iterdir()} == FILES - {"front.png"}, "an old one would show another front"


def test_from_python_no_file_is_left_that_shows_another_front(pareto: Invoke, scorer: Scorer, finished: Path) -> None:
    before = contents(finished)
    again = {"supernet": "net", "profiles": "profiles", "out": finished}
    search(**again)
    assert contents(finished).keys() == before.keys()
    search(**again, budget_ms="60%")
    assert {path.name for path in finished.iterdir()} == {"front.json", "study.db"}


@pytest.mark.parametrize("args", [(), ("--force",), ("--budget-ms", "60%"), ("--device", "local,phone")])
def test_a_front_that_another_process_makes_is_refused_at_once(
    pareto: Invoke, phone: Path, finished: Path, args: tuple[str, ...]
) -> None:
    before = contents(finished)
    with holding(finished):
        result = pareto(*args, "--out", "front")
    assert result.exit_code == 2
    assert "front is being written by another process; wait until it ends, or give another --out" in result.stderr
    assert contents(finished) == before


def test_another_out_leaves_the_first_alone(pareto: Invoke, finished: Path, tmp_path: Path) -> None:
    change_profile(tmp_path)
    before = contents(finished)
    result = pareto("--out", "second")
    assert result.exit_code == 0
    assert contents(finished) == before
    assert "--front second/front.json" in result.stderr


def test_corrupt_study_is_refused_and_kept(pareto: Invoke, finished: Path) -> None:
    (finished / "front.json").unlink()
    (finished / "study.db").write_bytes(b"no database" * 1000)
    result = pareto()
    assert result.exit_code == 4
    assert "front/study.db: the study cannot be read: file is not a database" in result.stderr
    assert (finished / "study.db").read_bytes() == b"no database" * 1000


def test_locked_study_is_refused(pareto: Invoke, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bstsearch.searching.study_file.IN_USE_S", 0.1)
    (finished / "front.json").unlink()
    with contextlib.closing(sqlite3.connect(finished / "study.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        result = pareto()
    assert result.exit_code == 4
    assert "in use by another process" in result.stderr


def test_truncated_front_is_refused_and_kept(pareto: Invoke, finished: Path) -> None:
    path = finished / "front.json"
    path.write_text(path.read_text()[:500])
    result = pareto()
    assert result.exit_code == 4
    assert "truncated" in result.stderr
    assert path.stat().st_size == 500


def test_lost_front_is_made_again_from_the_study(pareto: Invoke, scorer: Scorer, finished: Path) -> None:
    before = read_front(finished / "front.json")
    (finished / "front.json").unlink()
    assert pareto().exit_code == 0
    assert not scorer.scored
    assert read_front(finished / "front.json").front == before.front


def test_lost_picture_is_drawn_again(pareto: Invoke, finished: Path) -> None:
    (finished / "front.png").unlink()
    assert pareto().exit_code == 0
    assert (finished / "front.png").read_bytes().startswith(b"\x89PNG")


def test_device_without_profile_says_what_makes_one(pareto: Invoke) -> None:
    result = pareto("--device", "phone")
    assert result.exit_code == 4
    assert "bstsearch profile --device phone" in result.stderr


def test_profile_of_another_model_is_refused(
    pareto: Invoke, make_profile: MakeProfile, tiny_easy_folder: Path, tmp_path: Path
) -> None:
    save_profile(make_profile(tiny_easy_folder), tmp_path / "profiles")
    result = pareto()
    assert result.exit_code == 4
    assert "holds no measurement of this model" in result.stderr


def test_out_that_is_no_folder_is_a_device_error(pareto: Invoke, tmp_path: Path) -> None:
    (tmp_path / "front").write_text("in the way")
    result = pareto()
    assert result.exit_code == 5
    assert (tmp_path / "front").read_text() == "in the way"
