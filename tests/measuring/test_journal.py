from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bstsearch.errors import InputError
from bstsearch.measuring.driver import Run
from bstsearch.measuring.journal import Journal

ORIGIN: dict[str, Any] = {"architecture": "a" * 16, "seed": 0, "runtime": {"threads": 2}}
ROUNDS = {
    "w1-d1": [(Run(1.0, 0.75, 2), Run(1.25)), (Run(1.5, None, 0), Run(2.0))],
    "w1of2-d1": [(Run(3.0),)],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that holds ROUNDS."""
    path = tmp_path / "new" / ".phone.partial"
    Journal(path=path, origin=ORIGIN).add(ROUNDS)
    return path


def test_rounds_are_kept(path: Path) -> None:
    assert Journal(path=path, origin=ORIGIN).load() == ROUNDS
    assert [file.name for file in path.parent.iterdir()] == [".phone.partial"]
    assert Journal(path=path.parent / "none", origin=ORIGIN).load() == {}


def test_each_round_is_written_once(path: Path) -> None:
    before, store = path.read_text(), Journal(path=path, origin=ORIGIN)
    more = {**store.load(), "w1of2-d1": [*ROUNDS["w1of2-d1"], (Run(4.0),)]}
    store.add(more)
    assert path.read_text().startswith(before)
    assert len(path.read_text().splitlines()) == len(before.splitlines()) + 1
    assert Journal(path=path, origin=ORIGIN).load() == more


def test_a_line_that_was_being_written_is_left_out(path: Path) -> None:
    with path.open("a") as file:
        file.write('{"visits": {"w1-d1": [[1.0, nu')
    assert Journal(path=path, origin=ORIGIN).load() == ROUNDS


@pytest.mark.parametrize("change", [{"seed": 1}, {"architecture": "b" * 16}, {"runtime": {"threads": 1}}, {"new": 1}])
def test_rounds_of_another_origin_are_not_gone_on_with(change: dict[str, Any], path: Path) -> None:
    store = Journal(path=path, origin=ORIGIN | change)
    assert store.load() == {}
    store.add({"w1-d1": [(Run(9.0),)]})
    assert Journal(path=path, origin=ORIGIN | change).load() == {"w1-d1": [(Run(9.0),)]}


def test_refused_rounds_are_kept_but_not_for_strict(path: Path) -> None:
    assert Journal(path=path, origin=ORIGIN).load(is_strict=True) == ROUNDS
    Journal(path=path, origin=ORIGIN).mark_refused()
    assert Journal(path=path, origin=ORIGIN).load() == ROUNDS
    assert Journal(path=path, origin=ORIGIN).load(is_strict=True) == {}


def test_rounds_of_an_earlier_version_are_not_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "rounds").write_text(json.dumps({"origin": ORIGIN, "rounds": {"w1-d1": [[1.0, 1.25]]}}) + "\n")
    assert Journal(path=tmp_path / "rounds", origin=ORIGIN).load() == {}


@pytest.mark.parametrize("text", ['{"origin"\n', "[]\n", '{"format": 3}\nnull\n{}\n'])
def test_a_damaged_file_is_an_input_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "rounds").write_text(text)
    with pytest.raises(
        InputError, match=r"interrupted measurement .*rounds, line [12], is no round; remove it to start anew"
    ):
        Journal(path=tmp_path / "rounds", origin=ORIGIN).load()
