from __future__ import annotations

import easy_vqa
import pytest
import torch

from bstsearch.errors import InputError, UsageError
from bstsearch.inputs.reader import Reader
from bstsearch.model.supernet_folder import SUPERNETS
from bstsearch.tasks import get_task, load_split
from bstsearch.tasks.easy_vqa import EasyVqa, _split_of
from bstsearch.tasks.split import ImageSplit
from bstsearch.tasks.vocabulary import Vocabulary

READER = Reader(like={"image": torch.zeros(1, 64, 64, 3, dtype=torch.uint8)})


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return EasyVqa.build_vocabulary()


@pytest.fixture(scope="module")
def validation(vocabulary: Vocabulary) -> ImageSplit:
    return EasyVqa(vocabulary).split("validation", READER)


def test_the_vocabulary_is_that_of_the_data_set(vocabulary: Vocabulary) -> None:
    assert len(vocabulary.words) == 26
    assert len(vocabulary.answers) == 13
    assert vocabulary.encode("does the image not contain a gray shape?").tolist()[-2:] == [0, 0]


def test_no_image_is_in_both_training_and_validation() -> None:
    _, _, image_ids = easy_vqa.get_train_questions()
    parts: dict[int, set[str]] = {}
    for image in image_ids:
        parts.setdefault(image, set()).add(_split_of(image))
    assert all(len(names) == 1 for names in parts.values())
    counts = [sum(names == {name} for names in parts.values()) for name in ("train", "validation")]
    assert counts == [3500, 500]


def test_a_split_pairs_each_question_with_its_image_and_answer(vocabulary: Vocabulary, validation: ImageSplit) -> None:
    questions, answers, image_ids = easy_vqa.get_train_questions()
    first = next(row for row, image in enumerate(image_ids) if _split_of(image) == "validation")
    assert validation.questions["question"][0].tolist() == vocabulary.encode(questions[first]).tolist()
    assert vocabulary.answers[validation.answers[0]] == answers[first]
    assert validation.images[validation.image_of[0]].shape == (64, 64, 3)


def test_the_parts_have_the_published_sizes(vocabulary: Vocabulary, validation: ImageSplit) -> None:
    # 38,575 questions in the official training part, 9,673 in the test part (the package's own README).
    train_questions, _, image_ids = easy_vqa.get_train_questions()
    in_training = sum(_split_of(image) == "train" for image in image_ids)
    assert in_training + len(validation) == len(train_questions) == 38_575
    assert len(EasyVqa(vocabulary).split("test", READER)) == 9_673


def test_batches_cover_the_split_in_the_order_asked_for(validation: ImageSplit) -> None:
    part = validation.head(10)
    order = torch.tensor([9, 3, 5])
    batches = list(part.batches(2, order))
    assert [len(batch.targets) for batch in batches] == [2, 1]
    assert torch.equal(torch.cat([batch.inputs["question"] for batch in batches]), part.questions["question"][order])
    assert sum(len(batch.targets) for batch in part.batches(4)) == 10


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UsageError, match="unknown split 'dev'"):
        load_split(SUPERNETS / "easy-vqa", "dev")
    with pytest.raises(InputError, match="unknown task 'vqa-v9'"):
        get_task("vqa-v9")
