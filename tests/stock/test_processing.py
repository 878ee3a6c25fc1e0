"""A stock model's own tokenizer and image processor make its inputs; what is missing or another's is one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from folders import WORDS, config_of, write_seeing
from PIL import Image

from bstsearch.errors import InputError
from bstsearch.stock.configuration import Found, Reads, StockConfig
from bstsearch.stock.processing import Processor

QUESTIONS = ["Is there a red circle?", "what color"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_seeing(tmp_path_factory.mktemp("vilt"))


@pytest.fixture(scope="module")
def config(folder: Path) -> StockConfig:
    settings = transformers.ViltConfig.from_pretrained(folder).to_dict()
    return config_of("ViltForQuestionAnswering", settings)


def picture(width: int, height: int) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def test_texts_become_what_the_models_own_tokenizer_makes_of_them(folder: Path, config: StockConfig) -> None:
    made = Processor(folder=folder, config=config).texts(QUESTIONS)
    own = transformers.AutoTokenizer.from_pretrained(folder)(QUESTIONS, padding=True, return_tensors="pt")
    assert set(made) == {"input_ids", "attention_mask", "token_type_ids"}
    assert all(torch.equal(made[name], own[name]) for name in made)
    assert made["attention_mask"].sum(1).tolist() == [8, 4]


def test_texts_are_cut_and_padded_to_one_length_where_the_model_takes_no_other(
    folder: Path, config: StockConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor = Processor(folder=folder, config=config)
    assert processor.texts(["red " * 40])["input_ids"].shape == (1, 12)
    monkeypatch.setattr("bstsearch.stock.processing.free_axes", lambda _config: {})
    assert processor.texts(QUESTIONS)["input_ids"].shape == (2, 12)


def test_pictures_become_what_the_models_own_processor_makes_of_them(folder: Path, config: StockConfig) -> None:
    processor, own = Processor(folder=folder, config=config), transformers.AutoImageProcessor.from_pretrained(folder)
    fitting = [picture(32, 32), picture(32, 32)]
    expected = own(fitting, return_tensors="pt")["pixel_values"]
    assert torch.equal(processor.pictures(fitting)["pixel_values"], expected)
    # This processor keeps proportions, and the model reads one size.
    assert processor.is_squashing
    squashed = own([picture(90, 40).resize((32, 32))], return_tensors="pt")["pixel_values"]
    assert torch.equal(processor.pictures([picture(90, 40)])["pixel_values"], squashed)


def test_a_processor_that_makes_one_size_itself_is_left_to_do_so(tmp_path: Path) -> None:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = config_of("ViTForImageClassification", sizes | {"image_size": 32, "patch_size": 16})
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    processor, own = (
        Processor(folder=tmp_path, config=config),
        transformers.AutoImageProcessor.from_pretrained(tmp_path),
    )
    assert not processor.is_squashing
    expected = own([picture(90, 40)], return_tensors="pt")["pixel_values"]
    assert torch.equal(processor.pictures([picture(90, 40)])["pixel_values"], expected)
    with pytest.raises(InputError, match="texts come as input_ids, but ViTForImageClassification reads pixel_values"):
        processor.texts(["red"])


def test_the_files_of_a_supernet_lie_in_its_folder_stock(folder: Path, config: StockConfig, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "stock")
    assert Processor.beside(config, tmp_path).folder == tmp_path / "stock"
    assert Processor.beside(config, folder).folder == folder


@pytest.mark.parametrize("name", ["tokenizer.json", "processor_config.json"])
@pytest.mark.parametrize("content", [None, "{"])
def test_a_missing_or_broken_file_is_one_line(
    name: str, content: str | None, folder: Path, config: StockConfig, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "model")
    (tmp_path / "model" / name).unlink()
    if content is not None:
        (tmp_path / "model" / name).write_text(content)
    processor = Processor(folder=tmp_path / "model", config=config)
    what = (
        "tokenizer, as tokenizer.json" if name == "tokenizer.json" else "image processor, as preprocessor_config.json"
    )
    expected = f"model has no {what} or .*; copy the model's own there" if content is None else f"{name} cannot be read"
    with pytest.raises(InputError, match=expected) as error:
        processor.texts(["red"]) if name == "tokenizer.json" else processor.pictures([picture(32, 32)])
    assert str(error.value).startswith(str(tmp_path))
    assert "\n" not in str(error.value)


def test_a_processor_of_another_model_is_refused(folder: Path, config: StockConfig, tmp_path: Path) -> None:
    write_seeing(tmp_path, side=48)
    with pytest.raises(InputError, match=r"makes pictures of 3 x 48 x 48, but the model reads 3 x 32 x 32; change"):
        Processor(folder=tmp_path, config=config).pictures([picture(32, 32)])
    fewer = config.with_settings({"vocab_size": 8})
    with pytest.raises(InputError, match=r"its tokenizer knows more than the model's 8 words; copy the model's own"):
        Processor(folder=folder, config=fewer).texts(QUESTIONS)


def test_pictures_that_come_in_another_form_are_refused(folder: Path, config: StockConfig) -> None:
    listed = StockConfig(
        architecture=config.architecture,
        settings=config.settings,
        found=Found(reads=Reads(names=("pixel_values",), picture="listed")),
    )
    with pytest.raises(InputError, match=r"pictures come as pixel_values \(3, height, width\), but Vilt"):
        Processor(folder=folder, config=listed).pictures([picture(32, 32)])
    assert len(WORDS) == config.settings["vocab_size"]
