from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from crashing import contents
from synthetic import write_vqa_v2

import bstsearch.model.counting
import bstsearch.training.device
import bstsearch.training.precision
import bstsearch.training.run
from bstsearch.cli.output import Output
from bstsearch.cli.progress import Progress
from bstsearch.families.mcan import FAMILY, McanConfig
from bstsearch.holding import holding
from bstsearch.model.supernet import Supernet
from bstsearch.tasks.easy_vqa import EasyVqa
from bstsearch.tasks.fitting import fitted
from bstsearch.tasks.vocabulary import Vocabulary
from bstsearch.tasks.vqa_v2 import VqaV2

Invoke = Callable[..., Any]
COMPARING = "comparing larger with smaller submodels"
count_once = functools.cache(bstsearch.model.counting.count)  # the same ten submodels for every card


@pytest.fixture
def train(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tiny_easy_config: McanConfig) -> Invoke:
    """`bstsearch train` on 24 questions with a tiny preset."""

    whole = EasyVqa.split
    monkeypatch.setattr(EasyVqa, "split", lambda self, name, reader: whole(self, name, reader).head(24))
    monkeypatch.setitem(FAMILY.presets, "mcan-easy-vqa", tiny_easy_config)
    monkeypatch.setattr("bstsearch.model.counting.count", count_once)
    options = ("--teacher-epochs", 1, "--epochs", 1, "--batch-size", 8, "--threads", 1, "--device", "cpu")
    return lambda *args: invoke("train", *options, *args)


def test_train_writes_a_supernet_with_card_and_accuracies(train: Invoke, tmp_path: Path) -> None:
    result = train("--out", "net")
    assert result.exit_code == 0, result.output
    assert "bstsearch profile --supernet net" in result.stderr
    supernet = Supernet.load(tmp_path / "net")
    metrics = json.loads((tmp_path / "net/metrics.json").read_text())
    ids = [submodel.id for submodel in supernet.space]
    assert list(metrics["validation"]) == list(metrics["test"]) == ids
    assert metrics["recipe"]["name"] == "demo"
    assert metrics["recipe"]["sandwich.epochs"] == 1
    card = (tmp_path / "net/README.md").read_text()
    assert all(f"`{submodel_id}`" in card for submodel_id in ids)
    assert "| seed | 0 |" in card
    assert metrics["space"] == {"size": 10, "words": "10 submodels: widths 1/4, 1/2, 3/4, 1, depths 1/4, 1/2, 3/4, 1"}
    order = metrics["order"]
    assert (order["submodels"], order["rows"]) == (10, 24)
    assert 0 <= order["clearly_worse"] <= order["worse"] <= order["pairs"] == 40
    assert f"The space that was trained has {metrics['space']['words']}." in card
    worse = f"the larger one is worse in {order['worse'] / 0.4:.1f} %"
    assert f"Order: of 40 pairs of submodels, one within the other, {worse}, and" in " ".join(card.split())
    assert Vocabulary.load(tmp_path / "net").data == "easy-vqa"
    assert (tmp_path / "net/training/sandwich-log.csv").read_text().count("\n") == 4


class Seen(Progress):
    """What a command reports, in order."""

    def __init__(self) -> None:
        self.reports: list[tuple[object, ...]] = []

    def report(self, *args: Any) -> None:
        self.reports.append(args)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    seen = Seen()
    monkeypatch.setattr(Output, "progress", lambda self, text: contextlib.nullcontext(seen))
    return seen


def test_every_step_is_reported_and_then_the_scoring_of_every_submodel(train: Invoke, seen: Seen) -> None:
    result = train("--out", "net")
    assert result.exit_code == 0, result.output
    steps = [(stage, step, 3) for stage in ("teacher", "sandwich") for step in (1, 2, 3)]
    scoring = [("scoring", done, 20) for done in range(20)]
    comparing = [(COMPARING, done, 10) for done in range(10)]
    assert [report[:3] for report in seen.reports] == [*steps, *scoring, *comparing]
    news = str(seen.reports[5][3])
    assert re.fullmatch(r"running accuracy: smallest [\d.]+ %,( middle [\d.]+ %,)? largest [\d.]+ %", news)


def test_a_space_to_train_is_refused_before_anything_is_trained(train: Invoke, tmp_path: Path) -> None:
    """One that leaves the full model out, splits a head, or is of other stacks."""
    bad = {
        '{"widths": ["1/4", "1/2"]}': (2, "the space 'space.json' leaves the full model out, which teaches all others"),
        '{"layer_heads": ["3/8", "1"]}': (4, "space.json: encoder_heads=4 times 3/8 is not a whole number"),
        '{"depths": ["1/3", "1"]}': (4, "space.json: depth 1/3 of 4 layers is not a whole number of layers"),
        '{"stacks": [4, 4]}': (4, "space.json: object contains unknown field stacks"),
    }
    for text, (code, message) in bad.items():
        (tmp_path / "space.json").write_text(text)
        result = train("--out", "net", "--space", "space.json")
        assert (result.exit_code, result.stdout) == (code, "")
        assert message in result.stderr
        assert not (tmp_path / "net").exists()


