from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from synthetic import write_gqa, write_json

from bstsearch.errors import InputError
from bstsearch.formats import gqa_questions
from bstsearch.inputs.reader import Reader
from bstsearch.tasks.gqa import Gqa
from bstsearch.tasks.vocabulary import Vocabulary

WORDS = {"PAD": 0, "UNK": 1, "CLS": 2, "is": 3, "it": 4, "what": 5, "color": 6}
LIKE = {"question": torch.zeros(1, 29), "regions": torch.zeros(1, 7, 8), "boxes": torch.zeros(1, 7, 4)}


@pytest.fixture(params=[False, True], ids=["npz", "h5"])
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return write_gqa(tmp_path / "gqa", is_h5=request.param)


@pytest.fixture
def vocabulary(folder: Path) -> Vocabulary:
    return Gqa.build_vocabulary(folder)


def test_classes_are_called_by_the_raw_answers(vocabulary: Vocabulary) -> None:
    assert vocabulary.answers == ("t-shirt", "yes", "no", "dog")


def test_openvqas_lists_decide_words_and_classes_but_not_spelling(folder: Path) -> None:
    ids = {"dog": 0, "t shirt": 1, "no": 2, "yes": 3}
    words = {"PAD": 0, "UNK": 1, "CLS": 2, "is": 3, "it": 4}
    write_json(folder / "dicts.json", [ids, {str(i): name for name, i in ids.items()}, words, 6])
    found = Gqa.build_vocabulary(folder)
    assert (found.answers, found.words, found.question_length) == (("dog", "t-shirt", "no", "yes"), ("is", "it"), 6)


def test_a_model_scores_the_same_whichever_way_its_words_came(folder: Path) -> None:
    """dicts.json alone has normalised answers, which the evaluation compares with what people wrote."""
    normal = ("dog", "t shirt", "no", "yes")
    write_json(folder / "dicts.json", [{name: i for i, name in enumerate(normal)}, {}, WORDS, 29])
    names, words, length = gqa_questions.parse_dicts(folder / "dicts.json")
    alone = Vocabulary(data="gqa", words=words, answers=names, question_length=length, tokenizer="openvqa")
    beside = Gqa.build_vocabulary(folder)
    assert (alone.answers, beside.answers) == (normal, ("dog", "t-shirt", "no", "yes"))
    predicted = torch.arange(12) % 4
    for name in ("validation", "test"):
        one, other = (Gqa(words, folder).split(name, Reader(like=LIKE)) for words in (alone, beside))
        assert one.score(predicted) == other.score(predicted)
        assert one.details(predicted) == other.details(predicted)
        assert one.results(predicted) == other.results(predicted)
        for mine, theirs in zip(one.batches(12), other.batches(12), strict=True):
            assert torch.equal(mine.inputs["question"], theirs.inputs["question"])
            assert torch.equal(mine.targets, theirs.targets)


def test_withheld_answers_make_a_split_without_answers(folder: Path, vocabulary: Vocabulary) -> None:
    path = folder / "raw" / "testdev_balanced_questions.json"
    data = json.loads(path.read_text())
    del data["testdev0003"]["answer"]
    path.write_text(json.dumps(data))
    with pytest.raises(InputError, match=r"testdev_.*\.json: question 'testdev0003' has no answer, but others have"):
        Gqa(vocabulary, folder).split("test", Reader(like=LIKE))
    for record in data.values():
        record["answer"] = None
    path.write_text(json.dumps(data))
    split = Gqa(vocabulary, folder).split("test", Reader(like=LIKE))
    assert not split.has_targets
    assert len(split.results(torch.zeros(12, dtype=torch.int64))) == 12
    with pytest.raises(InputError, match=r"testdev_balanced_questions\.json: without answers"):
        split.check_scorable()


def test_without_a_balanced_question_there_is_no_score(folder: Path, vocabulary: Vocabulary) -> None:
    path = folder / "raw" / "val_balanced_questions.json"
    path.write_text(path.read_text().replace('"isBalanced": true', '"isBalanced": false'))
    split = Gqa(vocabulary, folder).split("validation", Reader(like=LIKE))
    with pytest.raises(InputError, match=r"val_balanced_questions\.json has no balanced question"):
        split.score(torch.zeros(12, dtype=torch.int64))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{"a": 0}, {}, WORDS], "expected array of length 4"),
        ([{"a": 0}, {}, WORDS, 0], r", \[3\]: expected int >= 1"),
        ([{"a": "0"}, {}, WORDS, 29], r": expected int, got str"),
        ([{"a": 1}, {}, WORDS, 29], "must number its 1 answers from 0 on"),
        ([{"a": 0}, {}, {"is": 0}, 29], "the words must begin with PAD, UNK, CLS"),
        ({}, "expected array, got object"),
    ],
)
def test_openvqas_lists_are_held_to_what_they_are(folder: Path, content: object, message: str) -> None:
    write_json(folder / "dicts.json", content)
    with pytest.raises(InputError, match=rf"^{re.escape(str(folder))}/dicts\.json.*{message}"):
        Gqa.build_vocabulary(folder)


