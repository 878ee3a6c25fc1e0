from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from bstsearch import exchange, holding, writing
from bstsearch.errors import DeviceError, UsageError
from bstsearch.reading import read_json

MARKER = "manifest.json"
OWN = (MARKER, "old")


def replacing(path: Path) -> AbstractContextManager[Path]:
    return writing.writing_folder(path, marker=MARKER, own=OWN, is_forced=True)


def stop(*_arguments: object, **_more: object) -> None:
    raise KeyboardInterrupt


# Writing a file


def test_json_that_was_written_reads_back(tmp_path: Path) -> None:
    writing.write_json(tmp_path / "new" / "a.json", {"shares": [0.5, None], "name": "ä"})
    assert read_json(tmp_path / "new" / "a.json") == {"shares": [0.5, None], "name": "ä"}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.json"]


def test_nan_is_not_written(tmp_path: Path) -> None:
    writing.write_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        writing.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert read_json(tmp_path / "a.json") == {"x": 1}


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_new_file_gets_the_usual_permissions(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        writing.write_text(tmp_path / "a", "text")
        with writing.writing_folder(tmp_path / "folder", marker=MARKER, own=OWN):
            pass
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o777 & ~umask


def test_an_interrupted_file_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), writing.writing(path) as temporary:
        stop(temporary.write_text("half of the n"))
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("a", "old")]


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def no_space(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing.os, "replace", no_space)
    with pytest.raises(DeviceError, match=r"^cannot write .*a: No space left on device; nothing there was changed$"):
        writing.write_text(path, "new")
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("a", "old")]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "a", Path("/proc/a")):
        with pytest.raises(DeviceError, match=f"^cannot write {path}: "):
            writing.write_text(path, "text")
        with pytest.raises(DeviceError, match=f"^cannot write {path}: "), replacing(path):
            pass


def test_only_files_are_replaced_by_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(UsageError, match=f"{name} is there and is no file; give another name"):
            writing.write_text(tmp_path / name, "text")
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o440])
def test_what_is_replaced_leaves_its_permissions(tmp_path: Path, mode: int) -> None:
    path = existing(tmp_path / "out", "ours")
    for place in (tmp_path / "a", path / "old"):
        place.write_text("old")
        place.chmod(mode)
    writing.write_text(tmp_path / "a", "new")
    with writing.writing_together(path, last="old") as folder:
        (folder / "old").write_text("new")
    for place in (tmp_path / "a", path / "old"):
        assert (place.read_text(), stat.S_IMODE(place.stat().st_mode)) == ("new", mode)
    path.chmod(0o750)
    with replacing(path):
        pass
    assert stat.S_IMODE(path.stat().st_mode) == 0o750


def test_behind_a_link_the_file_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "old").write_text("old")
    for name, target in (("a", "disk/old"), ("b", "disk/none-yet")):
        (tmp_path / name).symlink_to(target)
        writing.write_text(tmp_path / name, "new")
        assert os.readlink(tmp_path / name) == target
        assert (tmp_path / target).read_text() == "new"
    assert sorted(found.name for found in (tmp_path / "disk").iterdir()) == ["none-yet", "old"]


def test_links_that_go_in_a_circle_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("a")
    with pytest.raises(UsageError, match="exists"), holding.holding(tmp_path / "a"):
        writing.check_free(tmp_path / "a", marker=MARKER, is_forced=False)


@pytest.mark.parametrize("name", ["n" * 255, "é" * 127])
def test_the_longest_names_are_names_like_others(tmp_path: Path, name: str) -> None:
    with holding.holding(tmp_path / name):
        for text in ("old", "new"):
            writing.write_text(tmp_path / name, text)
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [(name, "new")]
    (tmp_path / name).unlink()
    with replacing(existing(tmp_path / name, "ours")) as folder:
        (folder / "new").write_text("new")
    assert [found.name for found in tmp_path.iterdir()] == [name]
    assert [found.name for found in (tmp_path / name).iterdir()] == ["new"]


