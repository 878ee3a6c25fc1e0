"""Sort-of-CLEVR: six coloured shapes per image, questions about one of them or how they lie (generated).

Santoro et al., 2017 (arXiv 1706.01427), section on Sort-of-CLEVR. There is nothing to download: the same
numbers come out on every machine. Each image has 10 of the 18 possible non-relational questions, and 10 of the 18
possible relational ones; none is asked twice. Questions are in words here; the paper encodes them as bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from bstsearch.errors import InputError
from bstsearch.inputs.reader import Reader
from bstsearch.tasks import sort_of_clevr_scenes as scenes_of
from bstsearch.tasks.sort_of_clevr_scenes import BACKGROUND, COLOURS, SHAPES, Scenes
from bstsearch.tasks.split import ImageSplit, ObjectSplit
from bstsearch.tasks.vocabulary import Vocabulary
from bstsearch.tasks.vqa import VqaTask

# As many training images as in the public generator; more held-out ones than its 200, for narrower intervals.
IMAGES = {"train": 9_800, "validation": 500, "test": 1_000}
SEED = 1706_01427  # each part draws from a stream of its own: the seed and the part's place in IMAGES
QUESTION_LENGTH = 12
ASKED = 10  # questions of each kind about an image
KINDS = ("non-relational", "relational")
TEMPLATES = (
    "what shape is the {} object?",
    "is the {} object on the left?",
    "is the {} object at the top?",
    "what is the shape of the object closest to the {} object?",
    "what is the shape of the object furthest from the {} object?",
    "how many objects have the shape of the {} object?",
)
QUESTIONS = tuple(template.format(colour) for template in TEMPLATES for colour in COLOURS)
ANSWERS = (*SHAPES, "yes", "no", *map(str, range(1, len(COLOURS) + 1)))


class SortOfClevr(VqaTask):
    """Sort-of-CLEVR, drawn again each time it is built."""

    name = "sort-of-clevr"
    is_packaged = True
    recipes = ("curriculum",)

    @classmethod
    def build_vocabulary(cls, data_dir: Path | None = None) -> Vocabulary:  # noqa: ARG003
        """The words of the 36 questions and the 10 answers."""
        return Vocabulary.build(cls.name, QUESTIONS, ANSWERS, QUESTION_LENGTH)

    def split(self, name: str, reader: Reader) -> ImageSplit | ObjectSplit:
        """As `Task.split`: images of the model's size, or objects where it reads regions."""
        random = np.random.default_rng([SEED, list(IMAGES).index(name)])
        scenes = scenes_of.draw_scenes(IMAGES[name], random)
        shared = _questions(scenes, random, self.vocabulary, reader)
        if "regions" in reader.like:
            return _of_objects(scenes, reader.like, shared)
        picture = reader.needed_picture("this data set has images")
        images = enlarged(scenes_of.paint(scenes), min(picture.height, picture.width))
        fitting = np.stack([picture.pixels(Image.fromarray(image)) for image in images])
        return ImageSplit(images=torch.from_numpy(fitting), picture=picture, **shared)


def _questions(scenes: Scenes, random: np.random.Generator, vocabulary: Vocabulary, reader: Reader) -> dict[str, Any]:
    """What a split holds beside the scenes, whatever a model sees of them."""
    asked = _draw_questions(len(scenes), random)
    classes = np.array([vocabulary.answers.index(answer) for answer in ANSWERS])
    answers = classes[np.take_along_axis(_answers(scenes), asked, 1)]
    encoded = reader.texts(QUESTIONS, vocabulary.encode_many)
    places = torch.from_numpy(asked.ravel())
    return {
        "questions": {name: ids[places] for name, ids in encoded.items()},
        "image_of": torch.arange(len(scenes)).repeat_interleave(asked.shape[1]),
        "answers": torch.from_numpy(answers.ravel()),
        "names": vocabulary.answers,
        "kinds": tuple(kind for _ in range(len(scenes)) for kind in KINDS for _ in range(ASKED)),
        "simplest": KINDS[0],
    }


def _of_objects(scenes: Scenes, like: Mapping[str, Tensor], shared: Mapping[str, Any]) -> ObjectSplit:
    """The scenes as a perfect detector would report them; InputError where the model reads other features."""
    regions, boxes = scenes_of.detected(scenes)
    found = {name: tuple(tensor.shape[1:]) for name, tensor in like.items() if name != "question"}
    expected = {"regions": regions.shape[1:], "boxes": boxes.shape[1:]}
    if found != expected:
        raise InputError(
            f"sort-of-clevr has {len(COLOURS)} objects an image, of {regions.shape[2]} features and a box of 4 numbers "
            f"each, but the model reads {', '.join(f'{name} {size}' for name, size in found.items())}; "
            "use --preset mcan-objects-sort-of-clevr"
        )
    return ObjectSplit(regions=torch.from_numpy(regions), boxes=torch.from_numpy(boxes), **shared)


def enlarged(images: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Pictures (N, S, S, 3) magnified a whole number of times, then framed evenly by background up to `side`.

    So no pixel is blurred, and the middle stays in the middle. InputError where `side` is smaller than S.
    """
    own = images.shape[1]
    times = side // own
    if times == 0:
        raise InputError(
            f"sort-of-clevr has images of {own} pixels a side, but the model reads {side}; use a larger one"
        )
    before = (side - times * own) // 2
    framed = np.full((len(images), side, side, 3), BACKGROUND, dtype=np.uint8)
    inside = slice(before, before + times * own)
    framed[:, inside, inside] = images.repeat(times, 1).repeat(times, 2)
    return framed


def _draw_questions(count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Places in QUESTIONS (count, 2 * ASKED): first the non-relational ones, in any order, then the others."""
    per_kind = len(QUESTIONS) // len(KINDS)
    order = random.random((count, len(KINDS), per_kind)).argsort(-1, kind="stable")[:, :, :ASKED]
    first: NDArray[np.int64] = np.arange(len(KINDS))[:, None] * per_kind
    return (order + first).reshape(count, -1)


def _answers(scenes: Scenes) -> NDArray[np.int64]:
    """The places in ANSWERS of what is true of each scene, for each of QUESTIONS (N, 36)."""
    yes, no, one = ANSWERS.index("yes"), ANSWERS.index("no"), ANSWERS.index("1")
    by_template = (
        scenes.shapes,
        np.where(scenes_of.is_left_of_middle(scenes), yes, no),
        np.where(scenes_of.is_above_middle(scenes), yes, no),
        np.take_along_axis(scenes.shapes, scenes_of.closest(scenes), 1),
        np.take_along_axis(scenes.shapes, scenes_of.furthest(scenes), 1),
        one - 1 + scenes_of.alike(scenes),
    )
    return np.stack(by_template, 1).reshape(len(scenes), -1)
