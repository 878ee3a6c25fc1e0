from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bstsearch import doors
from bstsearch.errors import InputError, UsageError

TOY = """
from types import SimpleNamespace

Toy = SimpleNamespace(name="toy")
nameless = object()
taken = SimpleNamespace(name="mcan")
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of one's own; what it makes known is forgotten afterwards."""
    path = tmp_path / "toy.py"
    path.write_text(TOY)
    return path


def test_the_package_s_own_come_in_by_entry_points() -> None:
    assert doors.names("family") == ["clip_vil", "hugging_face", "mcan", "uniter"]
    assert doors.get("family", "mcan").name == "mcan"


def test_a_file_s_thing_is_known_by_its_name_once_the_user_has_named_it(toy: Path) -> None:
    with pytest.raises(InputError, match=r"unknown family 'toy'; known are .*mcan"):
        doors.get("family", "toy")
    assert doors.admit("family", f"{toy}:Toy") == "toy"
    assert doors.get("family", "toy").name == "toy"
    assert doors.names("family")[-1] == "toy"


def test_a_name_stays_what_it_is() -> None:
    assert doors.admit("task", "easy-vqa") == "easy-vqa"


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("Tiny", InputError, "toy.py defines no 'Tiny', but SimpleNamespace, Toy, nameless, taken"),
        ("nameless", UsageError, "has no name; give it one"),
        ("taken", UsageError, "there is a family named 'mcan' already"),
    ],
)
def test_what_is_none_is_refused(toy: Path, name: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        doors.admit("family", f"{toy}:{name}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ny = x.z\n", "line 2: AttributeError: 'int' object has no attribute 'z'"),
        ("def f(:\n", "line 1: SyntaxError"),
        ("import nosuchpackage\n", "line 1: ModuleNotFoundError: No module named 'nosuchpackage'"),
    ],
)
def test_a_file_that_fails_says_where(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"broken.py cannot be run: {message}"):
        doors.admit("task", f"{path}:Task")


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone.py is no Python file that exists"):
        doors.admit("task", f"{tmp_path / 'gone.py'}:Task")


def test_a_file_may_use_its_neighbours(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (toy.parent / "neighbour_of_toy.py").write_text("NAME = 'near'\n")
    (toy.parent / "near.py").write_text(
        "from types import SimpleNamespace\nfrom neighbour_of_toy import NAME\nNear = SimpleNamespace(name=NAME)\n"
    )
    assert doors.admit("task", f"{toy.parent / 'near.py'}:Near") == "near"
