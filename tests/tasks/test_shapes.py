from __future__ import annotations

import collections
import hashlib

import numpy as np
import pytest
import torch

from bstsearch.inputs.reader import Reader
from bstsearch.inputs.tokenizers import words_of
from bstsearch.model.lookup import get_preset
from bstsearch.tasks.shapes import IMAGES, Shapes
from bstsearch.tasks.shapes_questions import ANSWERS, FEW, KIND_OF, KINDS, QUESTIONS, SIMPLEST
from bstsearch.tasks.shapes_scenes import CELL, COLOURS, SHAPES, SIDE, draw_scenes, paint
from bstsearch.tasks.split import ImageSplit

Object = tuple[str, str, int, int]  # colour, shape, column, row


@pytest.fixture(scope="module")
def task() -> Shapes:
    return Shapes.build(None)


@pytest.fixture(scope="module")
def validation(task: Shapes) -> ImageSplit:
    return load("validation", task)


def load(name: str, task: Shapes, side: int = SIDE * CELL) -> ImageSplit:
    return task.split(name, Reader(like={"image": torch.zeros(1, side, side, 3, dtype=torch.uint8)}))


def seen(image: np.ndarray) -> list[Object]:
    """What lies in each cell, from the pixels alone: a square covers 36 of them, a circle 32, a triangle 24."""
    by_size = {36: "square", 32: "circle", 24: "triangle"}
    found = []
    for row, column in np.ndindex(SIDE, SIDE):
        cell = image[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL]
        for colour, value in COLOURS.items():
            if covered := int((cell == value).all(-1).sum()):
                found.append((colour, by_size[covered], column, row))
    return found


def meant(words: list[str], objects: list[Object]) -> list[Object]:
    """The objects that some words speak of."""
    said = {word.removesuffix("s") for word in words}
    return [
        found
        for found in objects
        if (found[0] in said or not said & COLOURS.keys()) and (found[1] in said or not said & set(SHAPES))
    ]


def answered(question: str, objects: list[Object]) -> str:
    """The right answer by looking, one question at a time."""
    words = words_of(question)
    if words[:2] == ["is", "there"]:
        return "yes" if meant(words, objects) else "no"
    if "more" in words:
        than = words.index("than")
        return "yes" if len(meant(words[:than], objects)) > len(meant(words[than:], objects)) else "no"
    if "nearest" in words:
        (one,) = meant(words[words.index("to") :], objects)
        distances = {other: (other[2] - one[2]) ** 2 + (other[3] - one[3]) ** 2 for other in objects if other != one}
        (nearest,) = (other for other, distance in distances.items() if distance == min(distances.values()))
        return nearest[1] if "shape" in words else nearest[0]
    if {"on", "at"} & set(words):
        (one,) = meant(words, objects)
        return "yes" if one[2 if "left" in words else 3] < SIDE // 2 else "no"
    if "many" in words:
        return str(len(meant(words, objects)))
    (one,) = meant(words[2:], objects)
    return one[1] if "shape" in words else one[0]


def asked(task: Shapes, tokens: torch.Tensor) -> str:
    return " ".join(task.vocabulary.words[token - 2] for token in tokens.tolist() if token)


def test_every_answer_can_be_read_off_the_picture(task: Shapes, validation: ImageSplit) -> None:
    objects = [seen(image) for image in validation.images.numpy()]
    for tokens, image, answer in zip(
        validation.questions["question"], validation.image_of, validation.answers, strict=True
    ):
        assert task.vocabulary.answers[answer] == answered(asked(task, tokens), objects[image])


def test_each_kind_is_asked_and_none_twice_about_a_picture(task: Shapes, validation: ImageSplit) -> None:
    assert set(validation.kinds) == {kind.name for kind in KINDS} | {SIMPLEST}
    assert len(validation) > 7 * IMAGES["validation"]
    rows = torch.cat([validation.image_of[:, None], validation.questions["question"]], 1)
    assert len(torch.unique(rows, dim=0)) == len(validation)
    assert max(len(words_of(question)) for question in QUESTIONS) == task.vocabulary.question_length
    assert not {1} & set(validation.questions["question"].flatten().tolist())  # the unknown word
    assert len(set(QUESTIONS)) == len(QUESTIONS) == len(KIND_OF)


