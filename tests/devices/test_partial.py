from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bstsearch.devices.partial import Partial
from bstsearch.errors import InputError

ORIGIN: dict[str, Any] = {"architecture": "a" * 16, "seed": 0, "runtime": {"threads": 2}}
ROUNDS: dict[str, list[tuple[float, ...]]] = {"w1-d1": [(1.0, 1.25), (1.5,)], "w1of2-d1": []}


def test_rounds_are_kept(tmp_path: Path) -> None:
    store = Partial(path=tmp_path / "new" / ".phone.partial", origin=ORIGIN)
    assert store.load() == {}
    store.save(ROUNDS)
    assert store.load() == ROUNDS
    assert [path.name for path in store.path.parent.iterdir()] == [".phone.partial"]


@pytest.mark.parametrize("change", [{"seed": 1}, {"architecture": "b" * 16}, {"runtime": {"threads": 1}}, {"new": 1}])
def test_rounds_of_another_origin_are_not_gone_on_with(change: dict[str, Any], tmp_path: Path) -> None:
    Partial(path=tmp_path / "rounds", origin=ORIGIN).save(ROUNDS)
    assert Partial(path=tmp_path / "rounds", origin=ORIGIN | change).load() == {}


def test_what_is_finished_is_removed(tmp_path: Path) -> None:
    store = Partial(path=tmp_path / "rounds", origin=ORIGIN)
    store.save(ROUNDS)
    store.remove()
    store.remove()  # there may be none
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "rounds").write_text('{"origin"')
    with pytest.raises(InputError, match=r"interrupted measurement .*rounds is no valid JSON"):
        Partial(path=tmp_path / "rounds", origin=ORIGIN).load()
