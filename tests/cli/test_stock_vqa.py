"""A stock VQA model from scratch: imported without weights, trained, searched, exported and asked, by commands."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import own_data
import pytest
import torch
import transformers
from folders import seeing_inspection, write_seeing
from starlette.testclient import TestClient

from bstsearch import doors
from bstsearch.answering.bundle_folder import read_bundle
from bstsearch.errors import InputError
from bstsearch.model.supernet import Supernet
from bstsearch.profiles.profile_file import save_profile
from bstsearch.serving.app import make_app
from bstsearch.serving.server import Options, make_service
from bstsearch.stock.family import FAMILY
from bstsearch.stock.processing import Processor
from bstsearch.tasks.easy_vqa import EasyVqa

Invoke = Callable[..., Any]
ROOT = Path(__file__).parents[2]
DATA = ("--data", "pets.py:Pets", "--data-dir", "pets")
SHORT = ("--teacher-epochs", 1, "--epochs", 1, "--batch-size", 8, "--threads", 1, "--device", "cpu")
IMAGE = "pets/images/test-0.png"
ANSWERS = ["blue", "green", "no", "red", "yes"]


@pytest.fixture
def done(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs a command in a folder with a stock model and data, which must end well; what it prints on stdout."""
    for known in ("_admitted", "_typed"):
        monkeypatch.setattr(doors, known, {})
    monkeypatch.setattr("bstsearch.stock.importing.inspect", seeing_inspection)
    write_seeing(tmp_path / "vilt")
    own_data.write_pets(tmp_path / "pets")
    (tmp_path / "pets.py").write_text(own_data.code_of("Pets"))

    def run(*args: Any) -> str:
        result = invoke(*args)
        assert result.exit_code == 0, result.stderr
        return str(result.stdout)

    return run


def test_a_vqa_model_is_imported_without_weights_trained_searched_exported_and_asked(
    done: Invoke, invoke: Invoke, tmp_path: Path, make_profile: Any
) -> None:
    told = done("import", "--checkpoint", "vilt", "--out", "empty", "--random")
    assert "ViltForQuestionAnswering in empty" in told
    done("train", *DATA, "--preset", "empty", *SHORT, "--out", "net")
    config = Supernet.load(tmp_path / "net").config
    assert list(config.settings["id2label"].values()) == ANSWERS
    assert (tmp_path / "net/stock/tokenizer.json").exists()
    save_profile(make_profile(tmp_path / "net"), tmp_path / "profiles")
    done("pareto", *DATA, "--supernet", "net", "--device", "local")
    done("export", *DATA[:2], "--pick", 1, "--out", "small")
    scored = json.loads(done("eval", "--model", "small", *DATA, "--split", "test", "--json"))
    assert scored["submodels"][0]["questions"] == 2 * own_data.ROWS["test"]
    replies = [
        json.loads(
            done(
                "ask", "is it red?", "--image", "pets/images/test-0.png", "--model", model, "--top", 5, "--json", *more
            )
        )
        for model, more in (("small", ()), ("net", ("--submodel", scored["submodels"][0]["id"])))
    ]
    assert {one["answer"] for one in replies[0]["answers"]} == set(ANSWERS)
    for one, other in zip(*(reply["answers"] for reply in replies), strict=True):
        assert one["answer"] == other["answer"]
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-5)
    assert json.loads((tmp_path / "small/preprocessor.json").read_text())["processor"] == "stock"
    _check_stock(tmp_path)
    _check_served(done, tmp_path, replies[0])
    (tmp_path / "small/stock/tokenizer.json").write_text("{}")
    result = invoke("ask", "is it red?", "--image", IMAGE, "--model", "small")
    assert (result.exit_code, "small/stock/tokenizer.json is not the file that was exported" in result.stderr) == (
        4,
        True,
    )


def _check_served(done: Invoke, folder: Path, expected: dict[str, Any]) -> None:
    """A server of a bundle reads pictures and questions by the model's own processor, in several threads."""
    done("export", *DATA[:2], "--elastic", "--pick", 1, "--out", "bundle")
    _check_digests(folder / "bundle")
    service = make_service(read_bundle(folder / "bundle"), Options(bundle=folder / "bundle", threads=2))
    image = (folder / IMAGE).read_bytes()
    questions = ["is it red?", "is it red or is it blue?"] * 8
    with TestClient(make_app(service)) as client, ThreadPoolExecutor(4) as pool:

        def ask(question: str) -> Any:
            return client.post("/ask", data={"question": question, "top": 5}, files={"image": image}).json()

        answers = [reply["answers"] for reply in pool.map(ask, questions)]
    assert answers[0::2] == [answers[0]] * 8
    assert answers[1::2] == [answers[1]] * 8
    for one, other in zip(answers[0], expected["answers"], strict=True):
        assert one == {"answer": other["answer"], "probability": pytest.approx(other["probability"], abs=1e-5)}


