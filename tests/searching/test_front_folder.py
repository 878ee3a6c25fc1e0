"""How the files of a front change, and which folder is taken; whole searches are tests/cli/test_pareto_kept.py's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from bstsearch.errors import DeviceError, UsageError
from bstsearch.searching.budget import Budget
from bstsearch.searching.front_file import FrontFile, read_front, write_front
from bstsearch.searching.front_folder import FrontFolder, choose_folder, holding_all, write_alone
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.provenance import Provenance
from bstsearch.space import Space

SPACE = Space.bst(stacks=(4, 4))
ORIGIN = Provenance(
    supernet={"path": "runs/a", "digest": "a" * 16, "architecture": "b" * 16, "family": "mcan"},
    space=SPACE,
    split="validation",
    device={"name": "phone", "obtained": "measured", "digest": "c" * 16, "runtime": {"threads": 2}},
)
OTHER = dataclasses.replace(ORIGIN, split="test")


@pytest.fixture
def file(make_candidate: Callable[..., Candidate]) -> FrontFile:
    rows = enumerate(SPACE)
    found = [make_candidate(one.id, ms=1.0 + row, macs=1000 + row, correct=900 + row) for row, one in rows]
    options = {"sampler": "exact", "is_exact": True, "trials": 10, "searched": Budget()}
    return FrontFile.solve(found, Budget(), origin=ORIGIN, **options)  # type: ignore[arg-type]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_front_alone_takes_away_what_shows_another(tmp_path: Path, file: FrontFile) -> None:
    folder = FrontFolder(path=tmp_path, is_forced=False)
    for is_same in (True, False):
        shown = file if is_same else dataclasses.replace(file, sampler="other")
        write_front(shown, folder.front)
        (tmp_path / "front.csv").write_text("of what was there")
        folder.write(file, write_alone)
        assert names(tmp_path) == (["front.csv", "front.json"] if is_same else ["front.json"])
        assert read_front(folder.front) == file


def test_a_forced_search_has_a_study_of_its_own_until_it_is_finished(tmp_path: Path, file: FrontFile) -> None:
    folder = FrontFolder(path=tmp_path, is_forced=True)
    assert folder.study.name == "study.new.db"
    (tmp_path / "study.db").write_text("old")
    (tmp_path / "study.db-journal").write_text("of the old")
    folder.study.write_text("new")
    folder.write(file, write_alone)
    assert names(tmp_path) == ["front.json", "study.db", "study.new.db"]
    assert (tmp_path / "study.db").read_text() == "new"
    folder.forget()
    assert names(tmp_path) == ["front.json", "study.db"]


def test_the_study_of_any_other_search_is_never_forgotten(tmp_path: Path) -> None:
    folder = FrontFolder(path=tmp_path, is_forced=False)
    folder.study.write_text("scores")
    folder.forget()
    assert names(tmp_path) == ["study.db"]


def test_a_front_that_cannot_be_written_changes_nothing(tmp_path: Path, file: FrontFile) -> None:
    folder = FrontFolder(path=tmp_path, is_forced=True)
    for name in ("study.db", "front.json", "front.csv"):
        (tmp_path / name).write_text("old")
    folder.study.write_text("new")

    def fail(_file: FrontFile, new: Path, _out: Path) -> None:
        (new / "front.csv").write_text("new")
        raise OSError(28, "No space left on device")

    with pytest.raises(DeviceError, match="No space left on device; nothing there was changed"):
        folder.write(file, fail)
    assert names(tmp_path) == ["front.csv", "front.json", "study.db", "study.new.db"]
    assert {(tmp_path / name).read_text() for name in ("study.db", "front.json", "front.csv")} == {"old"}


def test_folders_are_held_once_each_and_must_be_folders(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    with holding_all([one, other, one]):
        for place in (one, other):
            with pytest.raises(UsageError, match="is being written by another process"), holding_all([place]):
                pytest.fail("the block ran")
    assert names(tmp_path) == []
    one.write_text("")
    other.symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    for place in (one, other, tmp_path / "circle"):
        with pytest.raises(DeviceError, match="it is no folder; give another --out"), holding_all([place]):
            pytest.fail("the block ran")
    assert names(tmp_path) == ["circle", "one", "other"]


def test_results_go_where_those_of_the_same_origin_are_or_nothing_is(
    tmp_path: Path, file: FrontFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert choose_folder(ORIGIN, is_alone=True) == Path("front")
    assert choose_folder(ORIGIN, is_alone=False) == Path("front/phone")
    write_front(file, Path("front/front.json"))
    assert choose_folder(ORIGIN, is_alone=True) == Path("front")
    assert choose_folder(OTHER, is_alone=True) == Path("front/phone")
    write_front(file, Path("front/phone/front.json"))
    assert choose_folder(OTHER, is_alone=False) == Path("front/phone-2")
    write_front(dataclasses.replace(file, origin=OTHER), Path("front/phone-2/front.json"))
    assert choose_folder(OTHER, is_alone=True) == Path("front/phone-2")
    Path("front/front.json").write_text("damaged")
    assert choose_folder(OTHER, is_alone=True) == Path("front"), "the search says what is wrong with it"
