from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import golden, weights

from bstsearch.model.supernet import Supernet
from bstsearch.model.supernet_folder import read_folder
from bstsearch.tasks.vocabulary import Vocabulary

Invoke = Callable[..., Any]
WORDS = {name: index for index, name in enumerate(("PAD", "UNK", "CLS", *(f"word{index}" for index in range(47))))}
ANSWERS = {f"answer {index}": index for index in range(30)}


@pytest.fixture
def args(tmp_path: Path) -> tuple[object, ...]:
    """Imports the golden MCAN."""
    path = tmp_path / "epoch15.pkl"
    torch.save({"state_dict": weights("mcan"), "optimizer": {}, "lr_base": 1e-4, "epoch": 15}, path)
    return ("import", "--family", "mcan", "--checkpoint", path, "--heads", 4, "--out", "runs/bst")


def test_a_checkpoint_becomes_a_supernet_folder(invoke: Invoke, args: tuple[object, ...]) -> None:
    result = invoke(*args)
    assert result.exit_code == 0, result.stderr
    assert read_folder(Path("runs/bst")).family == "mcan"
    supernet, values = Supernet.load(Path("runs/bst")), golden("mcan")
    inputs = {name: torch.from_numpy(values[f"inputs/{name}"]) for name in ("question", "regions")}
    with torch.no_grad():
        expected = torch.from_numpy(values["logits/w1-d1"])
        torch.testing.assert_close(supernet.model(**inputs), expected, rtol=0, atol=1e-5)


def test_the_table_says_what_was_used_and_the_hint_what_is_next(invoke: Invoke, tmp_path: Path) -> None:
    torch.save(weights("uniter"), tmp_path / "model.pt")
    result = invoke("import", "--family", "uniter", "--checkpoint", tmp_path / "model.pt", "--heads", 4, "--out", "u")
    assert result.stdout.splitlines()[0] == "uniter for vqa-v2 in u: 10 submodels"
    rows = {line[:45].rstrip(): line[45:].split() for line in result.stdout.splitlines()[3:]}
    assert rows["not used: masked regions of pre-training"] == ["1", "48"]
    assert rows["used"][0] == "215"
    assert "warning: u has no vocabulary, so it can be profiled but not scored" in result.stderr
    assert result.stderr.splitlines()[-1] == "hint: next: bstsearch profile --supernet u"


def test_the_words_of_files_are_stored_beside_the_weights(
    invoke: Invoke, args: tuple[object, ...], tmp_path: Path
) -> None:
    (tmp_path / "dicts.json").write_text(json.dumps([ANSWERS, {}, WORDS, 14]))
    result = invoke(*args, "--vocabulary", tmp_path / "dicts.json")
    assert result.exit_code == 0, result.stderr
    assert "vocabulary" not in result.stderr
    assert Vocabulary.load(Path("runs/bst")).answers == tuple(ANSWERS)


def test_without_words_scoring_says_what_is_missing(invoke: Invoke, args: tuple[object, ...]) -> None:
    assert invoke(*args).exit_code == 0
    result = invoke("eval", "--model", "runs/bst")
    assert result.exit_code == 4
    assert "runs/bst does not say what data it is for" in result.stderr


def test_json_is_one_object(invoke: Invoke, args: tuple[object, ...]) -> None:
    data = json.loads(invoke(*args, "--data", "none", "--question-length", 7, "--json").stdout)
    assert list(data) == ["path", "family", "data", "assumed", "used", "not_used", "submodels"]
    assert (data["path"], data["family"], data["data"]) == ("runs/bst", "mcan", "none")
    assert (data["used"]["tensors"], data["not_used"], len(data["submodels"])) == (281, {}, 10)
    assert read_folder(Path("runs/bst")).config["question_length"] == 7


def test_an_existing_folder_is_replaced_with_force_only(invoke: Invoke, args: tuple[object, ...]) -> None:
    assert invoke(*args).exit_code == 0
    result = invoke(*args)
    assert result.exit_code == 2
    assert "runs/bst exists; give --force" in result.stderr
    assert invoke(*args, "--force").exit_code == 0


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch was-run",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state_dict": weights("uniter")}, "is no mcan: it looks like uniter"),
        ({"state_dict": weights("mcan"), "args": Hostile()}, "asks for posix.system, which is no tensor"),
        (b"PK\x03\x04 and no more", "it is no checkpoint of PyTorch, or truncated"),
        ({"state_dict": {"a": "b"}}, "holds no tensor, but 'state_dict'"),
    ],
    ids=["another family", "hostile", "truncated", "no tensors"],
)
def test_what_cannot_be_imported_is_one_line(
    invoke: Invoke, args: tuple[object, ...], content: object, message: str
) -> None:
    path = Path(str(args[4]))
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    result = invoke(*args)
    assert result.exit_code == 4
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: {path}")
    assert message in line
    assert not Path("runs").exists()
    assert not Path("was-run").exists()


def test_an_unknown_family_is_told(invoke: Invoke, args: tuple[object, ...]) -> None:
    result = invoke(*args, "--family", "bert")
    assert result.exit_code == 4
    assert "unknown family 'bert'; known are clip_vil, hugging_face, mcan, uniter" in result.stderr
