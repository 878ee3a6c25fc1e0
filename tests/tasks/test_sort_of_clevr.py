from __future__ import annotations

import collections
import hashlib
import re
from typing import Any

import numpy as np
import pytest
import torch

from bstsearch.errors import InputError
from bstsearch.inputs.pictures import LETTERBOX, PictureReader
from bstsearch.inputs.reader import Reader
from bstsearch.inputs.tokenizers import words_of
from bstsearch.model.lookup import get_preset
from bstsearch.tasks import sort_of_clevr
from bstsearch.tasks.sort_of_clevr import IMAGES, KINDS, QUESTIONS, SortOfClevr, enlarged
from bstsearch.tasks.sort_of_clevr_scenes import COLOURS, SHAPES, SIDE, Scenes, draw_scenes, paint
from bstsearch.tasks.split import ImageSplit
from bstsearch.tasks.task import Batch
from bstsearch.tasks.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return SortOfClevr.build_vocabulary()


@pytest.fixture(scope="module")
def validation(vocabulary: Vocabulary) -> ImageSplit:
    return load("validation", vocabulary)


@pytest.fixture(scope="module")
def few() -> Scenes:
    return draw_scenes(50, np.random.default_rng(3))


PICTURES = {"image": torch.zeros(1, 80, 80, 3, dtype=torch.uint8)}


def load(name: str, vocabulary: Vocabulary, like: dict[str, torch.Tensor] = PICTURES) -> Any:
    return SortOfClevr(vocabulary).split(name, Reader(like=like))


def asked(vocabulary: Vocabulary, tokens: torch.Tensor) -> str:
    return " ".join(vocabulary.words[token - 2] for token in tokens.tolist() if token)


def seen(image: np.ndarray) -> dict[str, tuple[float, float, str]]:
    """Colour -> where its object is and what shape it has, from the pixels alone."""
    found = {}
    for name, colour in COLOURS.items():
        rows, columns = np.nonzero((image == colour).all(-1))
        area = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        found[name] = (columns.mean(), rows.mean(), "square" if len(rows) == area else "circle")
    return found


def answered(question: str, objects: dict[str, tuple[float, float, str]], middle: float) -> str:
    """The right answer by looking, one question at a time."""
    (colour,) = objects.keys() & set(question.split())
    x, y, shape = objects[colour]
    others = [other for name, other in objects.items() if name != colour]
    distances = [(x - other[0]) ** 2 + (y - other[1]) ** 2 for other in others]
    if "left" in question:
        return "yes" if x < middle else "no"
    if "top" in question:
        return "yes" if y < middle else "no"
    if "closest" in question:
        return others[int(np.argmin(distances))][2]
    if "furthest" in question:
        return others[int(np.argmax(distances))][2]
    if "many" in question:
        return str(1 + sum(other[2] == shape for other in others))
    return shape


