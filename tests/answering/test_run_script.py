"""run.py of an exported folder: it needs numpy and onnxruntime, and agrees with bstsearch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import easy_vqa
import numpy as np
import onnx
import pytest
from PIL import Image

from bstsearch.answering import run_script
from bstsearch.answering.asking import ask_exported, read_question
from bstsearch.answering.exported_folder import read_exported
from bstsearch.exporting.preprocessing import write_preprocessing
from bstsearch.inputs.pictures import PictureReader
from bstsearch.inputs.reader import Reader
from bstsearch.tasks.vocabulary import Vocabulary

WORDS = ("circle", "color", "gray", "is", "red")
VOCABULARY = Vocabulary(data="test", words=WORDS, answers=("no",), question_length=4)
OPENVQA = Vocabulary(
    data="test", words=("is", "tshirt", "red"), answers=("no",), question_length=4, tokenizer="openvqa"
)
PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "is", "red")
WORDPIECE = Vocabulary(data="test", words=PIECES, answers=("no",), question_length=4, tokenizer="wordpiece-cased")
CLIP_SHAPE = ("batch", 3, "height", "width")
READER = Reader(
    like={}, picture=PictureReader(height=24, width=32, fit="letterbox", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
)
# Pillow is blocked unless asked for, and bstsearch's own requirements always.
BLOCKED = ("bstsearch", "onnx", "pandas", "safetensors", "torch", "typer")


def run(folder: Path, *args: object, blocked: tuple[str, ...] = (*BLOCKED, "PIL")) -> subprocess.CompletedProcess[str]:
    block = f"import runpy, sys; sys.modules.update(dict.fromkeys({blocked!r})); sys.argv = sys.argv[1:]; "
    script = block + f"sys.path.insert(0, {str(folder)!r}); runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-I", "-c", script, str(folder / "run.py"), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")


def folder_of(folder: Path, vocabulary: Vocabulary | None, name: str, shape: tuple[str | int, ...]) -> Path:
    """An exported folder whose model reads float32 `name` of that shape; its one output is their mean."""
    tensor, numbers = onnx.TensorProto, onnx.helper.make_tensor("axes", onnx.TensorProto.INT64, [1], [1])
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("Flatten", [name], ["flat"]),
            onnx.helper.make_node("ReduceMean", ["flat", "axes"], ["logits"], keepdims=1),
        ],
        "mean",
        [
            onnx.helper.make_tensor_value_info("question", tensor.INT64, ["batch", 4]),
            onnx.helper.make_tensor_value_info(name, tensor.FLOAT, list(shape)),
        ],
        [onnx.helper.make_tensor_value_info("logits", tensor.FLOAT, ["batch", 1])],
        [numbers],
    )
    opset = [onnx.helper.make_opsetid("", 18)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), folder / "model.onnx")
    reader = READER if name == "image" else Reader(like={})
    write_preprocessing(reader, vocabulary, folder)
    if vocabulary:
        vocabulary.save(folder)
    return folder


def picture(path: Path, width: int, height: int) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def test_sample_gives_the_saved_logits(exported_folder: Path) -> None:
    result = run(exported_folder, exported_folder / "sample.json", "--top", 2)
    assert result.returncode == 0, result.stderr
    *answers, last = result.stdout.splitlines()
    assert len(answers) == 2
    assert last.startswith("largest difference from the expected logits: ")


def test_int8_file_runs_too(exported_folder: Path) -> None:
    result = run(exported_folder, exported_folder / "sample.json", "--precision", "int8")
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 3


def test_other_logits_fail(exported_folder: Path, tmp_path: Path) -> None:
    arrays = run_script.read_sample(exported_folder / "sample.json")
    np.savez(tmp_path / "other.npz", **{**arrays, "logits": arrays["logits"] + 1})
    result = run(exported_folder, tmp_path / "other.npz")
    assert result.returncode == 1
    assert "expected at most 1e-04" in result.stderr


def test_a_sample_without_an_input_is_refused(exported_folder: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", question=np.ones((1, 10), np.int64))
    result = run(exported_folder, tmp_path / "other.npz")
    assert result.returncode == 1
    assert "holds no 'image'; the model reads question, image" in result.stderr


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"image": np.zeros((1, 3, 3, 3), np.uint8)}, "cannot be read: "),
        ({"image": np.zeros((1, 16, 16, 3), np.float64)}, "cannot be read: "),
        ({"image": np.array("picture")}, "cannot be read: "),
        ({"question": np.ones((0, 10), np.int64), "image": np.zeros((0, 16, 16, 3), np.uint8)}, "cannot be read: "),
        ({"logits": np.zeros((1, 3), np.float32)}, "the expected logits is float32 (1, 3); the model gives "),
        ({"logits": np.array("yes")}, "the expected logits is <U3 (); the model gives "),
    ],
)
def test_inputs_that_do_not_fit_are_one_line(
    exported_folder: Path, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    np.savez(tmp_path / "a.npz", **{**run_script.read_sample(exported_folder / "sample.json"), **changes})
    result = run(exported_folder, tmp_path / "a.npz")
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("run.py: ")
    assert reason in line


@pytest.mark.parametrize("content", ["", "{", "[]", '{"answers": ["no", "yes"]}'])
def test_a_damaged_list_of_answers_is_one_line(tmp_path: Path, content: str) -> None:
    folder = folder_of(tmp_path, VOCABULARY, "image", CLIP_SHAPE)
    (folder / "vocabulary.json").write_text(content)
    np.savez(tmp_path / "a.npz", question=np.ones((1, 4), np.int64), image=np.ones((1, 3, 4, 4), np.float32))
    result = run(folder, tmp_path / "a.npz")
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"run.py: {folder / 'vocabulary.json'} cannot be read: ")


def test_image_and_question_give_what_bstsearch_answers(exported_folder: Path) -> None:
    image, text = Path(easy_vqa.get_test_image_paths()[0]), "What colour is the circle?"
    exported = read_exported(exported_folder)
    reply = ask_exported(read_question(text, image, exported.folder), exported, top=3)
    result = run(exported_folder, image, text, blocked=BLOCKED)
    assert result.returncode == 0, result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines()] == [answer for answer, _ in reply.answers]
    shares = [float(line.split()[1]) / 100 for line in result.stdout.splitlines()]
    assert shares == pytest.approx([share for _, share in reply.answers], abs=1e-4)


def test_a_model_of_clip_is_asked_about_an_image(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, VOCABULARY, "image", CLIP_SHAPE)
    result = run(folder, picture(tmp_path / "a.png", 64, 48), "Is it red?", blocked=BLOCKED)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["no", "100.00", "%"]


@pytest.mark.parametrize(("vocabulary", "name"), [(None, "image"), (OPENVQA, "regions")])
def test_a_model_that_reads_no_pictures_with_questions_asks_for_a_file_of_inputs(
    tmp_path: Path, vocabulary: Vocabulary | None, name: str
) -> None:
    folder = folder_of(tmp_path, vocabulary, name, CLIP_SHAPE)
    result = run(folder, picture(tmp_path / "a.png", 8, 8), "is it red?", blocked=BLOCKED)
    assert result.returncode == 1
    message = "run.py: the model reads no pictures with questions; give a file of inputs, as sample.json is"
    assert result.stderr.splitlines() == [message]
    inputs = {"question": np.ones((1, 4), dtype=np.int64), name: np.ones((1, 3, 4, 4), dtype=np.float32)}
    np.savez(tmp_path / "inputs.npz", **inputs, logits=np.ones((1, 1), dtype=np.float32))
    result = run(folder, tmp_path / "inputs.npz")
    assert result.returncode == 0, result.stderr
    *answers, last = result.stdout.splitlines()
    assert answers == (["1"] if vocabulary is None else ["no           100.00 %"])
    assert last.startswith("largest difference from the expected logits")


def test_word_pieces_need_their_package(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, WORDPIECE, "image", CLIP_SHAPE)
    args = (folder, picture(tmp_path / "a.png", 64, 48), "is it red?")
    assert "run 'pip install tokenizers'" in run(*args, blocked=(*BLOCKED, "tokenizers")).stderr
    result = run(*args, blocked=BLOCKED)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("missing.npz",), "missing.npz cannot be read"),
        (("missing.json",), "missing.json cannot be read"),
        (("preprocessor.json",), "preprocessor.json cannot be read"),
        (("/etc/hostname",), "an image needs a question"),
        (("run.py", "what color?"), "pictures need Pillow"),
        (("run.py", "xyzzy"), "no word of the question 'xyzzy' is in the vocabulary"),
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
def test_runs_in_an_environment_with_onnxruntime_and_numpy_only(
    exported_folder: Path, bundle_folder: Path, tmp_path: Path
) -> None:
    """Installs them from the package index: where that cannot be reached this test fails, it does not skip."""
    python = tmp_path / "venv" / "bin" / "python"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True, env=environment)
    subprocess.run([python, "-m", "pip", "install", "-q", "onnxruntime", "numpy"], check=True, env=environment)
    listing = subprocess.check_output([python, "-m", "pip", "list", "--format", "json"], env=environment)
    assert {"bstsearch", "torch", "pillow"}.isdisjoint(package["name"] for package in json.loads(listing))
    for folder in (exported_folder, bundle_folder):
        command = [python, folder / "run.py", folder / "sample.json"]
        result = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        assert result.returncode == 0, result.stderr
        assert "largest difference from the expected logits" in result.stdout


@pytest.mark.parametrize("name", ["model.onnx", "preprocessor.json"])
@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"[" * 200_000], ids=["empty", "bytes", "nested"])
def test_a_damaged_file_is_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    folder = folder_of(tmp_path, VOCABULARY, "image", CLIP_SHAPE)
    (folder / name).write_bytes(content)
    result = run(folder, picture(tmp_path / "red.png", 32, 24), "is red?", blocked=BLOCKED)
    assert result.returncode == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"run.py: {folder / name} cannot be read: ")
    assert len(line) < len(str(folder)) * 2 + 300
