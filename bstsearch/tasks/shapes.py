"""`shapes`: coloured shapes on a grid, and questions that name, count, compare and place them (generated).

There is nothing to download: the same numbers come out on every machine.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bstsearch.inputs.reader import Reader
from bstsearch.tasks import shapes_questions as questions_of
from bstsearch.tasks import shapes_scenes as scenes_of
from bstsearch.tasks.shapes_questions import ANSWERS, QUESTIONS
from bstsearch.tasks.split import ImageSplit
from bstsearch.tasks.vocabulary import Vocabulary
from bstsearch.tasks.vqa import VqaTask

IMAGES = {"train": 10_000, "validation": 650, "test": 1_300}
SEED = 2026_11  # each part draws from a stream of its own: the seed and the part's place in IMAGES
QUESTION_LENGTH = 8


class Shapes(VqaTask):
    """Questions about coloured shapes, drawn again each time it is built."""

    name = "shapes"
    is_packaged = True
    recipes = ("shapes",)

    @classmethod
    def build_vocabulary(cls, data_dir: Path | None = None) -> Vocabulary:  # noqa: ARG003
        """The words of all questions, and all answers."""
        return Vocabulary.build(cls.name, QUESTIONS, ANSWERS, QUESTION_LENGTH)

    def split(self, name: str, reader: Reader) -> ImageSplit:
        """As `Task.split`; images of the size and kind of the model's."""
        picture = reader.needed_picture("this data set has images")
        random = np.random.default_rng([SEED, list(IMAGES).index(name)])
        scenes = scenes_of.draw_scenes(IMAGES[name], random)
        asked = questions_of.draw_questions(scenes, random)
        images = scenes_of.paint(scenes)
        encoded = reader.texts(QUESTIONS, self.vocabulary.encode_many)
        classes = np.array([self.vocabulary.answers.index(answer) for answer in ANSWERS])
        return ImageSplit(
            questions={name: ids[torch.from_numpy(asked.questions)] for name, ids in encoded.items()},
            image_of=torch.from_numpy(asked.scenes),
            answers=torch.from_numpy(classes[asked.answers]),
            names=self.vocabulary.answers,
            kinds=asked.kinds,
            simplest=questions_of.SIMPLEST,
            images=torch.from_numpy(np.stack([picture.pixels(Image.fromarray(image)) for image in images])),
            picture=picture,
        )
