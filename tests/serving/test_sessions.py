from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bstsearch.answering.bundle_folder import read_bundle
from bstsearch.serving.limits import BrokenError
from bstsearch.serving.sessions import Sessions, measure

MEGABYTE = 1_000_000


@dataclasses.dataclass
class Folder:
    """A bundle of submodels a, b and c, each with a session of ten megabytes, and what was opened."""

    path: Path
    opened: list[str] = dataclasses.field(default_factory=list)
    closed: list[str] = dataclasses.field(default_factory=list)

    @property
    def bundle(self) -> Any:
        return SimpleNamespace(submodels=[SimpleNamespace(id=name, file=f"{name}.onnx") for name in "abc"])

    def open(self, path: Path, threads: int) -> Any:
        self.opened.append(path.stem)
        return Session(self, path.stem)

    def private_bytes(self) -> int:
        return 10 * MEGABYTE * (len(self.opened) - len(self.closed))

    def sessions(self, most: int | None) -> Sessions:
        options: Any = {"opening": self.open, "private_bytes": self.private_bytes}
        return Sessions(self, most_bytes=most, **options)  # type: ignore[arg-type]


class Session:
    """Counts its runs, and tells when it goes."""

    def __init__(self, folder: Folder, name: str) -> None:
        self._folder, self._name, self.runs = folder, name, 0

    def run(self, _names: None, _inputs: Any) -> list[str]:
        self.runs += 1
        return [self._name]

    def __del__(self) -> None:
        self._folder.closed.append(self._name)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_each_is_opened_once(folder: Folder) -> None:
    sessions = folder.sessions(None)
    for name in "abcabc":
        sessions.get(name)
    assert folder.opened == ["a", "b", "c"]
    assert sessions.resident == dict.fromkeys("abc", 10 * MEGABYTE)


def test_those_used_longest_ago_go_and_the_kept_one_stays(folder: Folder) -> None:
    sessions = folder.sessions(25 * MEGABYTE)
    sessions.keep("a")
    for name in "bc":
        sessions.get(name)
    assert (folder.closed, list(sessions.resident)) == (["b"], ["a", "c"])
    sessions.get("b")
    assert (folder.closed, list(sessions.resident)) == (["b", "c"], ["a", "b"])


def test_one_runs_even_where_none_fits(folder: Folder) -> None:
    sessions = folder.sessions(5 * MEGABYTE)
    assert sessions.get("b").run(None, {}) == ["b"]
    assert sessions.get("c").run(None, {}) == ["c"]
    assert list(sessions.resident) == ["c"]


def test_loading_counts_for_those_that_went(folder: Folder) -> None:
    sessions = folder.sessions(25 * MEGABYTE)
    sessions.keep("a")
    for name in "bc":
        sessions.get(name)
    assert sessions.loading("b") > 0
    assert sessions.loading("a") == sessions.loading("c") == 0


def test_all_are_timed_and_one_may_be_kept_then(folder: Folder) -> None:
    sessions = folder.sessions(25 * MEGABYTE)
    seconds = measure(sessions, {}, ("c", "b", "a"))
    assert list(seconds) == ["c", "b", "a"]
    assert folder.opened == ["a", "b", "c"]
    sessions.keep("a")
    assert list(sessions.resident) == ["c", "a"]


def test_what_others_take_meanwhile_is_not_counted(folder: Folder) -> None:
    sessions = folder.sessions(15 * MEGABYTE)
    for name in "ab":
        sessions.get(name)
    folder.opened += ["picture"] * 30
    sessions.get("a")
    assert sessions.resident == {"a": 10 * MEGABYTE}


def test_a_file_that_was_replaced_is_not_opened(folder: Folder) -> None:
    graphs = [folder.path / f"{name}.onnx" for name in "abc"]
    for path in (folder.path / "weights.bin", *graphs):
        path.write_bytes(b"1")
    sessions = folder.sessions(None)
    sessions.get("a")
    graphs[1].write_bytes(b"22")
    assert sessions.get("a").run(None, {}) == ["a"]
    with pytest.raises(BrokenError, match="the bundle has changed since the server began"):
        sessions.get("c")


def test_a_real_bundle_gives_what_each_submodel_gives(bundle_folder: Path) -> None:
    sessions = Sessions(read_bundle(bundle_folder))
    assert sessions.get("w1of4-d1of4") is sessions.get("w1of4-d1of4")
    assert sessions.get("w1of2-d1of2").get_outputs()[0].name == "logits"