def test_every_answer_can_be_read_off_the_picture(vocabulary: Vocabulary, validation: ImageSplit) -> None:
    objects = [seen(image) for image in validation.images.numpy()]
    for tokens, image, answer in zip(
        validation.questions["question"], validation.image_of, validation.answers, strict=True
    ):
        expected = answered(asked(vocabulary, tokens), objects[image], middle=2 + SIDE // 2)
        assert vocabulary.answers[answer] == expected


def test_relational_questions_are_those_about_other_objects(vocabulary: Vocabulary, validation: ImageSplit) -> None:
    for tokens, kind in zip(validation.questions["question"][:200], validation.kinds, strict=False):
        is_about_others = {"closest", "furthest", "many"} & set(asked(vocabulary, tokens).split())
        assert (kind == "relational") == bool(is_about_others)


@pytest.mark.parametrize("preset", ["mcan-sort-of-clevr", "mcan-objects-sort-of-clevr"])
def test_the_presets_have_exactly_the_sizes_of_the_data(vocabulary: Vocabulary, preset: str) -> None:
    _, config = get_preset(preset)
    assert (config.vocab, config.answers) == (vocabulary.size, len(vocabulary.answers))
    longest = max(len(words_of(question)) for question in QUESTIONS)
    assert config.question_length == vocabulary.question_length == longest


def test_an_image_has_ten_questions_of_each_kind_and_none_twice(validation: ImageSplit) -> None:
    assert len(validation) == len(validation.kinds) == 20 * IMAGES["validation"]
    for image in range(0, IMAGES["validation"], 50):
        rows = (validation.image_of == image).nonzero().flatten().tolist()
        assert [validation.kinds[row] for row in rows] == [KINDS[0]] * 10 + [KINDS[1]] * 10
        assert len({tuple(validation.questions["question"][row].tolist()) for row in rows}) == 20


def test_the_same_numbers_come_out_every_time(vocabulary: Vocabulary, validation: ImageSplit) -> None:
    again = load("validation", vocabulary)
    assert torch.equal(again.questions["question"], validation.questions["question"])
    total = hashlib.sha256(validation.questions["question"].numpy().tobytes())
    for name in ("image_of", "images", "answers"):
        first, second = getattr(validation, name), getattr(again, name)
        assert torch.equal(first, second)
        total.update(first.numpy().tobytes())
    # Of the first version; a change would make published accuracies mean something else.
    assert total.hexdigest()[:16] == "d5177480cc98f359"


def test_no_image_is_in_two_parts(vocabulary: Vocabulary, validation: ImageSplit) -> None:
    parts = [load("train", vocabulary), validation, load("test", vocabulary)]
    assert [len(part.images) for part in parts] == list(IMAGES.values())
    digests = {hashlib.sha256(image.numpy().tobytes()).digest() for part in parts for image in part.images}
    assert len(digests) == sum(IMAGES.values())


def test_no_two_objects_touch_and_all_are_inside(few: Scenes) -> None:
    for image, shapes in zip(paint(few), few.shapes, strict=True):
        covered = [(image == colour).all(-1) for colour in COLOURS.values()]
        # A square covers 121 pixels, a disc 97; a hidden pixel would be missing.
        assert [int(mask.sum()) for mask in covered] == [(121, 97)[shape] for shape in shapes]
        grown = [_grown_by_one(mask) for mask in covered]
        assert not any((grown[a] & covered[b]).any() for a in range(6) for b in range(6) if a != b)


def _grown_by_one(mask: np.ndarray) -> np.ndarray:
    padded = np.pad(mask, 1)
    shifts = [padded[y : y + SIDE, x : x + SIDE] for y in range(3) for x in range(3)]
    grown: np.ndarray = np.stack(shifts).max(axis=0)
    return grown


def test_no_question_has_two_right_answers(few: Scenes) -> None:
    assert (few.centres != SIDE // 2).all()
    for centres in few.centres:
        for index, centre in enumerate(centres):
            distances = sorted(((np.delete(centres, index, 0) - centre) ** 2).sum(-1))
            assert distances[0] < distances[1]
            assert distances[-2] < distances[-1]


def test_objects_lie_everywhere_and_have_both_shapes() -> None:
    scenes = draw_scenes(2000, np.random.default_rng(4))
    assert scenes.centres.min(axis=(0, 1)).tolist() == [5, 5]
    assert scenes.centres.max(axis=(0, 1)).tolist() == [69, 69]
    # Each colour is treated alike: the mean place is the middle, to four standard errors (about 21 / sqrt(2000)).
    assert np.abs(scenes.centres.mean(0) - SIDE // 2).max() < 4 * 21 / np.sqrt(2000)
    assert np.abs(scenes.shapes.mean(0) - 0.5).max() < 4 * 0.5 / np.sqrt(2000)


def test_the_classes_are_as_balanced_as_the_questions_allow(vocabulary: Vocabulary, validation: ImageSplit) -> None:
    shares: dict[str, float] = collections.defaultdict(float)
    for kind, answer in zip(validation.kinds, validation.answers.tolist(), strict=True):
        shares[f"{kind} {re.sub('[1-6]', 'count', vocabulary.answers[answer])}"] += 100 / len(validation)
    third = 50 / 3
    expected = {
        "non-relational yes": third,
        "non-relational no": third,
        "non-relational square": third / 2,
        "non-relational circle": third / 2,
        "relational square": third,
        "relational circle": third,
        "relational count": third,
    }
    assert shares == pytest.approx(expected, abs=1.5)
    counts = torch.bincount(validation.answers, minlength=10)[:6].float()
    # Itself and five others of an even chance each: binomial, 1 5 10 10 5 1 in 32.
    binomial = torch.tensor([1, 5, 10, 10, 5, 1]) / 32
    assert torch.allclose(counts / counts.sum(), binomial, atol=0.04)


def test_accuracy_is_given_for_each_kind(validation: ImageSplit) -> None:
    is_relational = torch.tensor([kind == "relational" for kind in validation.kinds])
    predicted = torch.where(is_relational, (validation.answers + 1) % 10, validation.answers)
    assert validation.details(predicted) == {"non-relational": 100.0, "relational": 0.0}
    assert validation.score(predicted).value == 0.5


@pytest.mark.parametrize(("side", "drawn", "before"), [(75, 75, 0), (80, 75, 2), (224, 150, 37)])
def test_pictures_are_framed_without_blurring(few: Scenes, side: int, drawn: int, before: int) -> None:
    small = paint(few)[:2]
    large = enlarged(small, side)
    assert large.shape == (2, side, side, 3)
    inside = large[:, before : before + drawn, before : before + drawn]
    times = drawn // SIDE
    np.testing.assert_array_equal(inside[:, ::times, ::times], small)
    assert (large == 255).sum() - (inside == 255).sum() == 2 * 3 * (side**2 - drawn**2)


def test_images_come_as_the_model_reads_them(vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sort_of_clevr, "IMAGES", {"train": 3, "validation": 3, "test": 3})
    picture = PictureReader(height=96, width=96, fit=LETTERBOX, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    clip = SortOfClevr(vocabulary).split("test", Reader(like={}, picture=picture))
    batch = next(clip.batches(4))
    assert batch.inputs["image"].shape == (4, 3, 96, 96)
    assert batch.inputs["image"].dtype == torch.float32
    with pytest.raises(InputError, match="images of 75 pixels a side, but the model reads 64"):
        load("test", vocabulary, {"image": torch.zeros(1, 64, 64, 3, dtype=torch.uint8)})


def test_objects_are_what_the_picture_shows(vocabulary: Vocabulary, validation: ImageSplit) -> None:
    family, config = get_preset("mcan-objects-sort-of-clevr")
    objects = load("validation", vocabulary, family.example_inputs(config, 1))
    assert torch.equal(objects.questions["question"], validation.questions["question"])
    for name in ("image_of", "answers"):
        assert torch.equal(getattr(objects, name), getattr(validation, name))
    rows = torch.arange(0, len(objects), 997)
    (found,), (pictures,) = (list(split.batches(len(rows), rows)) for split in (objects, validation))
    assert found.inputs.keys() == {"question", "regions", "boxes"}
    for picture, regions, boxes in zip(pictures.inputs["image"].numpy(), *_of(found, "regions", "boxes"), strict=True):
        shown = seen(picture[2:-3, 2:-3])
        for (x, y, shape), colour, features, box in zip(shown.values(), np.eye(6), regions, boxes, strict=True):
            assert features.tolist() == [*colour, shape == "square", shape == "circle"]
            corners = np.array([x - 5, y - 5, x + 6, y + 6]) / SIDE
            np.testing.assert_allclose(box, corners, rtol=1e-6)


def _of(batch: Batch, *names: str) -> list[np.ndarray]:
    return [batch.inputs[name].numpy() for name in names]


def test_a_model_of_other_features_is_refused(vocabulary: Vocabulary) -> None:
    like = {"regions": torch.zeros(1, 100, 2048), "boxes": torch.zeros(1, 100, 4)}
    with pytest.raises(InputError, match=r"of 8 features and a box of 4 numbers each, but .* regions \(100, 2048\)"):
        load("test", vocabulary, like)


def test_training_begins_with_the_questions_about_one_object(validation: ImageSplit) -> None:
    assert {validation.kinds[row] for row in validation.first_lesson().tolist()} == {"non-relational"}
    assert len(validation.first_lesson()) == len(validation) // 2


def test_both_spellings_of_gray_are_understood(vocabulary: Vocabulary) -> None:
    assert vocabulary.encode("What shape is the grey object?").tolist() == vocabulary.encode(QUESTIONS[4]).tolist()
    assert set(SHAPES) <= set(vocabulary.answers)
