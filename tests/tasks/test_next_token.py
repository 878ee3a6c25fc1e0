"""Texts for a model that writes: rows of tokens, the loss per token, and the contract."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import writer

from bstsearch.errors import InputError, UsageError
from bstsearch.inputs.reader import Reader
from bstsearch.model.supernet import Supernet
from bstsearch.space import Submodel
from bstsearch.stock.family import FAMILY
from bstsearch.stock.importing import import_folder
from bstsearch.tasks import NEXT_TOKEN, load_split, located, open_task, read_metric, save_task
from bstsearch.tasks.evaluation import evaluate
from bstsearch.tasks.next_token import NextToken, TokenSplit
from bstsearch.tasks.task import Task
from bstsearch.testing.tasks import TaskContract


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    import_folder(writer.write_model(folder / "stock"), folder / "net")
    return folder / "net"


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return writer.write_lines(tmp_path_factory.mktemp("texts") / "lines.txt")


@pytest.fixture
def task(model: Path, lines: Path) -> NextToken:
    return NextToken.load(model, lines)


@pytest.fixture
def reader(model: Path) -> Reader:
    supernet = Supernet.load(model)
    return FAMILY.reader(supernet.config)


class TestNextToken(TaskContract):
    task = NextToken
    family = FAMILY

    @pytest.fixture(scope="class")
    @classmethod
    def opened(cls, model: Path, lines: Path) -> Task:
        return NextToken.load(model, lines)

    @pytest.fixture(scope="class")
    @classmethod
    def supernet(cls, model: Path) -> Supernet:
        return Supernet.load(model)


def test_each_token_is_asked_for_once(task: NextToken, reader: Reader) -> None:
    split = task.split("train", reader)
    first, second, *_ = split.batches(1)
    given, wanted = first.inputs["input_ids"][0], first.targets
    assert wanted is not None
    assert torch.equal(given[1:], wanted[0, :-1])
    assert second.inputs["input_ids"][0, 0] == wanted[0, -1]
    assert len(given) == 24
    assert first.inputs["attention_mask"].all()


def test_the_score_is_the_loss_that_the_class_itself_computes(model: Path, task: NextToken, reader: Reader) -> None:
    supernet, split = Supernet.load(model), task.split("test", reader)
    score = evaluate(supernet, Submodel(), split)
    with torch.no_grad():
        rows = split.ids[:, :-1], split.ids
        stock = supernet.model.model
        of_class = stock(input_ids=rows[0], labels=torch.full_like(rows[0], -100), shift_labels=split.ids[:, 1:])  # type: ignore[operator]
    assert score.value == pytest.approx(float(of_class.loss), rel=1e-5)
    assert split.details(torch.tensor([0.5, 1.5]))["perplexity"] == pytest.approx(math.e)
    assert not task.metric.is_higher_better


def test_a_file_for_a_model_that_writes_asks_for_the_next_token(model: Path, lines: Path) -> None:
    assert located(str(lines), None, model) == (NEXT_TOKEN, lines)
    assert read_metric(model, str(lines)).name == "loss per token"
    assert isinstance(load_split(model, "validation", data=str(lines)), TokenSplit)


def test_a_models_folder_keeps_the_texts_that_score_it(task: NextToken, reader: Reader, tmp_path: Path) -> None:
    save_task(task, tmp_path)
    again = open_task(tmp_path)
    assert isinstance(again, NextToken)
    rows = [one.split("test", reader).ids for one in (task, again)]
    assert torch.equal(*rows)
    with pytest.raises(UsageError, match="keeps the texts of validation and test only; give others with --data"):
        again.split("train", reader)


def test_what_does_not_fit_is_told(task: NextToken, reader: Reader, lines: Path) -> None:
    with pytest.raises(UsageError, match="needs a model's tokenizer; give the folder of a pretrained one"):
        NextToken.build(lines)
    split = task.split("test", reader)
    batch = next(iter(split.batches(2)))
    with pytest.raises(
        InputError, match=r"gives \(2, 5\) for texts of 24 tokens, no logits after each; choose a class"
    ):
        split.kept(torch.zeros(2, 5), batch.targets)
    long = Reader(like={"input_ids": torch.zeros(1, 100_000)})
    with pytest.raises(InputError, match=r"the texts of test have \d+ tokens, and one row has 100001; give more text"):
        task.split("test", long)
