"""A data set in a file of the user's, from training to the exported folder; the package stays as it is."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import own_data
import pytest
from schemas import FOLDER, validator

from bstsearch import doors
from bstsearch.profiles.profile_file import save_profile
from bstsearch.searching.front_file import read_front

Invoke = Callable[..., Any]
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
    "image_side": 16,
    "stem_channels": [4, 4],
}
SHORT = ("--teacher-epochs", 1, "--epochs", 1, "--batch-size", 8, "--threads", 1, "--device", "cpu")
TOY = """
import dataclasses

import toy

TOY = dataclasses.replace(toy.FAMILY, name="toy", presets={"toy-small": toy.ToyConfig()})
"""


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """What the user named before is known no more, as in another process."""

    def forget() -> None:
        for known in ("_admitted", "_typed"):
            monkeypatch.setattr(doors, known, {})

    forget()
    return forget


@pytest.fixture
def done(invoke: Invoke) -> Invoke:
    """Runs a command, which must end well; what it prints on stdout."""

    def run(*args: Any) -> str:
        result = invoke(*args)
        assert result.exit_code == 0, result.stderr
        return str(result.stdout)

    return run


def test_a_csv_file_of_pictures_and_questions_is_trained_searched_exported_and_scored(
    invoke: Invoke, done: Invoke, tmp_path: Path, make_profile: Any, forget: Callable[[], None]
) -> None:
    own_data.write_pets(tmp_path / "pets")
    (tmp_path / "pets.py").write_text(own_data.code_of("Pets"))
    data = ("--data", "pets.py:Pets", "--data-dir", "pets")
    sizes = [part for name, value in TINY.items() for part in ("--set", f"{name}={json.dumps(value)}")]
    done("train", *data, "--preset", "mcan-easy-vqa", *sizes, *SHORT, "--out", "net")
    assert json.loads((tmp_path / "net/task.json").read_text())["from"] == "pets.py:Pets"
    save_profile(make_profile(tmp_path / "net"), tmp_path / "profiles")
    done("pareto", *data, "--supernet", "net", "--device", "local")
    done("export", *data[:2], "--pick", 1, "--out", "small")
    scored = json.loads(done("eval", "--model", "small", *data, "--split", "test", "--json"))
    assert scored["submodels"][0]["questions"] == 2 * own_data.ROWS["test"]
    done("ask", "is it red?", "--image", "pets/images/test-0.png", "--model", "small")
    forget()
    for model in ("net", "small"):  # no code is run that only a folder names
        result = invoke("eval", "--model", model, "--data-dir", "pets")
        assert result.exit_code == 4
        assert result.stderr.endswith("which is not known here; name it with --data pets.py:Pets\n")
        assert "pets" not in doors.names("task")


def test_numbers_without_words_or_classes_are_trained_searched_exported_and_scored(
    invoke: Invoke, done: Invoke, tmp_path: Path, make_estimated: Any
) -> None:
    (tmp_path / "sizes.py").write_text(own_data.code_of("Sizes"))
    (tmp_path / "small.py").write_text(TOY)
    family, data = ("--family", "small.py:TOY"), ("--data", "sizes.py:Sizes")
    text = done("train", *family, *data, "--preset", "toy-small", *SHORT, "--out", "net")
    assert "validation" in text
    metrics = json.loads((tmp_path / "net/metrics.json").read_text())
    assert metrics["metric"]["name"] == "error"
    assert metrics["recipe"]["name"] == "task"
    assert "Error in m (less is better) of 64 validation examples" in (tmp_path / "net/README.md").read_text()
    scored = json.loads(done("eval", *data, "--model", "net", "--all", "--json"))["submodels"]
    assert {one["id"]: one["accuracy"] for one in scored} == {
        name: pytest.approx(one["value"]) for name, one in metrics["validation"].items()
    }
    assert {one["correct"] for one in scored} == {None}
    save_profile(make_estimated(tmp_path / "net"), tmp_path / "profiles")
    done("pareto", *data, "--supernet", "net", "--device", "phone")
    front = read_front(tmp_path / "front/front.json").front
    errors = [one.score for one in front]
    assert min(errors) == min(one["accuracy"] for one in scored)
    done("export", *data, "--pick", "recommended", "--out", "out")
    done("eval", *data, "--model", "out", "--split", "test")


def test_less_may_be_better_from_training_to_the_exported_folder(
    invoke: Invoke, done: Invoke, tmp_path: Path, make_estimated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sizes", raising=False)
    for name in ("Sizes", "Perplexity"):
        (tmp_path / f"{name.lower()}.py").write_text(own_data.code_of(name))
    (tmp_path / "small.py").write_text(TOY)
    data = ("--data", "perplexity.py:Perplexity")
    done("train", "--family", "small.py:TOY", *data, "--preset", "toy-small", *SHORT, "--out", "net")
    save_profile(make_estimated(tmp_path / "net"), tmp_path / "profiles")
    search = ("pareto", *data, "--supernet", "net", "--device", "phone")
    assert "perplexity" in done(*search)
    front = read_front(tmp_path / "front/front.json")
    scores = [one.score for one in front.front]  # from cheap to dear
    assert scores == sorted(scores, reverse=True)
    every = json.loads(done("eval", *data, "--model", "net", "--all", "--json"))["submodels"]
    assert min(scores) == pytest.approx(min(one["accuracy"] for one in every))
    assert not any(one.score < min(scores) for one in front.candidates)
    assert "perplexity (lower is better)" in (tmp_path / "front/front.html").read_text()
    done(*search, "--min-accuracy", f"{min(scores) * 1.01:.6f}")
    assert read_front(tmp_path / "front/front.json").recommended.score <= min(scores) * 1.01
    result = invoke(*search, "--min-accuracy", "1.0")
    assert result.exit_code == 3
    assert "has perplexity at most 1; the nearest is" in result.stderr
    exported = json.loads(done("export", *data, "--pick", "recommended", "--out", "out", "--json"))
    validator(FOLDER / "export.json").validate(exported)
    bundle = json.loads(done("export", *data, "--elastic", "--pick", "recommended", "--out", "bundle", "--json"))
    validator(FOLDER / "export-elastic.json").validate(bundle)
    for scored in (exported, bundle["submodels"][0]):
        assert scored["accuracy"]["correct"] is None
        assert scored["accuracy"]["value"] > 1
    assert exported["metric"] == bundle["metric"]
    assert "Less perplexity is better." in (tmp_path / "out/README.md").read_text()


def test_a_task_without_targets_asks_for_a_teacher_and_then_needs_no_loss(
    invoke: Invoke, done: Invoke, tmp_path: Path
) -> None:
    code = own_data.code_of("Sizes")
    bare = code[: code.index("    def loss")].replace("targets=self.targets[part]", "targets=None")
    bare = bare.replace("    def score", "    has_targets = False\n\n    def score").replace('"sizes"', '"bare"')
    (tmp_path / "sizes.py").write_text(code)
    (tmp_path / "bare.py").write_text(bare.replace("class Sizes", "class Bare"))
    (tmp_path / "small.py").write_text(TOY)
    toy = ("train", "--family", "small.py:TOY", "--preset", "toy-small", *SHORT)
    result = invoke(*toy, "--data", "bare.py:Bare", "--out", "net")
    assert result.exit_code == 2
    assert "bare has no targets to train a teacher on; give one with --teacher DIR" in result.stderr
    done(*toy, "--data", "sizes.py:Sizes", "--out", "teacher")
    (tmp_path / "teacher/task.json").unlink()  # any supernet of the same sizes will do
    done(*toy, "--data", "bare.py:Bare", "--teacher", "teacher", "--out", "net")
    assert "no split: none has targets" in (tmp_path / "net/README.md").read_text()


def test_a_published_recipe_is_refused_where_there_are_no_classes(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "sizes.py").write_text(own_data.code_of("Sizes"))
    result = invoke("train", "--data", "sizes.py:Sizes", "--recipe", "bst", "--out", "net")
    assert result.exit_code == 2
    assert "the recipe bst has the loss bce, which is of classes, and sizes has none; leave out" in result.stderr