def _check_digests(bundle: Path) -> None:
    """What came with the model is held against its digests, too."""
    own = {file.relative_to(bundle).as_posix() for file in bundle.rglob("*") if file.is_file()}
    assert json.loads((bundle / "elastic.json").read_text())["files"].keys() == own - {"README.md", "elastic.json"}
    for name in ("stock/tokenizer.json", "inspection.json"):
        content = (bundle / name).read_bytes()
        (bundle / name).write_bytes(content + b" ")
        with pytest.raises(InputError, match=f"{name} is not the file that was exported with this bundle; export the"):
            read_bundle(bundle)
        (bundle / name).write_bytes(content)


def _check_stock(folder: Path) -> None:
    """The exported stock folder reads and answers by transformers alone, as the supernet's submodel does."""
    stock = folder / "small" / "stock"
    model = transformers.ViltForQuestionAnswering.from_pretrained(stock).eval()
    assert list(model.config.id2label.values()) == ANSWERS
    tokens = transformers.AutoTokenizer.from_pretrained(stock)(["is it red?"], return_tensors="pt")
    side = model.config.image_size
    picture = torch.zeros(side, side, 3, dtype=torch.uint8).numpy()
    pixels = transformers.AutoImageProcessor.from_pretrained(stock)([picture], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        found = model(**tokens, pixel_values=pixels).logits
        own = Supernet.load(folder / "small").model
        inputs = {**Processor.beside(Supernet.load(folder / "small").config, folder / "small").texts(["is it red?"])}
        torch.testing.assert_close(own(**inputs, pixel_values=pixels), found, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_the_commands_of_the_guide_run(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs" / "stock_vqa.md").read_text(encoding="utf-8")
    lines = re.findall(r"^(?:bstsearch|python) .*", text.partition("```sh")[2].partition("```")[0], re.MULTILINE)
    whole = EasyVqa.split
    monkeypatch.setattr(EasyVqa, "split", lambda task, name, reader: whole(task, name, reader).head(24))
    for line in lines:
        program, *words = shlex.split(line, comments=True)
        if program == "python":
            monkeypatch.setattr(sys, "argv", words)
            runpy.run_path(str(ROOT / words[0]), run_name="__main__")
        else:
            result = invoke(*(str(ROOT / word) if word.startswith("docs/") else word for word in words))
            assert result.exit_code == 0, (line, result.stderr)
    model = transformers.ViltForQuestionAnswering.from_pretrained(tmp_path / "my-small" / "stock")
    assert sorted(model.config.id2label.values())[-1] == "yes"


def test_what_is_missing_or_does_not_fit_is_one_line(done: Invoke, invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("import", "--checkpoint", "vilt", "--out", "empty")
    assert result.exit_code == 4
    assert result.stderr == "error: vilt has no weights; copy them there, or give --random to train from scratch\n"
    done("import", "--checkpoint", "vilt", "--out", "empty", "--random")
    (tmp_path / "empty/stock/processor_config.json").unlink()
    result = invoke("train", *DATA, "--preset", "empty", *SHORT, "--out", "net")
    assert result.exit_code == 4
    assert "empty/stock has no image processor, as preprocessor_config.json or processor_config.json; " in result.stderr
    done("import", "--checkpoint", "vilt", "--out", "empty", "--random", "--force")
    result = invoke("train", *DATA, "--preset", "empty", "--teacher", "empty", *SHORT, "--out", "net")
    assert result.exit_code == 4
    assert "tells 2 classes apart, but the data have 5" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_stock_folder_in_place_of_a_supernets_is_told_how_to_become_one(done: Invoke, invoke: Invoke) -> None:
    for command in (("train", "--preset", "vilt", *DATA, "--out", "net"), ("profile", "--supernet", "vilt")):
        result = invoke(*command)
        assert result.exit_code == 4
        assert result.stderr == (
            "error: vilt is a Hugging Face model; 'bstsearch import --checkpoint vilt --out DIR' makes a supernet of "
            "it, with --random one without its weights\n"
        )
    result = invoke("import", "--checkpoint", "pets.py", "--out", "net", "--random")
    assert result.exit_code == 2
    assert "pets.py is a file, and --random is for folders of Hugging Face models; leave it out" in result.stderr


def test_random_weights_are_the_same_each_time(done: Invoke, tmp_path: Path) -> None:
    for name in ("one", "two"):
        done("import", "--checkpoint", "vilt", "--out", name, "--random")
    one, two = (Supernet.load(tmp_path / name) for name in ("one", "two"))
    assert one.family is FAMILY
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert one.model.model.vilt.embeddings.text_embeddings.word_embeddings.weight.std() > 0.01
