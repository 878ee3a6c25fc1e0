from __future__ import annotations

import dataclasses
import itertools
import json
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import easy_vqa
import pytest
import torch

from bstsearch.answering.asking import ask_exported, ask_supernet, read_question
from bstsearch.answering.exported_folder import read_exported
from bstsearch.errors import InputError, UsageError
from bstsearch.model.lookup import get_preset
from bstsearch.model.supernet import Supernet
from bstsearch.model.supernet_folder import SupernetFolder, read_folder
from bstsearch.space import Submodel
from bstsearch.tasks.vocabulary import Vocabulary

TEXT = "What colour is the circle?"
ID = "w1of2-d1of2"


@pytest.fixture
def image() -> Path:
    return Path(easy_vqa.get_test_image_paths()[0])


@pytest.fixture
def folder(yes_folder: Path) -> SupernetFolder:
    return read_folder(yes_folder)


def ticking(step: float) -> Callable[[], float]:
    return itertools.count(0.0, step).__next__


def test_exported_folder_and_supernet_answer_alike(folder: SupernetFolder, exported_folder: Path, image: Path) -> None:
    exported = read_exported(exported_folder)
    one = ask_exported(read_question(TEXT, image, exported.folder), exported, top=13)
    other = ask_supernet(read_question(TEXT, image, folder), folder.path, Submodel.from_id(ID), top=13)
    assert [answer for answer, _ in one.answers] == [answer for answer, _ in other.answers]
    assert [share for _, share in one.answers] == pytest.approx([share for _, share in other.answers], abs=1e-5)
    assert (one.runtime, other.runtime) == ("ONNX Runtime", "PyTorch")


def test_probabilities_fall_and_sum_to_one(folder: SupernetFolder, image: Path) -> None:
    reply = ask_supernet(read_question(TEXT, image, folder), folder.path, folder.space.largest, top=13)
    shares = [share for _, share in reply.answers]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1.0)


def test_answers_are_the_model_s(folder: SupernetFolder, image: Path) -> None:
    question = read_question(TEXT, image, folder)
    supernet = Supernet.load(folder.path)
    with torch.no_grad():
        logits = supernet.model(**{name: torch.tensor(array) for name, array in question.inputs.items()})
    expected = [question.vocabulary.answers[index] for index in logits[0].topk(3).indices]
    reply = ask_supernet(question, folder.path, supernet.space.largest, top=3)
    assert [answer for answer, _ in reply.answers] == expected


def test_time_is_of_one_forward_pass(folder: SupernetFolder, exported_folder: Path, image: Path) -> None:
    question, exported = read_question(TEXT, image, folder), read_exported(exported_folder)
    assert ask_exported(question, exported, top=1, timer=ticking(0.25)).time_ms == 250.0
    assert ask_supernet(question, folder.path, folder.space.smallest, top=1, timer=ticking(0.5)).time_ms == 500.0


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_an_empty_question_is_a_usage_error(folder: SupernetFolder, image: Path, text: str) -> None:
    with pytest.raises(UsageError, match="the question is empty"):
        read_question(text, image, folder)


def test_unknown_words_only_are_an_input_error_that_lists_known_ones(folder: SupernetFolder, image: Path) -> None:
    with pytest.raises(InputError, match="it knows a, color, contain"):
        read_question("quid est?", image, folder)


def bomb(path: Path) -> None:
    """A PNG of a few bytes that claims 20,000 by 20,000 pixels."""
    header = struct.pack(">2I5B", 20_000, 20_000, 8, 2, 0, 0, 0)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b""))


def truncate(path: Path) -> None:
    path.write_bytes(Path(easy_vqa.get_test_image_paths()[0]).read_bytes()[:100])


@pytest.mark.parametrize(
    "make", [bomb, truncate, Path.mkdir, lambda path: path.write_text("red"), lambda path: None, Path.touch]
)
def test_a_file_that_is_no_image_is_an_input_error(
    folder: SupernetFolder, tmp_path: Path, make: Callable[[Path], object]
) -> None:
    make(tmp_path / "image.png")
    with pytest.raises(InputError, match=r"image\.png"):
        read_question(TEXT, tmp_path / "image.png", folder)


def test_a_model_of_region_features_cannot_be_asked(folder: SupernetFolder, image: Path) -> None:
    other = dataclasses.replace(folder, config={**folder.config, "image_side": 0, "stem_channels": []})
    with pytest.raises(InputError, match="reads no pictures; it cannot be asked about an image file"):
        read_question(TEXT, image, other)


def test_a_model_that_reads_images_as_clip_does_can_be_asked(
    folder: SupernetFolder, image: Path, tmp_path: Path
) -> None:
    vocabulary = Vocabulary.load(folder.path)
    supernet = Supernet(*get_preset("clip-vil-easy-vqa")).eval()
    supernet.save(tmp_path)
    vocabulary.save(tmp_path)
    asked = read_question("is there a circle?", image, read_folder(tmp_path))
    assert asked.inputs["image"].shape == (1, 3, 32, 32)
    reply = ask_supernet(asked, tmp_path, supernet.space.smallest, top=13)
    assert {answer for answer, _ in reply.answers} == set(vocabulary.answers)


def test_asking_an_exported_folder_loads_no_torch(exported_folder: Path, image: Path) -> None:
    script = (
        "import sys; from bstsearch.cli.app import main\n"
        "try: main()\n"
        "finally: print(sorted({'torch', 'optuna', 'pandas', 'onnx'} & set(sys.modules)))"
    )
    args = ["ask", TEXT, "--image", str(image), "--model", str(exported_folder)]
    result = subprocess.run([sys.executable, "-c", script, *args], capture_output=True, text=True, check=False)
    assert result.stdout.splitlines()[-1] == "[]", result.stderr


def test_switching_submodels_copies_no_weight(folder: SupernetFolder, image: Path) -> None:
    supernet = Supernet.load(folder.path)
    full = supernet.model.get_parameter("proj.weight")
    for submodel in supernet.space:
        with supernet.bind(submodel) as model:
            assert model.get_parameter("proj.weight").data_ptr() == full.data_ptr()


def test_folders_exported_by_older_versions_are_asked(exported_folder: Path, image: Path, tmp_path: Path) -> None:
    expected = ask_exported(
        read_question(TEXT, image, read_folder(exported_folder)), read_exported(exported_folder), top=3
    )
    folder = shutil.copytree(exported_folder, tmp_path / "old")
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in ("preprocessor.json", "sample.json", "pictures.py", "texts.py"):
        (folder / name).unlink()
        del manifest["files"][name]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    exported = read_exported(folder)
    assert ask_exported(read_question(TEXT, image, exported.folder), exported, top=3).answers == expected.answers
