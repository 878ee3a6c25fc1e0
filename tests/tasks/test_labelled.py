"""Text and image classification as tasks: parts, classes, what a batch holds; what is wrong; and the contract."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import classifiers
import datasets
import pytest
import torch
import transformers

from bstsearch.errors import InputError, UsageError
from bstsearch.inputs.reader import Reader
from bstsearch.model.lookup import get_preset
from bstsearch.reading import needing
from bstsearch.stock.family import FAMILY
from bstsearch.stock.importing import import_folder
from bstsearch.tasks import load_split, open_task, save_task
from bstsearch.tasks.labelled import ImageClassification, TextClassification
from bstsearch.tasks.labelled_parts import read_pictures, read_texts
from bstsearch.tasks.task import Split, Task
from bstsearch.testing.tasks import TaskContract


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    import_folder(classifiers.write_bert(folder / "stock"), folder / "net")
    return folder / "net"


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vit")
    import_folder(classifiers.write_vit(folder / "stock"), folder / "net")
    return folder / "net"


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reviews")
    classifiers.write_csv(folder / "train.csv", classifiers.reviews(60))
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("colours")
    classifiers.write_pictures(folder / "train", 9)
    classifiers.write_pictures(folder / "val", 2, seed=1)
    return folder


def trained(net: Path, task: Task, out: Path) -> Path:
    """A copy of the model's folder, as one that was trained for the task."""
    shutil.copytree(net, out)
    save_task(task, out)
    return out


class _Contract(TaskContract):
    saved: Path

    @classmethod
    def read(cls, task: Task, name: str, config: Any) -> Split:
        return task.split(name, FAMILY.reader(config, cls.saved))

    @pytest.fixture(scope="class")
    @classmethod
    def opened(cls) -> Task:
        return cls.task.load(cls.saved, cls.data_dir)


class TestTexts(_Contract):
    task, family = TextClassification, FAMILY

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _in_folders(cls, bert: Path, texts: Path) -> None:
        cls.saved, cls.data_dir, (_, cls.config) = bert, texts, get_preset(str(bert))


class TestPictures(_Contract):
    task, family = ImageClassification, FAMILY

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _in_folders(cls, vit: Path, pictures: Path) -> None:
        cls.saved, cls.data_dir, (_, cls.config) = vit, pictures, get_preset(str(vit))


def test_parts_that_are_missing_are_drawn_from_those_to_train_on_wherever_they_stand(
    texts: Path, pictures: Path, tmp_path: Path
) -> None:
    parts = read_texts(texts)
    assert {name: len(part) for name, part in parts.items()} == {"train": 48, "validation": 6, "test": 6}
    classifiers.write_csv(tmp_path / "train.csv", classifiers.reviews(60)[::-1])
    assert set(read_texts(tmp_path)["test"].examples) == set(parts["test"].examples)
    found = {name: len(part) for name, part in read_pictures(pictures).items()}
    assert found == {"train": 25, "validation": 6, "test": 2}


def test_the_same_rows_come_from_a_table_and_from_a_datasets_directory(bert: Path, texts: Path, tmp_path: Path) -> None:
    rows = classifiers.reviews(60)
    names = datasets.ClassLabel(names=["neg", "pos"])
    columns = {"sentence": [text for text, _ in rows], "label": [names.str2int(label) for _, label in rows]}
    features = datasets.Features(sentence=datasets.Value("string"), label=names)
    datasets.DatasetDict(train=datasets.Dataset.from_dict(columns, features=features)).save_to_disk(tmp_path / "set")
    one, other = (
        load_split(bert, "train", data=TextClassification.name, data_dir=at) for at in (texts, tmp_path / "set")
    )
    for first, second in zip(one.batches(7), other.batches(7), strict=True):
        assert all(torch.equal(first.inputs[name], second.inputs[name]) for name in first.inputs)
        assert first.targets is not None
        assert second.targets is not None
        assert torch.equal(first.targets, second.targets)


