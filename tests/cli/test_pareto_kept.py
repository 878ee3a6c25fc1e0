"""What a search left: results of another origin, lost and damaged files."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bstsearch.model.supernet_folder import read_folder
from bstsearch.profiles.profile import DeviceProfile
from bstsearch.profiles.profile_file import save_profile
from bstsearch.searching.front_file import read_front

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


CHANGES: list[tuple[Callable[[Path], None], list[str], str]] = [
    (change_supernet, [], "another supernet"),
    (change_profile, [], "another device profile 'local'"),
    (lambda folder: None, ["--split", "test"], "another split 'validation' (now 'test')"),
    (lambda folder: None, ["--space", "layerwise"], "another space of 10 submodels"),
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
    assert {path.name for path in (finished / "local").iterdir()} == FILES
    shutil.rmtree(finished / "local")
    assert contents(finished) == before


def test_force_starts_over(pareto: Invoke, scorer: Scorer, finished: Path, tmp_path: Path) -> None:
    change_supernet(tmp_path)
    assert pareto("--force", "--out", "front").exit_code == 0
    assert scorer.scored.total() == 10
    assert read_front(finished / "front.json").origin.supernet["digest"] == read_folder(tmp_path / "net").digest()


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


def test_locked_study_is_refused(pareto: Invoke, finished: Path) -> None:
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
