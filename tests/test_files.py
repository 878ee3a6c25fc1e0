from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest

from bstsearch import files
from bstsearch.errors import DeviceError, InputError, UsageError

MARKER = "manifest.json"


def stop(*_arguments: object) -> None:
    raise KeyboardInterrupt


# Reading


def test_read_json(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"name": "ä"}', encoding="utf-8")
    assert files.read_json(tmp_path / "a.json", "thing") == {"name": "ä"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1', r"thing .*a\.json is no valid JSON .*; is it truncated\?"),
        (b"", r"thing .*a\.json is no valid JSON"),
        (b"[1, 2]", r"thing .*a\.json must hold a JSON object, not a list"),
        (b"\xff\xfe", r"thing .*a\.json cannot be read: .*utf-8"),
    ],
)
def test_malformed_json_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=message):
        files.read_json(tmp_path / "a.json", "thing")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"thing .*a\.json does not exist"):
        files.read_json(tmp_path / "a.json", "thing")
    with pytest.raises(InputError, match=r"a\.json cannot be read"):
        files.digest(tmp_path / "a.json")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        files.read_text(tmp_path, "thing")


# Writing a file


def test_json_that_was_written_reads_back(tmp_path: Path) -> None:
    files.write_json(tmp_path / "new" / "a.json", {"shares": [0.5, None], "name": "ä"})
    assert files.read_json(tmp_path / "new" / "a.json", "thing") == {"shares": [0.5, None], "name": "ä"}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.json"]


def test_nan_is_not_written(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert files.read_json(tmp_path / "a.json", "thing") == {"x": 1}


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_new_file_gets_the_usual_permissions(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        files.write_text(tmp_path / "a", "text")
        with files.writing_folder(tmp_path / "folder", marker=MARKER):
            pass
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o777 & ~umask


def test_an_interrupted_file_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), files.writing(path) as temporary:
        stop(temporary.write_text("half of the n"))
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("a", "old")]


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def no_space(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", no_space)
    with pytest.raises(DeviceError, match=r"^cannot write .*a: No space left on device; nothing there was changed$"):
        files.write_text(path, "new")
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("a", "old")]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "a", Path("/proc/a")):
        with pytest.raises(DeviceError, match=f"^cannot write {path}: "):
            files.write_text(path, "text")
        with pytest.raises(DeviceError, match=f"^cannot write {path}: "), files.writing_folder(path, marker=MARKER):
            pass


# Writing a folder


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "out"
    with files.writing_folder(path, marker=MARKER) as temporary:
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
        files.check_free(path, marker=MARKER, is_forced=False)
    with pytest.raises(UsageError), files.writing_folder(path, marker=MARKER):
        pytest.fail("the block ran")


@pytest.mark.parametrize("kind", ["foreign", "file"])
def test_what_is_not_ours_is_refused_even_with_force(tmp_path: Path, kind: str) -> None:
    path = existing(tmp_path / "out", kind)
    with pytest.raises(UsageError, match=r"out holds no manifest.json, so it is not ours to replace"):
        files.check_free(path, marker=MARKER, is_forced=True)


def test_what_does_not_exist_is_not_refused(tmp_path: Path) -> None:
    files.check_free(tmp_path / "out", marker=MARKER, is_forced=False)


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with files.writing_folder(tmp_path / "out", marker=MARKER) as temporary:
        (temporary / "a").write_text("new")
    assert (tmp_path / "out" / "a").read_text() == "new"


def test_force_replaces_the_whole_folder(tmp_path: Path) -> None:
    path = existing(tmp_path / "out", "ours")
    with files.writing_folder(path, marker=MARKER, is_forced=True) as temporary:
        (temporary / "new").write_text("new")
        assert (path / "old").read_text() == "old"
    assert [found.name for found in path.iterdir()] == ["new"]
    assert [found.name for found in tmp_path.iterdir()] == ["out"]


def test_an_interrupted_folder_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    path = existing(tmp_path / "out", "ours")
    with pytest.raises(KeyboardInterrupt), files.writing_folder(path, marker=MARKER, is_forced=True) as temporary:
        stop((temporary / "new").write_text("new"))
    assert [found.name for found in tmp_path.iterdir()] == ["out"]
    assert (path / "old").read_text() == "old"


# Digests


def test_a_digest_is_of_the_contents_in_order(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("1")
    other.write_text("2")
    both = hashlib.sha256(hashlib.sha256(b"1").digest() + hashlib.sha256(b"2").digest()).hexdigest()
    assert files.digest(one, other) == both[:16]
    assert files.digest(other, one) != files.digest(one, other)


def test_the_first_free_path_is_where_nothing_lies(tmp_path: Path) -> None:
    assert files.first_free(tmp_path / "a") == tmp_path / "a"
    (tmp_path / "a").mkdir()
    (tmp_path / "a-2").symlink_to("nowhere")
    assert files.first_free(tmp_path / "a") == tmp_path / "a-3"
