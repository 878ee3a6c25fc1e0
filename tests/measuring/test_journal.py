from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bstsearch.errors import InputError
from bstsearch.measuring.driver import Run
from bstsearch.measuring.journal import FORMAT, Journal

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
    store = Journal(path=path, origin=ORIGIN)
    assert store.load() == ROUNDS
    more = {**ROUNDS, "w1of2-d1": [*ROUNDS["w1of2-d1"], (Run(4.0),)]}
    store.add(more)
    assert Journal(path=path, origin=ORIGIN).load() == more


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


HEAD = json.dumps({"format": FORMAT, "origin": ORIGIN})
REMEDY = "; remove the file, which holds an interrupted measurement"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"origin"', "line 1: malformed (Input data was truncated); is it truncated?"),
        ("[]", "line 1: expected object, got array"),
        ("", "line 1: empty"),
        ("[" * 200_000, "line 1: expected object, got array"),
        ('{"format": ' + "[" * 200_000, "line 1: nested too deep"),
        (f"{HEAD}\nnull\n{{}}", "line 2: expected object, got null"),
        (f'{HEAD}\n{{"visits": 5}}', "line 2, visits: expected object, got int"),
        (f'{HEAD}\n{{"visits": {{"a": [[1]]}}}}', "line 2, visits[...][0]: expected array of length 3"),
        (f'{HEAD}\n{{"visits": {{"a": [[0, 1, 1]]}}}}', "line 2, visits[...][0][0]: expected float > 0.0"),
        (f'{HEAD}\n{{"visits": {{"a": [["1", 1, 1]]}}}}', "line 2, visits[...][0][0]: expected float, got str"),
        (f'{HEAD}\n{{"visits": {{"a": [[1, 1, 0.5]]}}}}', "line 2, visits[...][0][2]: expected int | null, got float"),
        (f'{HEAD}\n{{"surprise": 1}}', "line 2: object contains unknown field surprise"),
    ],
)
def test_a_damaged_file_is_an_input_error(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "rounds").write_text(f"{text}\n")
    with pytest.raises(InputError) as caught:
        Journal(path=tmp_path / "rounds", origin=ORIGIN).load()
    assert str(caught.value) == f"{tmp_path / 'rounds'}, {problem}{REMEDY}"
