"""easy-VQA: one coloured shape per 64x64 image, 13 answers (Zhou, 2019; PyPI package easy-vqa, MIT).

Its training part is cut once more by image, so that no image is in both training and validation: every
eighth image is for validation (500 of 4,000). Its official test part (1,000 images) is only reported on.
"""

from __future__ import annotations

from pathlib import Path

import easy_vqa
import numpy as np
import torch

from bstsearch.inputs.pictures import open_rgb
from bstsearch.inputs.reader import Reader
from bstsearch.tasks.split import ImageSplit
from bstsearch.tasks.vocabulary import Vocabulary
from bstsearch.tasks.vqa import VqaTask

QUESTION_LENGTH = 10  # the longest question has nine words
VALIDATION_EVERY = 8


class EasyVqa(VqaTask):
    """easy-VQA, from the package of that name."""

    name = "easy-vqa"
    is_packaged = True
    recipes = ("demo",)

    @classmethod
    def build_vocabulary(cls, data_dir: Path | None = None) -> Vocabulary:  # noqa: ARG003
        """The words of the training questions and the 13 answers."""
        questions, _, _ = easy_vqa.get_train_questions()
        return Vocabulary.build(cls.name, questions, easy_vqa.get_answers(), QUESTION_LENGTH)

    def split(self, name: str, reader: Reader) -> ImageSplit:
        """As `Task.split`; images of the size and kind of the model's."""
        if name == "test":
            questions, answers, image_ids = easy_vqa.get_test_questions()
            paths = easy_vqa.get_test_image_paths()
        else:
            questions, answers, image_ids = easy_vqa.get_train_questions()
            paths = easy_vqa.get_train_image_paths()
        rows = [row for row, image in enumerate(image_ids) if name == "test" or _split_of(image) == name]
        return _gather(rows, questions, answers, image_ids, paths, self.vocabulary, reader)


def _split_of(image_id: int) -> str:
    return "validation" if image_id % VALIDATION_EVERY == VALIDATION_EVERY - 1 else "train"


def _gather(
    rows: list[int],
    questions: list[str],
    answers: list[str],
    image_ids: list[int],
    paths: dict[int, str],
    vocabulary: Vocabulary,
    reader: Reader,
) -> ImageSplit:
    used = sorted({image_ids[row] for row in rows})
    place = {image: index for index, image in enumerate(used)}
    classes = {answer: index for index, answer in enumerate(vocabulary.answers)}
    known = {question: number for number, question in enumerate(dict.fromkeys(questions[row] for row in rows))}
    asked = torch.tensor([known[questions[row]] for row in rows])
    picture = reader.needed_picture("this data set has images")
    return ImageSplit(
        questions={name: ids[asked] for name, ids in reader.texts(list(known), vocabulary.encode_many).items()},
        image_of=torch.tensor([place[image_ids[row]] for row in rows]),
        images=torch.from_numpy(np.stack([picture.pixels(open_rgb(Path(paths[image]))) for image in used])),
        picture=picture,
        answers=torch.tensor([classes[answers[row]] for row in rows]),
        names=vocabulary.answers,
    )
