from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bstsearch.training_run
from bstsearch.data import load_split
from bstsearch.data.split import Split
from bstsearch.data.vocabulary import Vocabulary
from bstsearch.families.mcan import FAMILY, McanConfig
from bstsearch.supernet import Supernet

Invoke = Callable[..., Any]


@pytest.fixture
def train(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tiny_easy_config: McanConfig) -> Invoke:
    """`bstsearch train` on 24 questions with a tiny preset."""

    def little(vocabulary: Vocabulary, split: str) -> Split:
        return load_split(vocabulary, split).head(24)

    monkeypatch.setattr(bstsearch.training_run, "load_split", little)
    monkeypatch.setitem(FAMILY.presets, "mcan-easy-vqa", tiny_easy_config)
    options = ("--teacher-epochs", 1, "--epochs", 1, "--batch-size", 8, "--threads", 1, "--device", "cpu")
    return lambda *args: invoke("train", *options, *args)


def test_train_writes_a_supernet_with_card_and_accuracies(train: Invoke, tmp_path: Path) -> None:
    result = train("--out", "net")
    assert result.exit_code == 0, result.output
    assert "sandwich: step 3 of 3, running accuracy smallest" in result.stderr
    assert "bstsearch profile --supernet net" in result.stderr
    supernet = Supernet.load(tmp_path / "net")
    metrics = json.loads((tmp_path / "net/metrics.json").read_text())
    ids = [submodel.id for submodel in supernet.space]
    assert list(metrics["validation"]) == list(metrics["test"]) == ids
    assert metrics["recipe"]["epochs"] == 1
    card = (tmp_path / "net/README.md").read_text()
    assert all(f"`{submodel_id}`" in card for submodel_id in ids)
    assert "| seed | 0 |" in card
    assert Vocabulary.load(tmp_path / "net").data == "easy-vqa"
    assert (tmp_path / "net/training/sandwich-log.csv").read_text().count("\n") == 4


def test_json_prints_the_metrics_file(train: Invoke, tmp_path: Path) -> None:
    result = train("--out", "net", "--json")
    assert json.loads(result.stdout) == json.loads((tmp_path / "net/metrics.json").read_text())


def test_an_interrupted_training_goes_on(train: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(bstsearch.training_run, "_finish", interrupted)
        assert train("--out", "net").exit_code == 130
    assert not (tmp_path / "net/config.json").exists()
    resumed = train("--out", "net")
    assert resumed.exit_code == 0
    assert "step 3 of 3" not in resumed.stderr  # both stages were done; only the finish was left
    assert Supernet.load(tmp_path / "net").space


def test_a_finished_supernet_is_replaced_only_by_force(train: Invoke, tmp_path: Path) -> None:
    assert train("--out", "net").exit_code == 0
    before = (tmp_path / "net/model.safetensors").read_bytes()
    again = train("--out", "net", "--seed", 1)
    assert again.exit_code == 2
    assert "net exists; give --force" in again.stderr
    assert (tmp_path / "net/model.safetensors").read_bytes() == before
    assert train("--out", "net", "--seed", 1, "--force").exit_code == 0
    assert (tmp_path / "net/model.safetensors").read_bytes() != before


def test_not_even_force_replaces_a_folder_of_something_else(train: Invoke, tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/precious.txt").write_text("mine")
    result = train("--out", "net", "--force")
    assert result.exit_code == 2
    assert "not ours to replace" in result.stderr
    assert (tmp_path / "net/precious.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("--preset", "mcan-nothing"), 4, "unknown preset 'mcan-nothing'; mcan has mcan-vqa-v2"),
        (("--preset", "bert-easy-vqa"), 4, "unknown family 'bert'"),
        (("--epochs", "0"), 2, "epochs"),
        (("--device", "abacus"), 2, "abacus"),
    ],
)
def test_bad_requests_are_one_clear_line(train: Invoke, args: tuple[str, ...], code: int, message: str) -> None:
    result = train("--out", "net", *args)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr
