from __future__ import annotations

import pytest

from bstsearch import doors
from bstsearch.cli.hints import with_files


def test_hints_name_the_files_of_one_s_own_again(monkeypatch: pytest.MonkeyPatch) -> None:
    named = {("family", "toy"): "toy.py:FAMILY", ("task", "pets"): "my pets.py:Pets"}
    monkeypatch.setattr(doors, "_typed", named)
    assert with_files("next: bstsearch profile --supernet x") == (
        "next: bstsearch profile --supernet x --family toy.py:FAMILY"
    )
    assert with_files("next: bstsearch eval --data pets").endswith("eval --data pets --family toy.py:FAMILY")
    assert with_files("next: bstsearch export --pick 1").endswith("--family toy.py:FAMILY --data 'my pets.py:Pets'")
    assert with_files("no command at all") == "no command at all"
