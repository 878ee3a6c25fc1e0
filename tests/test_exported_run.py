"""run.py of an exported folder: it needs numpy and onnxruntime, and agrees with bstsearch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import easy_vqa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bstsearch import exported_run
from bstsearch.asking import ask_exported, read_question
from bstsearch.data.images import read_image
from bstsearch.data.vocabulary import Vocabulary
from bstsearch.exported import read_exported

VOCABULARY = Vocabulary(data="test", words=("circle", "color", "gray", "is", "red"), answers=("no",), question_length=4)
# Pillow is blocked unless asked for, and bstsearch's own requirements always.
BLOCKED = ("bstsearch", "onnx", "pandas", "safetensors", "torch", "typer")


def run(folder: Path, *args: object, blocked: tuple[str, ...] = (*BLOCKED, "PIL")) -> subprocess.CompletedProcess[str]:
    block = f"import runpy, sys; sys.modules.update(dict.fromkeys({blocked!r})); sys.argv = sys.argv[1:]; "
    script = block + "runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-I", "-c", script, str(folder / "run.py"), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")


def test_sample_gives_the_saved_logits(exported_folder: Path) -> None:
    result = run(exported_folder, exported_folder / "sample.npz", "--top", 2)
    assert result.returncode == 0, result.stderr
    *answers, last = result.stdout.splitlines()
    assert len(answers) == 2
    assert last.startswith("largest difference from the expected logits: ")


def test_int8_file_runs_too(exported_folder: Path) -> None:
    result = run(exported_folder, exported_folder / "sample.npz", "--precision", "int8")
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 3


def test_other_logits_fail(exported_folder: Path, tmp_path: Path) -> None:
    with np.load(exported_folder / "sample.npz") as arrays:
        np.savez(tmp_path / "other.npz", **{**arrays, "logits": arrays["logits"] + 1})
    result = run(exported_folder, tmp_path / "other.npz")
    assert result.returncode == 1
    assert "expected at most 1e-04" in result.stderr


def test_a_sample_without_an_input_is_refused(exported_folder: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", question=np.ones((1, 10), np.int64))
    result = run(exported_folder, tmp_path / "other.npz")
    assert result.returncode == 1
    assert "holds no 'image'; the model reads question, image" in result.stderr


def test_image_and_question_give_what_bstsearch_answers(exported_folder: Path) -> None:
    image, text = Path(easy_vqa.get_test_image_paths()[0]), "What colour is the circle?"
    exported = read_exported(exported_folder)
    reply = ask_exported(read_question(text, image, exported.folder), exported, top=3)
    result = run(exported_folder, image, text, blocked=BLOCKED)
    assert result.returncode == 0, result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines()] == [answer for answer, _ in reply.answers]
    shares = [float(line.split()[1]) / 100 for line in result.stdout.splitlines()]
    assert shares == pytest.approx([share for _, share in reply.answers], abs=1e-4)


def test_images_are_read_as_by_bstsearch() -> None:
    image = Path(easy_vqa.get_test_image_paths()[1])
    for side in (64, 40):
        np.testing.assert_array_equal(exported_run.read_image(image, side), read_image(image, side))


@given(words=st.lists(st.sampled_from([*VOCABULARY.words, "Colour", "GREY", "zebra", "?", "is,it", "_"]), min_size=1))
def test_questions_are_encoded_as_by_bstsearch(words: list[str]) -> None:
    question = " ".join(["red", *words])
    encoded = exported_run.encode(question, VOCABULARY.to_json())
    np.testing.assert_array_equal(encoded, VOCABULARY.encode(question))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("missing.npz",), "missing.npz cannot be read"),
        (("/etc/hostname",), "an image needs a question"),
        (("run.py", "what color?"), "images need Pillow"),
        (("run.py", "xyzzy"), "no word of the question is known"),
        ((), "the following arguments are required: input"),
    ],
)
def test_wrong_input_gets_one_line(exported_folder: Path, args: tuple[str, ...], message: str) -> None:
    result = run(exported_folder, *args)
    assert result.returncode != 0
    assert message in result.stderr.splitlines()[-1]


def test_a_file_that_is_no_image_gets_one_line(exported_folder: Path) -> None:
    result = run(exported_folder, exported_folder / "run.py", "what color?", blocked=BLOCKED)
    assert result.returncode == 1
    assert "cannot be read as an image" in result.stderr.splitlines()[-1]


@pytest.mark.slow
def test_runs_in_an_environment_with_onnxruntime_and_numpy_only(exported_folder: Path, tmp_path: Path) -> None:
    """Installs them from the package index: where that cannot be reached this test fails, it does not skip."""
    python = tmp_path / "venv" / "bin" / "python"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True, env=environment)
    subprocess.run([python, "-m", "pip", "install", "-q", "onnxruntime", "numpy"], check=True, env=environment)
    listing = subprocess.check_output([python, "-m", "pip", "list", "--format", "json"], env=environment)
    assert {"bstsearch", "torch", "pillow"}.isdisjoint(package["name"] for package in json.loads(listing))
    command = [python, exported_folder / "run.py", exported_folder / "sample.npz"]
    result = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    assert "largest difference from the expected logits" in result.stdout