def test_a_batch_holds_regions_boxes_and_class_ids(folder: Path, vocabulary: Vocabulary) -> None:
    split = Gqa(vocabulary, folder).split("validation", Reader(like=LIKE))
    batch = next(split.batches(5))
    assert batch.targets.tolist() == [0, 1, 2, 3, 0]
    assert batch.inputs["regions"].shape == (5, 7, 8)
    assert batch.inputs["regions"][0, 4].any()
    assert not batch.inputs["regions"][0, 6].any()
    assert 0 <= batch.inputs["boxes"].min() <= batch.inputs["boxes"].max() <= 1


def test_only_balanced_questions_count_and_spelling_matters(folder: Path, vocabulary: Vocabulary) -> None:
    split = Gqa(vocabulary, folder).split("validation", Reader(like=LIKE))
    right = torch.arange(12) % 4
    found = split.score(right)
    assert (found.correct, found.total) == (10, 10)  # rows 5 and 11 are not balanced
    assert split.values(right) is None, "the score is no mean over all rows"
    details = split.details(right)
    assert (details["binary"], details["open"]) == (100.0, 100.0)
    assert details["openvqa"] == pytest.approx(70.0)  # "t shirt" is not "t-shirt"
    assert split.results(right)[0] == {"questionId": "val0000", "prediction": "t-shirt"}


def test_of_balanced_questions_each_right_answer_is_worth_one(folder: Path, vocabulary: Vocabulary) -> None:
    path = folder / "raw" / "val_balanced_questions.json"
    path.write_text(path.read_text().replace('"isBalanced": false', '"isBalanced": true'))
    split = Gqa(vocabulary, folder).split("validation", Reader(like=LIKE))
    predicted = torch.tensor([0, 1, 2, 0] * 3)
    values = split.values(predicted)
    assert values is not None
    assert values.tolist() == [1.0, 1.0, 1.0, 0.0] * 3
    assert values.mean() == split.score(predicted).value


def test_an_answer_outside_the_vocabulary_is_never_right(folder: Path, vocabulary: Vocabulary) -> None:
    path = folder / "raw" / "val_balanced_questions.json"
    data = json.loads(path.read_text())
    data["val0000"]["answer"] = "submarine"
    path.write_text(json.dumps(data))
    split = Gqa(vocabulary, folder).split("validation", Reader(like=LIKE))
    batch = next(split.batches(12))
    assert batch.targets[0] == -100
    logits = torch.nn.functional.one_hot(torch.arange(12) % 4, 4).float()
    assert split.right(logits, batch.targets).tolist() == [0.0] + [1.0] * 11
    assert split.score(torch.arange(12) % 4).correct == 9


def test_damaged_files_are_named(folder: Path, vocabulary: Vocabulary) -> None:
    path = folder / "raw" / "val_balanced_questions.json"
    text = path.read_text()
    for content, message in (
        (text[:-20], "truncated"),
        ("[]", "expected object, got array"),
        ("{}", "has no questions"),
        (text.replace('"imageId": "2001"', '"imageId": "9999"'), "image 9999"),
    ):
        path.write_text(content)
        with pytest.raises(InputError, match=message):
            Gqa(vocabulary, folder).split("validation", Reader(like=LIKE))


def test_a_vocabulary_of_other_answers_is_refused(folder: Path, vocabulary: Vocabulary) -> None:
    other = Vocabulary(data="gqa", words=("is",), answers=("a", "b"), question_length=5, tokenizer="openvqa")
    with pytest.raises(InputError, match="is it another data set's"):
        Gqa(other, folder).split("validation", Reader(like=LIKE))


def test_an_h5_file_without_the_image_is_named(tmp_path: Path) -> None:
    folder = write_gqa(tmp_path / "gqa", is_h5=True)
    vocabulary = Gqa.build_vocabulary(folder)
    split = Gqa(vocabulary, folder).split("validation", Reader(like=LIKE))
    (folder / "gqa_objects_1.h5").unlink()
    with pytest.raises(InputError, match=r"gqa_objects_1.h5 does not exist"):
        list(split.batches(4))
    info = folder / "gqa_objects_info.json"
    places = json.loads(info.read_text())
    places["2000"]["idx"] = 50
    info.write_text(json.dumps(places))
    split = Gqa(vocabulary, folder).split("validation", Reader(like=LIKE))
    with pytest.raises(InputError, match=r"gqa_objects_0.h5, image '2000': features is .* gives idx 50"):
        list(split.batches(1))
