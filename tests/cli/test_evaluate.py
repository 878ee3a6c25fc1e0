from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bstsearch.errors import DeviceError
from bstsearch.model.supernet import Supernet
from bstsearch.space import Submodel
from bstsearch.tasks import load_split
from bstsearch.tasks.easy_vqa import EasyVqa
from bstsearch.tasks.evaluation import evaluate

Invoke = Callable[..., Any]


@pytest.fixture(autouse=True)
def _few_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = EasyVqa.split
    monkeypatch.setattr(EasyVqa, "split", lambda self, name, reader: whole(self, name, reader).head(20))


def test_named_submodels_are_scored_on_the_split_asked_for(invoke: Invoke, tiny_easy_folder: Path) -> None:
    args = ("--model", tiny_easy_folder, "--submodel", "w1of4-d1of4", "--submodel", "w1of2-d1", "--split", "test")
    result = invoke("eval", *args, "--json")
    assert result.exit_code == 0, result.stderr
    data = json.loads(result.stdout)
    assert data["split"] == "test"
    split = load_split(tiny_easy_folder, "test")
    for entry, name in zip(data["submodels"], ("w1of4-d1of4", "w1of2-d1"), strict=True):
        expected = evaluate(Supernet.load(tiny_easy_folder), Submodel.from_id(name), split)
        assert (entry["id"], entry["correct"], entry["questions"]) == (name, expected.correct, 20)


def test_all_scores_every_submodel_and_nothing_the_full_one(invoke: Invoke, tiny_easy_folder: Path) -> None:
    everything = invoke("eval", "--model", tiny_easy_folder, "--all")
    assert everything.exit_code == 0, everything.stderr
    ids = [submodel.id for submodel in Supernet.load(tiny_easy_folder).space]
    assert [line.split()[0] for line in everything.stdout.splitlines()[-len(ids) :]] == ids
    full = invoke("eval", "--model", tiny_easy_folder)
    assert full.stdout.splitlines()[-1].split()[0] == "w1-d1"


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("--submodel", "w1of3-d1"), 2, "no submodel 'w1of3-d1', but 10 submodels: widths 1/4, 1/2, 3/4, 1"),
        (("--submodel", "w1-d1", "--space", "elastic"), 2, "was not trained on all of the space 'elastic'"),
        (("--submodel", "large"), 2, "'large' is not a submodel id"),
        (("--split", "dev"), 2, "dev"),
    ],
)
def test_bad_names_are_one_clear_line(
    invoke: Invoke, tiny_easy_folder: Path, args: tuple[str, ...], code: int, message: str
) -> None:
    result = invoke("eval", "--model", tiny_easy_folder, *args)
    assert result.exit_code == code
    assert message in result.stderr


def test_a_missing_model_is_named(invoke: Invoke) -> None:
    result = invoke("eval", "--model", "nowhere")
    assert result.exit_code == 4
    assert "nowhere does not exist" in result.stderr


def test_where_results_cannot_go_is_told_before_anything_is_scored(
    invoke: Invoke, tiny_easy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def split(*_arguments: object) -> None:
        raise AssertionError("data were opened")

    monkeypatch.setattr(EasyVqa, "split", split)
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder").mkdir()
    for name, code in (("file", 2), ("folder", 2), ("file/answers.json", 5), ("x" * 300, 5)):
        result = invoke("eval", "--model", tiny_easy_folder, "--results", tmp_path / name)
        assert result.exit_code == code, result.stderr
        assert result.stderr.count("\n") == 1
    assert (tmp_path / "file").read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_results_file_that_fails_costs_only_itself(
    invoke: Invoke, tiny_easy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, _: object) -> None:
        raise DeviceError(f"cannot write {path}: No space left on device; nothing there was changed")

    monkeypatch.setattr("bstsearch.answering.evaluation.write_json", full)
    result = invoke("eval", "--model", tiny_easy_folder, "--results", "answers.json")
    assert result.exit_code == 0
    assert "warning: cannot write answers.json: No space left on device" in result.stderr
    assert result.stdout.splitlines()[-1].split()[0] == "w1-d1"
    assert not list(tmp_path.iterdir())


def test_data_that_come_with_a_package_are_read_from_no_folder(invoke: Invoke, tiny_easy_folder: Path) -> None:
    result = invoke("eval", "--model", tiny_easy_folder, "--data-dir", "somewhere")
    assert result.exit_code == 2
    assert "easy-vqa comes with its package and is read from no folder; leave out --data-dir" in result.stderr
