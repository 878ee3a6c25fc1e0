"""Texts without labels: what a batch holds, what is kept beside a model, what is refused; and the contract."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sentences
import torch

from bstsearch import doors
from bstsearch.errors import InputError, UsageError
from bstsearch.inputs.reader import Reader
from bstsearch.model.supernet import Supernet
from bstsearch.score import Value
from bstsearch.space import Submodel
from bstsearch.tasks import TEXT, get_task, load_split, located, open_task, save_task
from bstsearch.tasks.evaluation import evaluate
from bstsearch.tasks.task import Task
from bstsearch.tasks.text import Text
from bstsearch.testing.tasks import TaskContract


@pytest.fixture(autouse=True)
def _family_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(doors._admitted, ("family", "sentences"), sentences.FAMILY)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sentences.write_teacher(tmp_path_factory.mktemp("teacher"))


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sentences.write_lines(tmp_path_factory.mktemp("texts") / "lines.txt")


@pytest.fixture
def task(teacher: Path, lines: Path) -> Text:
    return Text.load(teacher, lines)


@pytest.fixture
def reader() -> Reader:
    return sentences.FAMILY.reader(sentences.SentencesConfig())


class TestText(TaskContract):
    task = Text
    family, config = sentences.FAMILY, sentences.SentencesConfig()

    @pytest.fixture(scope="class")
    @classmethod
    def opened(cls, teacher: Path, lines: Path) -> Task:
        return Text.load(teacher, lines)


def test_a_batch_is_as_long_as_its_longest_text_and_no_longer_than_the_model_reads(task: Text, reader: Reader) -> None:
    split = task.split("train", reader)
    for batch in split.batches(7):
        ids, mask = batch.inputs["input_ids"], batch.inputs["attention_mask"]
        assert list(batch.inputs) == ["input_ids", "attention_mask"]
        assert ids.shape[1] == int(mask.sum(1).max()) <= 8
        assert torch.equal(ids != 0, mask == 1)


def test_a_model_of_one_length_gets_it(task: Text, reader: Reader) -> None:
    fixed = Reader(like=reader.like)
    assert {batch.inputs["input_ids"].shape[1] for batch in task.split("train", fixed).batches(7)} == {8}


def test_batches_to_train_on_hold_texts_of_about_one_length(task: Text, reader: Reader) -> None:
    split = task.split("train", reader)
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))
    grouped = split.grouped(order, 8)
    assert not torch.equal(grouped, order)
    assert torch.equal(split.grouped(order, 8), grouped)
    masks = [[batch.inputs["attention_mask"] for batch in split.batches(8, rows)] for rows in (order, grouped)]
    padding = [sum(int((mask == 0).sum()) for mask in of) for of in masks]
    assert padding[1] < 0.5 * padding[0]


def test_the_full_model_agrees_with_itself_and_a_slice_less(task: Text, teacher: Path, reader: Reader) -> None:
    supernet, split = Supernet.load(teacher), task.split("validation", reader)
    full, small = (evaluate(supernet, one, split) for one in (Submodel(), supernet.space.smallest))
    assert full.value == pytest.approx(1.0)
    assert isinstance(small, Value)
    assert small.value < 0.95
    kept = split.kept(torch.randn(len(split), 4))
    assert split.values(kept) is None
    assert 0 <= split.details(kept)["nearest neighbour kept"] <= 100


def test_a_models_folder_keeps_what_scores_need(task: Text, teacher: Path, reader: Reader, tmp_path: Path) -> None:
    save_task(task, tmp_path)
    supernet = Supernet.load(teacher)
    with torch.no_grad():
        for parameter in supernet.parameters():
            parameter.mul_(0.9)  # as training does: what is kept is the teacher's, not its
    supernet.save(tmp_path)
    again = open_task(tmp_path)
    scores = [evaluate(supernet, Submodel(), one.split("test", reader)).value for one in (task, again)]
    assert scores[0] == scores[1] < 1
    with pytest.raises(UsageError, match="keeps the texts of validation and test only; give others with --data"):
        load_split(tmp_path, "train")


def test_a_file_in_place_of_a_name_is_text(lines: Path, teacher: Path) -> None:
    assert located(str(lines), None) == (TEXT, lines)
    assert located("easy-vqa", None) == ("easy-vqa", None)
    assert located("no-such-thing", None) == ("no-such-thing", None)
    with pytest.raises(UsageError, match="says already where the text is; leave out --data-dir"):
        located(str(lines), lines)
    assert len(load_split(teacher, "train", data=str(lines))) > 50
    assert get_task(TEXT) is Text


def test_what_is_missing_is_named(teacher: Path, lines: Path, tmp_path: Path, reader: Reader) -> None:
    with pytest.raises(UsageError, match=r"text has no labels to train a teacher on; give .* with --teacher"):
        Text.build(lines)
    with pytest.raises(InputError, match=r"has no tokenizer\.json, by which its model reads text; copy"):
        Text.load(tmp_path, lines)
    with pytest.raises(UsageError, match="keeps no texts; give some with --data FILE or FOLDER"):
        Text.load(teacher, None)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match=r"tokenizer\.json cannot be read: .*; copy the model's own tokenizer\.json"):
        Text.load(tmp_path, lines).split("train", reader)


def test_a_model_that_reads_no_text_or_gives_no_vector_is_told(task: Text, reader: Reader) -> None:
    with pytest.raises(InputError, match=r"text comes as input_ids, .* but the model reads image"):
        task.split("train", Reader(like={"image": torch.zeros(1, 3)}))
    with pytest.raises(InputError, match=r"compared by one vector each, but the model gives .* end in a pooling"):
        task.split("test", reader).kept(torch.zeros(2, 3, 4))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "text.safetensors").unlink(), r"text\.safetensors does not exist"),
        (lambda folder: (folder / "text.json").write_text("[]"), r"text\.json"),
        (
            lambda folder: (folder / "text.json").write_text(
                json.dumps({**json.loads((folder / "text.json").read_text()), "test": ["one"]})
            ),
            r"text\.safetensors: holds no vector for each of 1 texts of test; is it another's\?",
        ),
    ],
)
def test_damaged_files_are_one_clear_line(task: Text, tmp_path: Path, change: object, message: str) -> None:
    save_task(task, tmp_path)
    assert callable(change)
    change(tmp_path)
    with pytest.raises(InputError, match=message):
        Text.load(tmp_path, None)
