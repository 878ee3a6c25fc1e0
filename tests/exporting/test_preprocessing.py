from __future__ import annotations

import ast
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mypy import api

from bstsearch.answering import run_script
from bstsearch.exporting.card import OLDEST
from bstsearch.exporting.preprocessing import BUNDLE_SCRIPTS, SCRIPTS, standing_alone, write_preprocessing, write_sample
from bstsearch.inputs.reader import Reader
from bstsearch.inputs.texts import text_reader
from bstsearch.tasks.vocabulary import Vocabulary

WORDS = ("circle", "color", "gray", "is", "red")
PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "is", "red", "##dish", "?")


def vocabulary(tokenizer: str) -> Vocabulary:
    words = PIECES if tokenizer.startswith("wordpiece") else WORDS
    return Vocabulary(data="test", words=words, answers=("no",), question_length=6, tokenizer=tokenizer)


READER = Reader(like={"image": torch.zeros(1, 6, 8, 3, dtype=torch.uint8)})
TEXT = st.text() | st.lists(st.sampled_from([*WORDS, "Colour", "GREY", "?", "is,it", "_", "T'shirt"])).map(" ".join)


@pytest.mark.parametrize("tokenizer", ["words", "openvqa", "wordpiece-cased", "wordpiece-uncased"])
def test_questions_are_read_as_the_vocabulary_reads_them(
    tokenizer: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, words = tmp_path_factory.mktemp("folder"), vocabulary(tokenizer)
    names = write_preprocessing(READER, words, folder)
    assert ("tokenizer.json" in names) == words.is_wordpiece
    assert all((folder / name).is_file() for name in names)
    reader = text_reader(json.loads((folder / "preprocessor.json").read_text())["text"], folder)

    @given(text=TEXT)
    def check(text: str) -> None:
        question = f"red {text}"
        np.testing.assert_array_equal(reader.read(question), words.encode(question))

    check()


def test_a_model_without_words_or_pictures_says_so(tmp_path: Path) -> None:
    write_preprocessing(Reader(like={"numbers": torch.zeros(1, 3)}), None, tmp_path)
    assert json.loads((tmp_path / "preprocessor.json").read_text()) == {"format": 1, "picture": None, "text": None}


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_import_nothing_of_this_package(name: str) -> None:
    tree = ast.parse(standing_alone(SCRIPTS[name]))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not [module for module in modules if str(module).startswith("bstsearch")]
    assert modules & {"pictures", "texts"} == ({"pictures", "texts"} if name == "run.py" else set())


def test_scripts_run_on_the_oldest_python_that_cards_name(tmp_path: Path) -> None:
    for name, script in BUNDLE_SCRIPTS.items():
        (tmp_path / name).write_text(standing_alone(script))
    alone = ("--follow-imports=skip", "--ignore-missing-imports", "--config-file=", "--cache-dir", os.devnull)
    told, errors, _ = api.run(["--python-version", OLDEST, *alone, *map(str, tmp_path.iterdir())])
    assert told == f"Success: no issues found in {len(BUNDLE_SCRIPTS)} source files\n", errors


def test_tensors_come_back_from_a_sample_as_they_were(tmp_path: Path) -> None:
    random = torch.Generator().manual_seed(0)
    tensors = {
        "question": torch.tensor([[3, 2**40]]),
        "image": torch.randint(0, 256, (1, 30, 40, 3), generator=random).to(torch.uint8),
        "grid": torch.randn(1, 3, 40, 40, generator=random).transpose(2, 3),
        "logits": torch.tensor([[0.1, -1e-30]]),
    }
    write_sample({name: tensors[name] for name in list(tensors)[:3]}, {"logits": tensors["logits"]}, tmp_path)
    found = run_script.read_sample(tmp_path / "sample.json")
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.numpy().dtype
        np.testing.assert_array_equal(found[name], tensor.numpy())
    data = json.loads((tmp_path / "sample.json").read_text())
    assert data["inputs"]["question"] == {"dtype": "int64", "shape": [1, 2], "values": [3, 2**40]}
    assert sorted(data["inputs"]["image"]) == ["base64", "dtype", "shape"]