def test_only_the_first_of_several_processes_tells_how_far_they_are(
    train: Invoke, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bstsearch.training.distributed.is_first_process", lambda: False)
    train("--out", "net")
    assert seen.reports == []


def test_json_prints_the_metrics_file(train: Invoke, tmp_path: Path) -> None:
    result = train("--out", "net", "--json")
    assert json.loads(result.stdout) == json.loads((tmp_path / "net/metrics.json").read_text())


def test_an_interrupted_training_goes_on(
    train: Invoke, tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(bstsearch.training.run, "_finish", interrupted)
        assert train("--out", "net").exit_code == 130
    assert not (tmp_path / "net/config.json").exists()
    seen.reports.clear()
    assert train("--out", "net").exit_code == 0
    assert {report[0] for report in seen.reports} == {
        "scoring",
        COMPARING,
    }  # both stages were done; only the finish was left
    assert Supernet.load(tmp_path / "net").space


def test_sizes_can_be_changed_but_not_in_the_middle(
    train: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(bstsearch.training.run, "_measure", interrupted)
        assert train("--out", "net", "--set", "dropout=0.25").exit_code == 130
    result = train("--out", "net")
    assert result.exit_code == 4
    assert "was trained with another model; --force starts over" in result.stderr
    assert train("--out", "net", "--set", "dropout=0.25").exit_code == 0
    assert Supernet.load(tmp_path / "net").config.dropout == 0.25


def test_a_finished_supernet_is_replaced_only_by_force(train: Invoke, tmp_path: Path) -> None:
    assert train("--out", "net").exit_code == 0
    before = (tmp_path / "net/model.safetensors").read_bytes()
    again = train("--out", "net", "--seed", 1)
    assert again.exit_code == 2
    assert "net exists; give --force" in again.stderr
    assert (tmp_path / "net/model.safetensors").read_bytes() == before
    assert train("--out", "net", "--seed", 1, "--force").exit_code == 0
    assert (tmp_path / "net/model.safetensors").read_bytes() != before


@pytest.mark.parametrize(
    "args",
    [
        ("--preset", "mcan-vqa-v2", "--data-dir", "nowhere"),
        ("--data-dir", "nowhere"),
        ("--preset", "mcan-nothing-easy-vqa"),
        ("--recipe", "cake"),
        ("--teacher", "nowhere"),
        ("--accumulate", 3),
        ("--threads", 100000),
        ("--set", "dropout=many"),
    ],
)
def test_what_is_refused_leaves_the_finished_supernet_as_it_is(
    train: Invoke, tmp_path: Path, tiny_easy_folder: Path, args: tuple[object, ...]
) -> None:
    shutil.copytree(tiny_easy_folder, tmp_path / "net")
    (tmp_path / "net/training").mkdir()
    (tmp_path / "net/training/sandwich-log.csv").write_text("step\n")
    before = contents(tmp_path)
    result = train("--out", "net", "--force", *args)
    assert result.exit_code in (2, 4)
    assert contents(tmp_path) == before


def test_a_forced_training_that_was_stopped_goes_on_beside_the_old_one(
    train: Invoke, seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train("--out", "net").exit_code == 0
    before = contents(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(bstsearch.training.run, "_measure", _interrupted)
        stopped = train("--out", "net", "--seed", 1, "--force")
    assert stopped.exit_code == 130
    assert "net stays as it is until the new supernet is complete; it is made in net.new" in stopped.stderr
    assert contents(tmp_path / "net") == {name[4:]: one for name, one in before.items() if name.startswith("net/")}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net", "net.new"]
    seen.reports.clear()
    assert train("--out", "net", "--seed", 1, "--force").exit_code == 0
    assert {report[0] for report in seen.reports} == {"scoring", COMPARING}
    assert [path.name for path in tmp_path.iterdir()] == ["net"]
    assert "| seed | 1 |" in (tmp_path / "net/README.md").read_text()


def test_force_discards_the_checkpoints_of_another_recipe(
    train: Invoke, seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(bstsearch.training.run, "_measure", _interrupted)
        assert train("--out", "net").exit_code == 130
    before = contents(tmp_path)
    refused = train("--out", "net", "--seed", 1)
    assert refused.exit_code == 4
    assert "was trained with another seed; --force starts over" in refused.stderr
    assert contents(tmp_path) == before
    seen.reports.clear()
    assert train("--out", "net", "--seed", 1, "--force").exit_code == 0
    assert {report[0] for report in seen.reports} == {"teacher", "sandwich", "scoring", COMPARING}


@pytest.mark.parametrize("damage", ["log", "checkpoint"])
def test_what_is_kept_and_damaged_is_refused_and_discarded_by_force(
    train: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(bstsearch.training.run, "_measure", _interrupted)
        assert train("--out", "net").exit_code == 130
    if damage == "log":
        path = tmp_path / "net/training/teacher-log.csv"
        path.write_text(path.read_text()[:-40])
    else:
        path = tmp_path / "net/training/sandwich-checkpoint.safetensors"
        path.write_bytes(path.read_bytes()[:1000])
    result = train("--out", "net")
    assert result.exit_code == 4
    assert str(Path(*path.parts[-3:])) in result.stderr
    assert train("--out", "net", "--force").exit_code == 0


@pytest.mark.parametrize("holds", ["config.json", "precious.txt"])
def test_somebody_s_folder_beside_the_old_one_is_not_taken(train: Invoke, tmp_path: Path, holds: str) -> None:
    assert train("--out", "net").exit_code == 0
    (tmp_path / "net.new").mkdir()
    (tmp_path / "net.new" / holds).write_text("mine")
    before = contents(tmp_path)
    result = train("--out", "net", "--force")
    assert result.exit_code == 2
    assert "net.new" in result.stderr
    assert contents(tmp_path) == before


def test_a_supernet_is_trained_into_the_current_folder(train: Invoke, tmp_path: Path) -> None:
    assert train("--out", ".").exit_code == 0
    assert Supernet.load(tmp_path).space
    refused = train("--out", ".", "--force")
    assert refused.exit_code == 2
    assert "is the current folder" in refused.stderr


def test_a_folder_that_another_process_trains_into_is_refused_at_once(train: Invoke, tmp_path: Path) -> None:
    with holding(tmp_path / "net"):
        result = train("--out", "net")
    assert result.exit_code == 2
    assert "net is being written by another process; wait until it ends, or give another --out" in result.stderr
    assert not list(tmp_path.iterdir())


def test_not_even_force_replaces_a_folder_of_something_else(train: Invoke, tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/precious.txt").write_text("mine")
    result = train("--out", "net", "--force")
    assert result.exit_code == 2
    assert "not ours to replace" in result.stderr
    assert (tmp_path / "net/precious.txt").read_text() == "mine"


def test_a_given_teacher_is_not_trained_again(train: Invoke, seen: Seen, tmp_path: Path) -> None:
    assert train("--out", "first").exit_code == 0
    seen.reports.clear()
    result = train("--out", "net", "--teacher", "first", "--recipe", "bst", "--accumulate", 2, "--precision", "bf16")
    assert result.exit_code == 0, result.output
    assert "teacher" not in {report[0] for report in seen.reports}
    metrics = json.loads((tmp_path / "net/metrics.json").read_text())
    assert metrics["recipe"]["teacher"].startswith("given, ")
    recipe = {name: metrics["recipe"][name] for name in ("name", "precision", "sandwich.accumulate")}
    assert recipe == {"name": "bst", "precision": "bf16", "sandwich.accumulate": 2}
    assert not any(name.startswith("teacher.") for name in metrics["recipe"])


@pytest.mark.parametrize("precision", ["bf16", "float32"])
@pytest.mark.parametrize("has_lstm", [True, False])
def test_what_bf16_lacks_here_is_said_in_one_line_and_done_in_float32(
    train: Invoke, monkeypatch: pytest.MonkeyPatch, precision: str, has_lstm: bool
) -> None:
    if has_lstm:  # nor does it matter then what the processor at hand has
        monkeypatch.setattr(bstsearch.training.run, "_run", lambda *args: {"validation": {}})
    for module in (bstsearch.training.precision, bstsearch.training.device):
        monkeypatch.setattr(module, "has_bf16_lstm", lambda device: has_lstm)
    monkeypatch.setattr(bstsearch.training.device, "bf16_slowdown", lambda device: 1.0)
    result = train("--out", "net", "--precision", precision)
    assert result.exit_code == 0, result.output
    line = "warning: torch has no LSTM in bf16 for this processor: it runs in float32, all else as asked"
    assert result.stderr.splitlines().count(line) == (precision == "bf16" and not has_lstm)


def test_a_device_that_is_not_there_or_cannot_is_refused_before_anything_is_read_or_written(
    train: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(EasyVqa, "build", lambda *args: pytest.fail("work has begun"))
    result = train("--out", "net", "--device", "cuda")
    assert (result.exit_code, result.stderr) == (
        5,
        "error: no CUDA device is available; --device cpu trains on the processor\n",
    )
    monkeypatch.setattr(bstsearch.training.precision, "has_bf16", lambda device: False)
    result = train("--out", "net", "--precision", "bf16")
    assert (result.exit_code, result.stderr) == (
        5,
        "error: cpu cannot compute in bf16 on this machine; give --precision float32\n",
    )
    assert not (tmp_path / "net").exists()


def test_a_teacher_of_other_sizes_or_data_is_refused(
    train: Invoke, tmp_path: Path, tiny_easy_folder: Path, tiny_easy_config: McanConfig
) -> None:
    wider = dataclasses.replace(tiny_easy_config, lstm_hidden=16)
    Supernet(FAMILY, wider).save(_folder(tmp_path / "wider"))
    result = train("--out", "net", "--teacher", "wider")
    assert result.exit_code == 4
    assert "teacher wider has lstm_hidden=16, the preset 8" in result.stderr
    result = train("--out", "net", "--teacher", tiny_easy_folder, "--data", "sort-of-clevr")
    assert result.exit_code == 4
    assert "is for easy-vqa, not sort-of-clevr" in result.stderr


def test_a_data_set_from_the_users_disk_decides_how_many_words_and_answers_there_are(
    tiny_easy_config: McanConfig,
) -> None:
    vocabulary = Vocabulary(data="vqa-v2", words=("is", "red"), answers=("yes", "no"), question_length=14)
    config = fitted(FAMILY, tiny_easy_config, VqaV2(vocabulary))
    assert (config.vocab, config.answers, config.question_length) == (4, 2, 14)
    assert config.hidden == tiny_easy_config.hidden


TINY = {
    "hidden": 16,
    "head_dim": 4,
    "encoder_heads": [4] * 4,
    "decoder_heads": [4] * 4,
    "encoder_ffn": [16] * 4,
    "decoder_ffn": [16] * 4,
    "word_dim": 4,
    "lstm_hidden": 8,
    "flat_mlp": 8,
    "flat_out": 16,
    "region_features": 8,
}


@pytest.mark.slow
def test_a_published_preset_is_trained_on_the_users_files(invoke: Invoke, tmp_path: Path) -> None:
    write_vqa_v2(tmp_path / "vqa", questions=40)
    sizes = [part for name, value in TINY.items() for part in ("--set", f"{name}={value}")]
    result = invoke(
        *("train", "--preset", "mcan-vqa-v2", "--data-dir", "vqa", "--out", "net", "--batch-size", 8, *sizes),
        *("--teacher-epochs", 1, "--epochs", 1, "--threads", 1),
    )
    assert result.exit_code == 0, result.stderr
    metrics = json.loads((tmp_path / "net/metrics.json").read_text())
    assert metrics["recipe"]["name"] == "bst"
    assert "test" not in metrics  # whose answers are kept back
    assert "| submodel | parameters | MACs | validation |\n" in (tmp_path / "net/README.md").read_text()
    assert Supernet.load(tmp_path / "net").config.answers == len(Vocabulary.load(tmp_path / "net").answers)
    scored = json.loads(invoke("eval", "--model", "net", "--all", "--data-dir", "vqa", "--json").stdout)
    assert {one["id"]: one["correct"] for one in scored["submodels"]} == {
        name: pytest.approx(one["correct"]) for name, one in metrics["validation"].items()
    }


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("--preset", "mcan-nothing-easy-vqa"), 4, "unknown preset 'mcan-nothing-easy-vqa'; this version knows"),
        (("--preset", "clip-vil-rn50x4"), 2, "is not named after a data set; say which with --data NAME"),
        (("--preset", "mcan-vqa-v2"), 2, "vqa-v2 is read from your disk; say where with --data-dir DIR"),
        (
            ("--data", "nothing"),
            4,
            "unknown task 'nothing'; known are easy-vqa, gqa, next-token, shapes, sort-of",
        ),
        (("--preset", "mcan-vqa-v2", "--data", "easy-vqa"), 4, "the preset has vocab=20572, but easy-vqa has 28"),
        (
            ("--recipe", "cake"),
            2,
            "unknown recipe 'cake'; there are demo, curriculum, shapes, bst, bst-gqa, uniter, clip-vil, task",
        ),
        (("--accumulate", "3"), 2, "a batch of 8 examples does not fall into 3 parts"),
        (("--precision", "int4"), 2, "int4"),
        (("--teacher", "nowhere"), 4, "nowhere does not exist"),
        (("--epochs", "0"), 2, "epochs"),
        (("--threads", "100000"), 2, "--threads 100000: this process may use at most "),
        (("--device", "abacus"), 2, "abacus"),
    ],
)
def test_bad_requests_are_one_clear_line(train: Invoke, args: tuple[str, ...], code: int, message: str) -> None:
    result = train("--out", "net", *args)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr
