"""A picture and a question become the same tensors wherever they are read: in training, by ask, in exported folders."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import easy_vqa
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from synthetic_lxmert import question as asked
from synthetic_lxmert import write_lists

from bstsearch.answering.asking import read_question
from bstsearch.exporting.preprocessing import write_preprocessing
from bstsearch.inputs.pictures import ORIENTATION
from bstsearch.inputs.reader import Reader
from bstsearch.model.config import config_to_json
from bstsearch.model.lookup import get_preset
from bstsearch.model.supernet_folder import SupernetFolder
from bstsearch.tasks.easy_vqa import EasyVqa
from bstsearch.tasks.lxmert_lists import load as load_lists
from bstsearch.tasks.vocabulary import Vocabulary

SIZES = ((100, 60), (60, 100), (1, 500), (64, 64))
TEXT = "What colour is the circle?"
OBLONG: dict[str, Any] = {"image_height": 64, "image_width": 96, "visual_positions": 12}
PRESETS: dict[str, dict[str, Any]] = {
    "mcan-easy-vqa": {},
    "uniter-easy-vqa": {},
    "clip-vil-easy-vqa": {},
    "clip-vil-easy-vqa, oblong": OBLONG,
}
# What an exported folder's scripts make of a question about each of the pictures, with nothing of bstsearch about.
SCRIPT = """
import runpy, sys
folder, out, text, *pictures = sys.argv[1:]
sys.modules.update(dict.fromkeys(("bstsearch", "torch")))
sys.path.insert(0, folder)
import pathlib, numpy
read = runpy.run_path(folder + "/run.py")["read_inputs"]
for index, picture in enumerate(pictures):
    numpy.savez(f"{out}/{index}.npz", **read(pathlib.Path(picture), text))
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """JPEGs of odd sizes, and one that is stored on its side."""
    folder, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    paths = []
    for number, (width, height) in enumerate((*SIZES, (90, 70))):
        pixels = random.integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), dtype=np.uint8)
        exif = Image.Exif()
        exif[ORIENTATION] = 6 if number == len(SIZES) else 1
        paths.append(folder / f"{number}.jpg")
        Image.fromarray(pixels).resize((width, height)).save(paths[-1], exif=exif)
    return paths


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return EasyVqa.build_vocabulary()


def in_scripts(folder: Path, pictures: list[Path]) -> list[dict[str, NDArray[Any]]]:
    command = [sys.executable, "-I", "-c", SCRIPT, folder, folder, TEXT, *pictures]
    subprocess.run(command, check=True)
    return [dict(np.load(folder / f"{index}.npz")) for index in range(len(pictures))]


def in_memory(reader: Reader, vocabulary: Vocabulary, picture: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What easy-VQA's training reads, were this its one picture."""
    monkeypatch.setattr(easy_vqa, "get_train_questions", lambda: ([TEXT], ["red"], [0]))
    monkeypatch.setattr(easy_vqa, "get_train_image_paths", lambda: {0: str(picture)})
    return next(EasyVqa(vocabulary).split("train", reader).batches(1)).inputs


def from_files(reader: Reader, vocabulary: Vocabulary, picture: Path, folder: Path) -> Any:
    """What training on LXMERT's lists reads, were this their one picture."""
    row = [{**asked(1, picture.stem, {"net": 1.0}), "sent": TEXT}]
    write_lists(folder, {"train": row, "nominival": row, "minival": row})
    (folder / "images").mkdir(exist_ok=True)
    (folder / "images" / picture.name).write_bytes(picture.read_bytes())
    answers = tuple(json.loads((folder / "trainval_label2ans.json").read_text()))
    return next(load_lists(folder, "vqa-v2", "validation", answers, vocabulary.encode_many, reader).batches(1)).inputs


@pytest.mark.parametrize("name", PRESETS)
def test_training_ask_and_exported_folders_read_the_same(
    name: str, pictures: list[Path], vocabulary: Vocabulary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    family, config = get_preset(name.partition(",")[0])
    config = dataclasses.replace(config, **PRESETS[name])
    reader = family.reader(config)
    supernet, exported = tmp_path / "supernet", tmp_path / "exported"
    folders = []
    for path in (supernet, exported):
        path.mkdir()
        vocabulary.save(path)
        folders.append(
            SupernetFolder(path=path, family=family.name, config=config_to_json(config), space=family.space(config))
        )
    write_preprocessing(reader, vocabulary, exported)
    for picture, expected in zip(pictures, in_scripts(exported, pictures), strict=True):
        found = [
            *(dict(read_question(TEXT, picture, folder).inputs) for folder in folders),
            in_memory(reader, vocabulary, picture, monkeypatch),
            from_files(reader, vocabulary, picture, tmp_path),
        ]
        for inputs in found:
            assert inputs.keys() == expected.keys() == reader.like.keys()
            for key, array in expected.items():
                assert np.asarray(inputs[key]).dtype == array.dtype
                np.testing.assert_array_equal(np.asarray(inputs[key]), array, err_msg=f"{key} of {picture.name}")


def test_oblong_models_see_lying_and_standing_pictures(pictures: list[Path]) -> None:
    family, config = get_preset("clip-vil-easy-vqa")
    picture = family.reader(dataclasses.replace(config, **OBLONG)).picture
    assert picture is not None
    shapes = [picture.read(path).shape for path in pictures]
    lying, standing = (3, 64, 96), (3, 96, 64)
    assert shapes == [lying, standing, standing, standing, standing]
