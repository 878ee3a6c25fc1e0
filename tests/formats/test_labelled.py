"""Labelled texts and pictures from tables, `datasets` directories and folders; what is wrong with them is one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import classifiers
import datasets
import pyarrow as pa
import pytest

from bstsearch.errors import InputError
from bstsearch.formats import datasets_folder, labelled_tables, picture_folders
from bstsearch.formats.labelled import PICTURE, TEXT, check_texts, part_of

ROWS = [("a good film", 1), ("a bad film", 0), ("fine", 1)]
FEATURES = datasets.Features(text=datasets.Value("string"), label=datasets.ClassLabel(names=["neg", "pos"]))


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> None:
    datasets.disable_progress_bars()


def table(rows: list[tuple[str, int]] = ROWS) -> datasets.Dataset:
    columns = {"text": [text for text, _ in rows], "label": [label for _, label in rows]}
    return datasets.Dataset.from_dict(columns, features=FEATURES)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_tables_of_each_kind_hold_the_same(ending: str, tmp_path: Path) -> None:
    if ending == "csv":
        classifiers.write_csv(tmp_path / "train.csv", ROWS)
    elif ending == "jsonl":
        lines = [json.dumps({"text": text, "label": label}) for text, label in ROWS]
        (tmp_path / "train.jsonl").write_text("\n".join(lines))
    else:
        (tmp_path / "data").mkdir()
        table(ROWS[:1]).to_parquet(tmp_path / "data" / "train-00000-of-00002.parquet")
        table(ROWS[1:]).to_parquet(tmp_path / "data" / "train-00001-of-00002.parquet")
    assert labelled_tables.matches(tmp_path)
    found = labelled_tables.read_parts(tmp_path, TEXT)["train"]
    assert list(zip(found.examples, found.labels, strict=True)) == ROWS
    assert found.names == (("neg", "pos") if ending == "parquet" else ())


def test_a_table_by_itself_is_to_train_on_and_labels_may_be_names(tmp_path: Path) -> None:
    rows = [('say "good", twice\nor so', " pos "), ("bad", "neg"), ("fine", "")]
    file = classifiers.write_csv(tmp_path / "any.csv", rows, ("sentence", "label"))
    found = labelled_tables.read_parts(file, TEXT)["train"]
    assert found.examples[0] == rows[0][0]
    assert found.labels == ["pos", "neg", None]
    assert found.rows[0] == "row 2"  # as a spreadsheet counts


def test_labels_of_one_are_those_that_datasets_keep_back_and_without_a_column_there_are_none(tmp_path: Path) -> None:
    found = labelled_tables.read_parts(classifiers.write_csv(tmp_path / "a.csv", [("x", -1), ("y", 1)]), TEXT)["train"]
    assert found.labels == [None, 1]
    found = labelled_tables.read_parts(classifiers.write_csv(tmp_path / "b.csv", [("x",)], ("text",)), TEXT)["train"]
    assert found.labels == [None]


def test_a_datasets_directory_is_read_by_its_splits_or_as_one(tmp_path: Path) -> None:
    parts = datasets.DatasetDict(train=table(), dev=table(ROWS[:1]), unsupervised=table())
    parts.save_to_disk(tmp_path / "many")
    table().save_to_disk(tmp_path / "one")
    many = datasets_folder.read_parts(tmp_path / "many", TEXT)
    assert {name: len(part) for name, part in many.items()} == {"train": 3, "validation": 1}
    (one,) = datasets_folder.read_parts(tmp_path / "one", TEXT).values()
    assert (one.examples, one.labels, one.names) == ([text for text, _ in ROWS], [1, 0, 1], ("neg", "pos"))


def test_pictures_of_a_datasets_directory_stay_bytes_or_files_until_they_are_asked_for(tmp_path: Path) -> None:
    classifiers.write_pictures(tmp_path / "p", 1)
    files = [str(tmp_path / "p" / colour / "0.png") for colour in classifiers.COLOURS]
    made = datasets.Dataset.from_dict({"image": [*files, None], "label": [0, 1, 2, 0]})
    made = made.cast_column("image", datasets.Image())
    made.save_to_disk(tmp_path / "set")
    (found,) = datasets_folder.read_parts(tmp_path / "set", PICTURE).values()
    assert found.examples[0] == Path(files[0]).read_bytes()
    with pytest.raises(InputError, match=r"set, row 4: no picture in 'image'; remove the row"):
        found.examples[3]


def test_folders_of_pictures_are_classes_with_parts_or_without(tmp_path: Path) -> None:
    classifiers.write_pictures(tmp_path / "many" / "train", 2)
    classifiers.write_pictures(tmp_path / "many" / "val", 1)
    parts = picture_folders.read_parts(tmp_path / "many")
    assert {name: len(part) for name, part in parts.items()} == {"train": 6, "validation": 3}
    assert parts["train"].labels == ["blue", "blue", "green", "green", "red", "red"]
    (alone,) = picture_folders.read_parts(tmp_path / "many" / "val").values()
    assert alone.rows == ["blue/0.png", "green/0.png", "red/0.png"]


def test_parts_are_named_as_people_name_them() -> None:
    names = ["train", "Training", "val", "dev", "valid", "test-00000-of-00001", "evaluation", "other", "test_matched"]
    assert [part_of(name) for name in names] == [
        *("train", "train", "validation", "validation", "validation", "test", "test", None, None)
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("one,two\n1,2\n", r"train\.csv has the columns one, two; name one of them 'text' or 'sentence'"),
        ("", r"train\.csv cannot be read: No columns"),
        ("text,label\na,1\n,0\n", r"train\.csv, row 3: the text is empty; remove the row"),
    ],
)
def test_a_table_that_is_not_right_is_one_line(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        check_texts(labelled_tables.read_parts(tmp_path, TEXT)["train"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"train\.jsonl, line 2: malformed"),
        ("[1]", r"train\.jsonl, line 2: expected object, got array"),
        ('{"text": 3, "label": 0}', r"train\.jsonl, row 2: expected a text, got 3"),
        ('{"text": "a", "label": 0.5}', r"train\.jsonl, row 2: the label 0\.5 is no class; expected a whole number"),
        ('{"text": "a", "label": true}', "the label True is no class"),
    ],
)
def test_a_line_that_is_not_right_is_told_by_its_number(line: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"text": "a", "label": 0}\n' + line)
    with pytest.raises(InputError, match=message):
        check_texts(labelled_tables.read_parts(tmp_path, TEXT)["train"])


def _without_arrow(folder: Path) -> None:
    next(folder.glob("train/*.arrow")).unlink()


def _cut_short(folder: Path) -> None:
    file = next(folder.glob("train/*.arrow"))
    file.write_bytes(file.read_bytes()[:50])


def _of_a_later_version(folder: Path) -> None:
    features = {"info": {"features": {"text": {"_type": "Video3D"}}}}
    found = pa.table({"text": ["a"]}).replace_schema_metadata({"huggingface": json.dumps(features)})
    with pa.ipc.new_stream(next(folder.glob("train/*.arrow")), found.schema) as file:
        file.write_table(found)


def _of_elsewhere(folder: Path) -> None:
    (folder / "train" / "state.json").write_text('{"_data_files": [{"filename": "../other.arrow"}]}')


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_without_arrow, r"train/data-00000-of-00001\.arrow does not exist"),
        (_cut_short, r"train/data-00000-of-00001\.arrow cannot be read"),
        (_of_a_later_version, r"train/data-00000-of-00001\.arrow cannot be read: .*Video3D"),
        (_of_elsewhere, r"state\.json, _data_files\[0\]\.filename: expected str matching"),
        (lambda folder: (folder / "train" / "state.json").write_text("{"), r"state\.json: malformed"),
        (lambda folder: shutil.rmtree(folder / "train"), r"train/state\.json does not exist"),
        (lambda folder: (folder / "dataset_dict.json").write_text("[]"), r"dataset_dict\.json: expected object"),
        (
            lambda folder: (folder / "dataset_dict.json").write_text('{"splits": ["all"]}'),
            r"set holds all; name one of these splits 'train'",
        ),
        (
            lambda folder: (folder / "dataset_dict.json").write_text('{"splits": ["val", "dev"]}'),
            r"set holds val, dev, some of which are the same part; remove one of them",
        ),
    ],
)
def test_a_broken_datasets_directory_is_one_line(damage: object, message: str, tmp_path: Path) -> None:
    datasets.DatasetDict(train=table()).save_to_disk(tmp_path / "set")
    assert callable(damage)
    damage(tmp_path / "set")
    with pytest.raises(InputError, match=message) as caught:
        datasets_folder.read_parts(tmp_path / "set", TEXT)
    assert "\n" not in str(caught.value)


def test_folders_that_hold_no_classes_or_no_pictures_are_named(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    with pytest.raises(InputError, match=r"train holds no folders; make one for each class"):
        picture_folders.read_parts(tmp_path)
    (tmp_path / "train" / "cat").mkdir()
    with pytest.raises(InputError, match=r"train/cat holds no picture that ends in .*; add some, or remove the folder"):
        picture_folders.read_parts(tmp_path)
    (tmp_path / "Train").mkdir()
    with pytest.raises(InputError, match=r"the part that Train is already; remove one of them"):
        picture_folders.read_parts(tmp_path)
