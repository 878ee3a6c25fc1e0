"""Tasks of pictures and questions hand out what a stock model's own processor makes of them."""

from __future__ import annotations

from pathlib import Path

import easy_vqa
import pytest
import torch
import transformers
from folders import config_of, write_seeing
from PIL import Image

from bstsearch.errors import InputError
from bstsearch.inputs.reader import Reader
from bstsearch.stock.configuration import Found, Reads, StockConfig
from bstsearch.stock.family import FAMILY
from bstsearch.tasks.easy_vqa import EasyVqa
from bstsearch.tasks.shapes import Shapes
from bstsearch.tasks.sort_of_clevr import SortOfClevr
from bstsearch.tasks.split import ImageSplit
from bstsearch.tasks.vqa import VqaTask


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_seeing(tmp_path_factory.mktemp("vilt"), image_size=80, side=80)


@pytest.fixture(scope="module")
def config(folder: Path) -> StockConfig:
    return config_of("ViltForQuestionAnswering", transformers.ViltConfig.from_pretrained(folder).to_dict())


@pytest.fixture(scope="module")
def reader(folder: Path, config: StockConfig) -> Reader:
    return FAMILY.reader(config, folder)


def test_easy_vqa_comes_as_the_processor_makes_it(folder: Path, reader: Reader) -> None:
    split = EasyVqa.build(None).split("validation", reader)
    questions, answers, images = easy_vqa.get_train_questions()
    rows = [row for row, image in enumerate(images) if image % 8 == 7]
    order = torch.tensor([0, len(split) // 2, len(split) - 1])
    (batch,) = split.batches(3, order)
    chosen = [rows[place] for place in order.tolist()]
    pictures = [Image.open(easy_vqa.get_train_image_paths()[images[row]]).convert("RGB") for row in chosen]
    processor = transformers.AutoProcessor.from_pretrained(folder)
    own = processor(
        [one.resize((80, 80)) for one in pictures],
        [questions[row] for row in chosen],
        padding="max_length",
        max_length=batch.inputs["input_ids"].shape[1],
        truncation=True,
        return_tensors="pt",
    )
    assert set(batch.inputs) == {"input_ids", "attention_mask", "token_type_ids", "pixel_values"}
    assert all(torch.equal(batch.inputs[name], own[name]) for name in batch.inputs)
    assert batch.targets is not None
    assert [split.names[target] for target in batch.targets.tolist()] == [answers[row] for row in chosen]


@pytest.mark.parametrize("task", [Shapes, SortOfClevr])
def test_data_sets_that_are_drawn_are_read_so_too(task: type[VqaTask], config: StockConfig, reader: Reader) -> None:
    split = task.build(None).split("validation", reader)
    assert isinstance(split, ImageSplit)
    batch = next(split.batches(2))
    example = FAMILY.example_inputs(config, 2)
    assert {name: one.dtype for name, one in batch.inputs.items()} == {name: one.dtype for name, one in example.items()}
    assert batch.inputs["pixel_values"].shape == example["pixel_values"].shape
    assert split.head(1).questions["input_ids"].shape[0] == 1


def test_words_that_a_processor_has_read_are_not_replaced(reader: Reader) -> None:
    task = EasyVqa.build(None)
    batch = next(task.split("validation", reader).batches(2))
    assert task.augmented(batch, 1.0) is batch
    assert len(task.classes) == 13


def test_a_model_that_reads_regions_is_told_that_the_data_are_pictures(folder: Path, config: StockConfig) -> None:
    regions = StockConfig(
        architecture="LxmertForQuestionAnswering",
        settings=config.settings | {"visual_feat_dim": 4, "visual_pos_dim": 4},
        found=Found(reads=Reads(names=("input_ids", "visual_feats", "visual_pos"))),
    )
    message = r"pictures come as pixel_values \(3, height, width\), but LxmertForQuestionAnswering reads input_ids, vis"
    with pytest.raises(InputError, match=message):
        EasyVqa.build(None).split("validation", FAMILY.reader(regions, folder))
    with pytest.raises(InputError, match="this data set has images, but the model reads input_ids"):
        EasyVqa.build(None).split("validation", FAMILY.reader(regions))
