from __future__ import annotations

import json
from pathlib import Path

import pytest

import bstsearch
from bstsearch.errors import UsageError
from bstsearch.listener import Listener

pytestmark = pytest.mark.usefixtures("few_questions")


class Heard(Listener):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, line: str) -> None:
        self.notes.append(line)


def test_a_row_is_exported_and_what_was_taken_is_told(
    easy_front: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    heard = Heard()
    exported = bstsearch.export(2, front=easy_front, listener=heard)
    assert heard.notes[0].startswith(f"took w1of2-d1of2 (row 2 of {easy_front})")
    assert (exported.path, exported.pick.row) == (Path("export/w1of2-d1of2"), 2)
    manifest = json.loads((exported.path / "manifest.json").read_text())
    assert exported.to_json() == {"path": "export/w1of2-d1of2", **manifest}
    with pytest.raises(UsageError, match="exists"):  # called again, it is still the function
        bstsearch.export(2, front=easy_front)


def test_the_recommended_one_is_taken_where_none_is_named(easy_front: Path, tmp_path: Path) -> None:
    exported = bstsearch.export(front=str(easy_front), out=str(tmp_path / "out"))
    assert exported.pick.candidate.id == json.loads(easy_front.read_text())["recommended"]


def test_an_exported_model_is_asked_by_a_function(exported_folder: Path, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (90, 30), "red").save(tmp_path / "a.png")
    reply = bstsearch.ask("what colour is it?", str(tmp_path / "a.png"), model=str(exported_folder), top=2)
    assert (reply.submodel, len(reply.answers)) == ("w1of2-d1of2", 2)
    assert list(reply.to_json()) == ["submodel", "answers", "time_ms", "runtime"]
    with pytest.raises(UsageError, match="holds one submodel"):
        bstsearch.ask("what colour is it?", tmp_path / "a.png", model=exported_folder, budget_ms=1)