def test_a_question_does_not_tell_its_answer(validation: ImageSplit) -> None:
    by_kind: dict[str, collections.Counter[int]] = collections.defaultdict(collections.Counter)
    for kind, answer in zip(validation.kinds, validation.answers.tolist(), strict=True):
        by_kind[kind][answer] += 1
    del by_kind[SIMPLEST]
    shares = {kind: max(counts.values()) / counts.total() for kind, counts in by_kind.items()}
    assert all(shares[kind] < 0.54 for kind in ("exist", "compare", "half"))
    assert all(shares[kind] < 0.35 for kind in ("what", "count"))
    of_question: dict[tuple[int, ...], collections.Counter[int]] = collections.defaultdict(collections.Counter)
    for kind, tokens, answer in zip(
        validation.kinds, validation.questions["question"], validation.answers, strict=True
    ):
        if kind in ("exist", "compare"):
            of_question[tuple(tokens.tolist())][int(answer)] += 1
    blind = sum(max(counts.values()) for counts in of_question.values())
    assert blind / sum(counts.total() for counts in of_question.values()) < 0.62


def test_training_begins_with_what_one_of_few_objects_is(task: Shapes, validation: ImageSplit) -> None:
    rows = validation.first_lesson().tolist()
    assert len(rows) > 200
    assert {asked(task, validation.questions["question"][row]).split()[0] for row in rows} == {"what"}
    images = validation.images[validation.image_of[rows]].numpy()
    assert {len(seen(image)) for image in images} == set(range(2, FEW + 1))


def test_the_same_numbers_come_out_every_time(task: Shapes, validation: ImageSplit) -> None:
    again = load("validation", task)
    assert torch.equal(again.questions["question"], validation.questions["question"])
    for name in ("image_of", "answers", "images"):
        assert torch.equal(getattr(again, name), getattr(validation, name))
    digest = hashlib.sha256(validation.questions["question"].numpy().tobytes())
    for name in ("image_of", "answers", "images"):
        digest.update(getattr(validation, name).numpy().tobytes())
    assert digest.hexdigest()[:16] == "131f21bce20ed69e"


def test_no_picture_is_in_two_parts(task: Shapes, validation: ImageSplit) -> None:
    parts = [validation, load("test", task), load("train", task)]
    pictures = [{image.tobytes() for image in part.images.numpy()} for part in parts]
    assert [len(found) for found in pictures] == [IMAGES[name] for name in ("validation", "test", "train")]
    assert len(set.union(*pictures)) == sum(IMAGES.values())


def test_every_number_of_objects_is_drawn_and_no_cell_holds_two() -> None:
    scenes = draw_scenes(2_000, np.random.default_rng(3))
    counts = np.bincount((scenes.colours >= 0).sum(1), minlength=10)
    assert counts[:2].sum() == 0
    assert (counts[2:] > 200).all()
    np.testing.assert_array_equal(scenes.colours >= 0, scenes.shapes >= 0)
    assert paint(scenes).shape == (2_000, SIDE * CELL, SIDE * CELL, 3)


def test_the_preset_has_exactly_the_sizes_of_the_data(task: Shapes) -> None:
    _, config = get_preset("mcan-shapes")
    assert (config.vocab, config.answers) == (task.vocabulary.size, len(ANSWERS))
    assert config.question_length == task.vocabulary.question_length
    assert config.image_side == SIDE * CELL
    assert config.visual_tokens == SIDE**2  # one token per cell


def test_pictures_come_in_the_size_that_the_model_reads(task: Shapes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bstsearch.tasks.shapes.IMAGES", {"train": 3, "validation": 3, "test": 3})
    assert load("test", task, side=96).images.shape == (3, 96, 96, 3)