def test_the_same_pictures_come_from_folders_and_from_a_datasets_directory(
    vit: Path, pictures: Path, tmp_path: Path
) -> None:
    files = sorted((pictures / "val").rglob("*.png"))
    names = datasets.ClassLabel(names=list(classifiers.COLOURS))
    columns = {"img": [str(file) for file in files], "labels": [names.str2int(file.parent.name) for file in files]}
    made = datasets.Dataset.from_dict(columns, features=datasets.Features(img=datasets.Image(), labels=names))
    datasets.DatasetDict(validation=made).save_to_disk(tmp_path / "set")
    net = trained(vit, ImageClassification.load(vit, pictures), tmp_path / "net")
    one, other = (
        next(iter(load_split(net, "validation", data_dir=at).batches(6))) for at in (pictures, tmp_path / "set")
    )
    assert torch.equal(one.inputs["pixel_values"], other.inputs["pixel_values"])
    own = transformers.AutoImageProcessor.from_pretrained(net / "stock")
    alone = own(images=[classifiers.Image.open(files[0])], return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(one.inputs["pixel_values"][:1], alone)
    assert one.targets is not None
    assert one.targets.tolist() == [0, 0, 1, 1, 2, 2]


def test_a_model_that_is_there_keeps_its_classes_and_a_new_one_gets_those_of_the_data(
    bert: Path, texts: Path, tmp_path: Path
) -> None:
    taught, new = TextClassification.load(bert, texts), TextClassification.build(texts)
    assert (taught.names, taught.classes) == (("neg", "pos"), ("LABEL_0", "LABEL_1"))
    assert new.names == new.classes == ("neg", "pos")
    _, config = get_preset(str(bert))
    assert FAMILY.with_classes(config, taught.classes) == config
    assert FAMILY.with_classes(config, new.classes).settings["id2label"] == {"0": "neg", "1": "pos"}


def test_what_is_shown_of_a_score(bert: Path, texts: Path) -> None:
    split = TextClassification.load(bert, texts).split("validation", FAMILY.reader(get_preset(str(bert))[1], bert))
    targets = torch.cat([batch.targets for batch in split.batches(9) if batch.targets is not None])
    none_right = 1 - targets
    assert split.score(targets).value == 1
    assert split.details(targets) == {"mean of classes": 100}
    assert split.details(none_right) == {"mean of classes": 0}
    assert split.results(targets)[0].keys() == {"example", "label"}
    assert {row["label"] for row in split.results(targets)} == {"neg", "pos"}


def test_a_part_without_labels_has_no_score_but_answers(bert: Path, texts: Path, tmp_path: Path) -> None:
    net = trained(bert, TextClassification.load(bert, texts), tmp_path / "net")
    classifiers.write_csv(tmp_path / "test.csv", [("good film",), ("bad",)], ("text",))
    split = load_split(net, "test", data_dir=tmp_path)
    assert not split.has_targets
    assert split.values(torch.zeros(2)) is None
    assert split.details(torch.zeros(2)) == {}
    assert [row["label"] for row in split.results(torch.tensor([1, 0]))] == ["pos", "neg"]
    with pytest.raises(InputError, match="without targets, so there is no score"):
        split.score(torch.zeros(2))
    with pytest.raises(InputError, match="has no part 'train', but test; add one"):
        load_split(net, "train", data_dir=tmp_path)


def test_where_there_is_nothing_to_read_says_what_to_give(bert: Path, texts: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="text-classification is read from your disk; say where with --data-dir DIR"):
        read_texts(None)
    with pytest.raises(InputError, match="nowhere does not exist; give the folder of labelled examples"):
        read_texts(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no train\.csv, .*, nor a folder for each class; see docs/data\.md"):
        read_pictures(tmp_path)
    (tmp_path / "imdb.py").write_text("raise SystemExit")
    with pytest.raises(InputError, match=r"imdb\.py is code, which is never run; save its data by save_to_disk"):
        read_texts(tmp_path)
    classifiers.write_csv(tmp_path / "train.csv", classifiers.reviews(19))
    with pytest.raises(InputError, match="19 examples are too few; give 20 or more, or all three parts"):
        read_texts(tmp_path)


def test_a_model_of_no_classes_or_of_other_ones_is_refused(bert: Path, vit: Path, texts: Path, tmp_path: Path) -> None:
    config = transformers.BertConfig(**classifiers.SIZES, vocab_size=16, max_position_embeddings=16)
    transformers.BertModel(config).save_pretrained(tmp_path / "stock")
    import_folder(tmp_path / "stock", tmp_path / "net")
    with pytest.raises(
        InputError, match="BertModel gives 16 x 32 numbers for an example, not one for each of 2 classes"
    ):
        TextClassification.load(tmp_path / "net", texts)
    with pytest.raises(
        InputError, match=r"has 2 classes, neg, pos, but the model has 3, blue, green, red; give the data"
    ):
        TextClassification.load(vit, texts)
    with pytest.raises(InputError, match="is read by a model's own tokenizer, and this one has none; give a supernet"):
        TextClassification.build(texts).split("train", Reader(like={"x": torch.zeros(1)}))


def test_a_picture_that_cannot_be_read_is_named_when_it_is_asked_for(vit: Path, pictures: Path, tmp_path: Path) -> None:
    net = trained(vit, ImageClassification.load(vit, pictures), tmp_path / "net")
    classifiers.write_pictures(tmp_path / "test", 1)
    (tmp_path / "test" / "green" / "0.png").write_bytes(b"\x89PNG\r\n")
    split = load_split(net, "test", data_dir=tmp_path)
    with pytest.raises(InputError, match=r"test/green/0\.png cannot be read as an image"):
        list(split.batches(3))
    content = b"not a picture"
    columns = {"image": [{"bytes": content, "path": None}], "label": ["red"]}
    features = datasets.Features(image=datasets.Image(decode=False), label=datasets.Value("string"))
    made = datasets.DatasetDict(test=datasets.Dataset.from_dict(columns, features=features))
    made.save_to_disk(tmp_path / "set")
    with pytest.raises(InputError, match=r"set/test, row 1: cannot be read as an image: Pillow knows no such kind"):
        list(load_split(net, "test", data_dir=tmp_path / "set").batches(1))


def test_the_library_that_is_missing_is_told_in_one_line() -> None:
    message = r"needs nowhere_to_be; install it with pip install 'bstsearch\[datasets\]'"
    with pytest.raises(InputError, match=message), needing("a data set of Hugging Face's datasets", "datasets"):
        __import__("nowhere_to_be")


def test_a_classes_file_that_is_damaged_is_one_line(bert: Path, texts: Path, tmp_path: Path) -> None:
    net = trained(bert, TextClassification.load(bert, texts), tmp_path / "net")
    assert isinstance(open_task(net), TextClassification)
    file = net / "classes.json"
    file.write_text(file.read_text().replace('"pos"', "3"))
    with pytest.raises(InputError, match=r"classes\.json, data\[1\]: expected str, got int"):
        open_task(net)
