from __future__ import annotations

from pathlib import Path

import pytest

from bstsearch import holding, writing
from bstsearch.errors import DeviceError, InputError, UsageError

MARKER = "manifest.json"
OWN = (MARKER, "old")


def test_where_nothing_can_be_made_beside_a_folder_its_lock_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mounted").mkdir()
    monkeypatch.setattr(holding.os, "access", lambda path, _mode: path != tmp_path)
    with holding.holding(tmp_path / "mounted"):
        assert [found.name for found in (tmp_path / "mounted").iterdir()] == [".mounted.lock"]
        writing.check_free(tmp_path / "mounted", marker=MARKER, is_forced=False)
        with pytest.raises(UsageError, match="being written"), holding.holding(tmp_path / "mounted"):
            pytest.fail("the block ran")
    assert not list((tmp_path / "mounted").iterdir())
    assert holding.lock_of(Path("/")).parent == Path("/")


def test_a_second_holder_is_refused_in_one_line_and_nothing_is_left(tmp_path: Path) -> None:
    with holding.holding(tmp_path / "out"):
        with (
            pytest.raises(UsageError, match=r"out is being written by another process; wait until it ends"),
            holding.holding(tmp_path / "out"),
        ):
            pytest.fail("the block ran")
        with holding.holding(tmp_path / "new" / "other", "--profiles"):
            pass
    with holding.holding(tmp_path / "out"):
        pass
    assert not list(tmp_path.iterdir())  # nor the folder that was only there for the lock


def test_holding_needs_no_folder_and_leaves_none(tmp_path: Path) -> None:
    with holding.holding(tmp_path / "deep" / "deeper" / "out"):
        pass
    assert not list(tmp_path.iterdir())
    with holding.holding(tmp_path / "deep" / "deeper" / "out"):
        (tmp_path / "deep" / "mine").write_text("")
    assert [found.name for found in (tmp_path / "deep").iterdir()] == ["mine"]


def test_a_folder_is_one_place_whatever_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to("out")
    monkeypatch.chdir(tmp_path / "out")
    for one in (Path(), tmp_path / "link", Path("../out")):
        with holding.holding(tmp_path / "out"), pytest.raises(UsageError), holding.holding(one):
            pytest.fail("the block ran")


def test_a_name_that_no_file_can_hold_is_refused_before_anything_is_written_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the name is no UTF-8"), holding.holding(tmp_path / "n\udcff"):
        pytest.fail("the block ran")
    assert not list(tmp_path.iterdir())


def test_holding_removes_what_dead_processes_left(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for place in (tmp_path, tmp_path / "out"):
        (place / ".out.0123abcd.part").mkdir()
    with holding.holding(tmp_path / "out"):
        assert not list((tmp_path / "out").iterdir())
        assert sorted(found.name for found in tmp_path.iterdir()) == [".out.lock", "out"]


def test_where_a_disk_knows_no_locks_one_writes_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(holding.fcntl, "flock", no_locks)
    with holding.holding(tmp_path / "out"):
        writing.write_text(tmp_path / "a", "text")
    assert [found.name for found in tmp_path.iterdir()] == ["a"]


def test_a_folder_in_the_place_of_a_file_is_told_before_anything_changes(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "b").mkdir()
    refused = pytest.raises(DeviceError, match=": b is a folder; nothing there was changed")
    with refused, writing.writing_together(tmp_path, last="a") as folder:
        for name in "ab":
            (folder / name).write_text("new")
    assert (tmp_path / "a").read_text() == "old"
    assert sorted(found.name for found in tmp_path.iterdir()) == ["a", "b"]


def test_whether_a_file_can_be_written_is_told_without_writing_it(tmp_path: Path) -> None:
    writing.check_writable(tmp_path / "deep" / "a")
    assert not list((tmp_path / "deep").iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(DeviceError, match=r"^cannot write .*file/a: .*file is no folder; nothing there was changed$"):
        writing.check_writable(tmp_path / "file" / "a")


def test_scratch_is_empty_and_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding.tempfile, "gettempdir", lambda: str(tmp_path))
    with holding.scratch() as folder:
        (folder / "a").write_text("text")
    assert not list(tmp_path.iterdir())


def test_where_a_file_can_be_written_is_told_without_writing_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / "answers.json"
    writing.check_writable(path)
    assert list((tmp_path / "new").iterdir()) == []
    path.write_text("kept")
    writing.check_writable(path)
    assert path.read_text() == "kept"
    with pytest.raises(DeviceError, match=r"cannot write .*answers\.json/in/a/file"):
        writing.check_writable(path / "in" / "a" / "file")
    with pytest.raises(UsageError, match="is no file"):
        writing.check_writable(tmp_path / "new")
