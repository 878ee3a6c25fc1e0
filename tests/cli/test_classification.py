"""Stock classifiers of texts and pictures, by the commands of the documents; and what is refused."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import classifiers
import datasets
import pytest
import torch
import transformers

from bstsearch.model.supernet import Supernet
from bstsearch.profiles.profile_file import save_profile

Invoke = Callable[..., Any]
DOCUMENT = Path(__file__).parents[2] / "docs" / "transformers.md"
SHORT = ("--steps", 2, "--batch-size", 8, "--threads", 1, "--device", "cpu")


@pytest.fixture
def done(invoke: Invoke) -> Invoke:
    """Runs a command, which must end well; what it prints on stdout."""

    def run(*args: Any) -> str:
        result = invoke(*args)
        assert result.exit_code == 0, result.stderr
        return str(result.stdout)

    return run


def commands() -> list[list[str]]:
    """Those of the section, word by word."""
    section = DOCUMENT.read_text(encoding="utf-8").partition("## Classifiers of texts and pictures")[2]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return [shlex.split(line, comments=True)[1:] for line in block[1].splitlines()]


@pytest.mark.slow
def test_the_commands_of_the_document_do_what_it_says(done: Invoke, tmp_path: Path, make_profile: Any) -> None:
    classifiers.write_bert(tmp_path / "my-bert")
    classifiers.write_csv(tmp_path / "reviews" / "train.csv", classifiers.reviews(60))
    for words in commands():
        if words[0] == "profile":  # it would measure this machine
            save_profile(make_profile(tmp_path / "runs/slim"), tmp_path / "profiles")
        else:
            done(
                *words,
                *(SHORT if words[0] == "train" else ()),
                *(("--device", "local") if words[0] == "pareto" else ()),
            )
    stock = transformers.BertForSequenceClassification.from_pretrained(tmp_path / "small/stock").eval()
    inputs = transformers.AutoTokenizer.from_pretrained(tmp_path / "small/stock")(["a good film"], return_tensors="pt")
    with torch.no_grad():
        torch.testing.assert_close(Supernet.load(tmp_path / "small").model(**inputs), stock(**inputs).logits)


@pytest.mark.slow
def test_pictures_of_a_datasets_directory_train_a_new_model_with_their_classes(done: Invoke, tmp_path: Path) -> None:
    classifiers.write_vit(tmp_path / "vit", ("one", "two"))
    done("import", "--checkpoint", "vit", "--out", "net")
    files = [str(file) for file in sorted(classifiers.write_pictures(tmp_path / "p", 20).rglob("*.png"))]
    names = datasets.ClassLabel(names=list(classifiers.COLOURS))
    columns = {"image": files, "label": [names.str2int(Path(file).parent.name) for file in files]}
    made = datasets.Dataset.from_dict(columns, features=datasets.Features(image=datasets.Image(), label=names))
    made.train_test_split(0.2, seed=0).save_to_disk(tmp_path / "set")
    data = ("--data", "image-classification", "--data-dir", "set")
    epochs = ("--teacher-epochs", 6, "--epochs", 2, "--recipe", "task")
    done("train", "--preset", "net", *data, *epochs, *SHORT[2:], "--match", "layers", "--out", "trained")
    assert Supernet.load(tmp_path / "trained").config.settings["id2label"] == {"0": "blue", "1": "green", "2": "red"}
    assert json.loads((tmp_path / "trained/metrics.json").read_text())["recipe"]["match"] == "layers"
    scored = json.loads(done("eval", "--model", "trained", "--data-dir", "set", "--split", "test", "--json"))
    (largest,) = scored["submodels"]
    assert (largest["questions"], largest["accuracy"]) == (12, 1.0)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), 2, "text-classification is read from your disk; say where with --data-dir DIR"),
        (("--data-dir", "nowhere"), 4, "nowhere does not exist; give the folder of labelled examples"),
        (("--data-dir", "script"), 4, "script/imdb.py is code, which is never run; save its data by save_to_disk"),
        (("--data-dir", "one"), 4, "one/train.csv has one class only, 'pos'; add examples of another"),
    ],
)
def test_what_cannot_be_trained_on_is_one_line(
    words: tuple[str, ...], code: int, message: str, invoke: Invoke, tmp_path: Path
) -> None:
    (tmp_path / "script").mkdir()
    (tmp_path / "script/imdb.py").write_text("raise SystemExit")
    classifiers.write_csv(tmp_path / "one/train.csv", [(f"text {row}", "pos") for row in range(30)])
    result = invoke("train", "--preset", "mcan-easy-vqa", "--data", "text-classification", *words, "--out", "out")
    assert result.exit_code == code
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: {message}")