def test_bytes_are_on_the_disk_before_their_file_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    path = existing(tmp_path / "out", "ours")
    monkeypatch.setattr(writing.os, "fsync", full)
    refused = pytest.raises(DeviceError, match="No space left on device; nothing there was changed")
    with refused:
        writing.write_text(path / "old", "new")
    with refused, writing.writing_together(path, last="old") as folder:
        (folder / "old").write_text("new")
    with refused, replacing(path) as folder:
        (folder / "old").write_text("new")
    assert {found.name: found.read_text() for found in path.iterdir()} == {MARKER: "{}", "old": "old"}
    assert [found.name for found in tmp_path.iterdir()] == ["out"]


# Writing a folder


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "out"
    with writing.writing_folder(path, marker=MARKER, own=OWN) as temporary:
        (temporary / "a").write_text("new")
        assert not path.exists()
    assert [found.name for found in path.iterdir()] == ["a"]
    assert [found.name for found in path.parent.iterdir()] == ["out"]


def existing(path: Path, kind: str) -> Path:
    """`path` as one of our folders, as somebody else's, or as a file."""
    if kind == "file":
        path.write_text("old")
        return path
    path.mkdir()
    (path / "old").write_text("old")
    if kind == "ours":
        (path / MARKER).write_text("{}")
    return path


@pytest.mark.parametrize("kind", ["ours", "foreign", "file"])
def test_what_exists_is_refused_without_force(tmp_path: Path, kind: str) -> None:
    path = existing(tmp_path / "out", kind)
    with pytest.raises(UsageError, match=r"out exists; give --force to replace it, or another --out"):
        writing.check_free(path, marker=MARKER, is_forced=False)
    with pytest.raises(UsageError), writing.writing_folder(path, marker=MARKER, own=OWN):
        pytest.fail("the block ran")


@pytest.mark.parametrize("kind", ["foreign", "file"])
def test_what_is_not_ours_is_refused_even_with_force(tmp_path: Path, kind: str) -> None:
    path = existing(tmp_path / "out", kind)
    with pytest.raises(UsageError, match=r"out holds no manifest.json, so it is not ours to replace"):
        writing.check_free(path, marker=MARKER, is_forced=True)


def test_what_does_not_exist_is_not_refused(tmp_path: Path) -> None:
    writing.check_free(tmp_path / "out", marker=MARKER, is_forced=False)


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with writing.writing_folder(tmp_path / "out", marker=MARKER, own=OWN) as temporary:
        (temporary / "a").write_text("new")
    assert (tmp_path / "out" / "a").read_text() == "new"


def test_force_replaces_the_whole_folder(tmp_path: Path) -> None:
    path = existing(tmp_path / "out", "ours")
    with replacing(path) as temporary:
        (temporary / "new").write_text("new")
        assert (path / "old").read_text() == "old"
    assert [found.name for found in path.iterdir()] == ["new"]
    assert [found.name for found in tmp_path.iterdir()] == ["out"]


def test_an_interrupted_folder_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    path = existing(tmp_path / "out", "ours")
    with pytest.raises(KeyboardInterrupt), replacing(path) as temporary:
        stop((temporary / "new").write_text("new"))
    assert [found.name for found in tmp_path.iterdir()] == ["out"]
    assert (path / "old").read_text() == "old"


def test_the_first_free_path_is_where_nothing_lies(tmp_path: Path) -> None:
    assert writing.first_free(tmp_path / "a") == tmp_path / "a"
    (tmp_path / "a").mkdir()
    (tmp_path / "a-2").symlink_to("nowhere")
    assert writing.first_free(tmp_path / "a") == tmp_path / "a-3"


def test_what_somebody_put_into_a_folder_stays_when_it_is_replaced(tmp_path: Path) -> None:
    path = existing(tmp_path / "out", "ours")
    (path / "notes.md").write_text("mine")
    (path / "deep").mkdir()
    (path / "deep" / "link").symlink_to("nowhere")
    with replacing(path) as temporary:
        (temporary / "new").write_text("new")
    assert sorted(found.name for found in path.iterdir()) == ["deep", "new", "notes.md"]
    assert (path / "notes.md").read_text() == "mine"
    assert os.readlink(path / "deep" / "link") == "nowhere"


def test_the_current_folder_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(existing(tmp_path / "out", "ours"))
    with pytest.raises(UsageError, match="is the current folder"):
        writing.check_free(tmp_path / "out", marker=MARKER, is_forced=True)


def test_where_no_two_names_can_be_swapped_a_folder_is_replaced_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "swap", lambda *_: False)
    path = existing(tmp_path / "out", "ours")
    with replacing(path) as temporary:
        (temporary / "new").write_text("new")
    assert [found.name for found in path.iterdir()] == ["new"]
    assert [found.name for found in tmp_path.iterdir()] == ["out"]


def test_names_are_swapped_in_one_step_on_this_system(tmp_path: Path) -> None:
    one, other = existing(tmp_path / "one", "ours"), existing(tmp_path / "other", "foreign")
    assert exchange.swap(one, other)
    assert (other / MARKER).exists()
    assert not (one / MARKER).exists()
    with pytest.raises(FileNotFoundError):
        exchange.swap(one, tmp_path / "nowhere")


def test_of_a_folder_that_is_discarded_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writing.discard(existing(tmp_path / "out", "ours"))
    assert not list(tmp_path.iterdir())
    path = existing(tmp_path / "out", "ours")
    with monkeypatch.context() as patch:
        patch.setattr(writing.shutil, "rmtree", stop)
        with pytest.raises(KeyboardInterrupt):
            writing.discard(path)
    assert not path.exists()
    holding.tidy(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_behind_a_link_is_replaced_where_it_lies(tmp_path: Path) -> None:
    existing(tmp_path / "disk", "ours")
    (tmp_path / "out").symlink_to("disk")
    with replacing(tmp_path / "out") as temporary:
        (temporary / "new").write_text("new")
    assert (tmp_path / "out").is_symlink()
    assert [found.name for found in (tmp_path / "disk").iterdir()] == ["new"]
    assert sorted(found.name for found in tmp_path.iterdir()) == ["disk", "out"]


def test_what_cannot_be_written_in_a_new_folder_is_told_of_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(writing.os, "fsync", full)
    line = "^cannot write out/a: No space left on device; nothing there was changed$"
    for change in (replacing(Path("out")), writing.writing_together(Path("out"), last="a")):
        with pytest.raises(DeviceError, match=line), change as folder:
            writing.write_text(folder / "a", "text")


# Several files


def test_files_that_belong_together_change_together(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text("old")
    with writing.writing_together(tmp_path, last="a") as folder:
        for name in ("a", "b"):
            (folder / name).write_text("new")
        assert (tmp_path / "a").read_text() == "old"
    assert {found.name: found.read_text() for found in tmp_path.iterdir()} == {"a": "new", "b": "new", "c": "old"}


def test_what_fails_in_between_changes_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(KeyboardInterrupt), writing.writing_together(tmp_path, last="a") as folder:
        stop((folder / "a").write_text("new"))
    assert {found.name: found.read_text() for found in tmp_path.iterdir()} == {"a": "old"}


KILLED = """
import os, signal, sys
from pathlib import Path
from bstsearch import exchange, holding, writing

place, replace, done = Path(sys.argv[1]), os.replace, []

def replace_some(source, target):
    done.append(target)
    if len(done) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)

os.replace = replace_some
with writing.writing_together(place, last="a") as folder:
    for name in sys.argv[2]:
        (folder / name).write_text("new")
    if len(sys.argv[2]) < 3:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def kill_while_writing(place: Path, names: str) -> None:
    """A process that writes files of these names is killed: of three with one in place, of fewer before any is."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(place), names], check=False)
    assert done.returncode == -signal.SIGKILL


def test_an_exchange_of_files_that_was_cut_off_is_finished_by_the_next_command(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_text("old")
    kill_while_writing(tmp_path, "abc")
    assert sorted((tmp_path / name).read_text() for name in "bc") == ["new", "old"]
    assert (tmp_path / "a").read_text() == "old", "the one that comes last"
    holding.tidy(tmp_path)
    assert {found.name: found.read_text() for found in tmp_path.iterdir()} == dict.fromkeys("abc", "new")


def test_what_a_killed_process_left_is_removed_by_the_next_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    kill_while_writing(tmp_path, "ab")
    assert len(list(tmp_path.iterdir())) == 1
    (tmp_path / ".mine.part").write_text("no name of ours")
    with writing.writing(tmp_path / "x") as living:
        writing.write_text(tmp_path / "y", "text")
        assert sorted(found.name for found in tmp_path.iterdir()) == sorted([".mine.part", living.name, "y"])


def test_what_sqlite_kept_beside_a_file_goes_with_it_and_not_before(tmp_path: Path) -> None:
    dead = tmp_path / ".study.db.0123abcd.part-journal"
    dead.write_text("")
    with writing.writing(tmp_path / "study.db") as living:
        beside = living.with_name(f"{living.name}-journal")
        beside.write_text("")
        holding.tidy(tmp_path)
        assert sorted(found.name for found in tmp_path.iterdir()) == [living.name, beside.name]
        beside.unlink()
    assert [found.name for found in tmp_path.iterdir()] == ["study.db"]


def test_an_old_folder_comes_back_where_its_exchange_was_cut_off(tmp_path: Path) -> None:
    existing(tmp_path / ".out.0123abcd.old", "ours")
    (tmp_path / ".out.89abcdef.part").mkdir()
    holding.tidy(tmp_path)
    assert [found.name for found in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_waits_until_an_exchange_is_done(number: signal.Signals) -> None:
    seen: list[str] = []
    before = signal.signal(number, lambda *_: seen.append("handled"))
    try:
        with exchange.uninterrupted():
            signal.raise_signal(number)
            seen.append("done")
    finally:
        signal.signal(number, before)
    assert seen == ["done", "handled"]


def test_a_temporary_that_another_process_removes_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, removed = holding.fcntl.flock, list[str]()

    def remove_first(handle: int, how: int) -> None:
        if not removed:
            removed.extend(found.name for found in tmp_path.iterdir())
            holding._remove(tmp_path / removed[0])
        lock(handle, how)

    monkeypatch.setattr(holding.fcntl, "flock", remove_first)
    writing.write_text(tmp_path / "a", "text")
    assert len(removed) == 1
    removed.clear()
    (tmp_path / "a").unlink()
    with replacing(tmp_path / "out") as folder:
        (folder / "new").write_text("new")
    assert len(removed) == 1
    assert [found.name for found in tmp_path.iterdir()] == ["out"]


def test_while_a_folder_is_exchanged_nobody_takes_the_old_one_for_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def look_after(source: Path, target: Path) -> None:
        replace(source, target)
        holding.tidy(tmp_path)

    path = existing(tmp_path / "out", "ours")
    monkeypatch.setattr(writing, "swap", lambda *_: False)
    with replacing(path) as folder:
        (folder / "new").write_text("new")
        monkeypatch.setattr(writing.os, "replace", look_after)
    assert [found.name for found in path.iterdir()] == ["new"]
    assert [found.name for found in tmp_path.iterdir()] == ["out"]


def test_nobody_waits_for_a_pipe_with_the_name_of_a_temporary(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".a.0123abcd.part")
    holding.tidy(tmp_path)
    assert not list(tmp_path.iterdir())
