"""From a teacher and a file of texts to a supernet that is scored without labels, by the command line alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sentences
import torch

from bstsearch import doors
from bstsearch.model.supernet import Supernet
from bstsearch.space import Submodel
from bstsearch.tasks.evaluation import evaluate
from bstsearch.tasks.text import Text

Invoke = Callable[..., Any]
FILE = f"{sentences.__file__}:FAMILY"


@pytest.fixture
def train(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Trains for three steps into ./net, by the teacher in ./teacher on the texts in ./lines.txt."""
    monkeypatch.setattr(doors, "_admitted", {})
    monkeypatch.setitem(doors._admitted, ("family", "sentences"), sentences.FAMILY)
    sentences.write_teacher(tmp_path / "teacher")
    sentences.write_lines(tmp_path / "lines.txt")
    options = ["--family", FILE, "--preset", "sentences-small", "--out", "net", "--data", "lines.txt"]
    options += ["--steps", "3", "--batch-size", "8"]
    return lambda *args: invoke("train", *options, *args)


def test_texts_and_a_teacher_make_a_supernet_that_is_scored_without_them(
    train: Invoke, invoke: Invoke, tmp_path: Path
) -> None:
    assert train("--teacher", "teacher").exit_code == 0
    metrics = json.loads((tmp_path / "net" / "metrics.json").read_text())
    assert metrics["metric"]["name"] == "rank correlation"
    assert metrics["recipe"]["order"] == "importance"
    assert metrics["recipe"]["sandwich.steps"] == 3
    assert all(-1 <= row["low"] <= row["value"] <= row["high"] <= 1 for row in metrics["test"].values())
    assert "# A slimmable SENTENCES trained on text" in (tmp_path / "net" / "README.md").read_text()
    (tmp_path / "lines.txt").unlink()
    found = json.loads(invoke("eval", "--model", "net", "--split", "test", "--json").stdout)
    assert found["submodels"][0]["accuracy"] == pytest.approx(metrics["test"]["w1-d1"]["value"], abs=1e-6)


def test_the_order_is_the_teachers_own_where_none_is_asked_for(train: Invoke, tmp_path: Path) -> None:
    assert train("--teacher", "teacher", "--order", "none").exit_code == 0
    assert Supernet.load(tmp_path / "net").config.keep_order == ()
    assert "order" not in json.loads((tmp_path / "net" / "metrics.json").read_text())["recipe"]


def test_an_ordered_supernet_begins_as_its_teacher(
    train: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bstsearch.training.optimizers.Stepper.step", lambda self, position: 0.0)
    assert train("--teacher", "teacher").exit_code == 0
    supernet = Supernet.load(tmp_path / "net")
    assert sorted(supernet.config.keep_order) == [0, 1, 2, 3]
    split = Text.load(tmp_path / "net", None).split("test", supernet.family.reader(supernet.config))
    assert evaluate(supernet, Submodel(), split).value == pytest.approx(1.0, abs=1e-6)
    teacher = Supernet.load(tmp_path / "teacher")
    assert not torch.equal(supernet.model.words.weight, teacher.model.words.weight)


def test_several_processes_cannot_find_one_order(train: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bstsearch.training.run.process_count", lambda: 2)
    result = train("--teacher", "teacher")
    assert result.exit_code == 2
    assert "each of several processes would find an order of its own; give --order none" in result.stderr


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        ((), 2, "text has no labels to train a teacher on; give the folder of a pretrained one with --teacher"),
        (("--order", "importance"), 2, "--order importance is for pretrained weights; give the folder that holds them"),
        (("--teacher", "teacher", "--data-dir", "."), 2, "says already where the text is; leave out --data-dir"),
        (("--teacher", "teacher", "--data", "none.txt"), 4, "unknown task 'none.txt'"),
    ],
)
def test_bad_requests_are_one_clear_line(train: Invoke, args: tuple[str, ...], code: int, message: str) -> None:
    result = train(*args)
    assert result.exit_code == code
    assert message in " ".join(result.stderr.split())
    assert not Path("net").exists() or not list(Path("net").iterdir())
