"""GQA (Hudson and Manning, 2019) from the user's disk: its balanced questions with region features, or LXMERT's lists.

Classes are answers normalised as openvqa does, so one class may stand for several spellings. The evaluation compares
raw strings; so a class is called by the raw answer first met. The code of openvqa and BST predicts the normalised text,
which is never right for eight answers; `details` has the accuracy that it would report.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bstsearch.errors import InputError
from bstsearch.formats import gqa_questions
from bstsearch.formats import lxmert_lists as lxmert_files
from bstsearch.formats.gqa_h5 import INFO, open_h5
from bstsearch.formats.gqa_questions import Answered, Asked
from bstsearch.formats.region_files import RegionSource
from bstsearch.formats.region_folder import find_regions
from bstsearch.inputs.reader import Reader
from bstsearch.inputs.tokenizers import UNCASED
from bstsearch.score import Accuracy
from bstsearch.tasks import lxmert_lists, needed_folder
from bstsearch.tasks.answer_text import class_text
from bstsearch.tasks.gqa_accuracy import GqaQuestion, Record, gqa_scores
from bstsearch.tasks.region_split import Columns, RegionSplit
from bstsearch.tasks.task import Split
from bstsearch.tasks.vocabulary import Vocabulary
from bstsearch.tasks.vqa import VqaTask, are_answered, check_answered, check_known

NAME = "gqa"
QUESTION_LENGTH = 29
FEATURES = "feats"
NO_CLASS = -100  # of an answer outside the vocabulary: cross-entropy leaves it out, and no prediction is right


class Gqa(VqaTask):
    """GQA, from the user's disk."""

    name = NAME
    recipes = ("{family}-gqa", "{family}", "bst-gqa")

    @classmethod
    def build_vocabulary(cls, data_dir: Path | None) -> Vocabulary:
        """The words and all answers of training, validation and testdev questions, or those of openvqa's dicts.json."""
        return _build_vocabulary(needed_folder(NAME, data_dir))

    def split(self, name: str, reader: Reader) -> Split:
        """As `Task.split` ("test" is testdev), read as it is needed."""
        folder, vocabulary = needed_folder(NAME, self.data_dir), self.vocabulary
        if not gqa_questions.matches(folder) and lxmert_files.matches(folder, NAME):
            return lxmert_lists.load(folder, NAME, name, vocabulary.answers, vocabulary.encode_many, reader)
        return _load_openvqa(folder, name, vocabulary, reader.like)


def _build_vocabulary(folder: Path) -> Vocabulary:
    if not gqa_questions.matches(folder) and lxmert_files.matches(folder, NAME):
        answers = lxmert_files.read_answers(folder, NAME)
        return Vocabulary.from_wordpiece_file(folder / "vocab.txt", NAME, answers, 20, UNCASED)
    if not gqa_questions.matches(folder):
        raise InputError(f"{folder} has no {gqa_questions.FILES['train']}, so no words to build a vocabulary of")
    parts = [gqa_questions.read_questions(gqa_questions.question_file(folder, part)) for part in gqa_questions.FILES]
    asked = [one for part in parts for one in part.values()]
    raw = raw_answers(asked)
    dicts = gqa_questions.read_dicts(folder)
    if dicts is not None:
        answers, words, length = dicts
        names = tuple(raw.get(answer, answer) for answer in answers)
        return Vocabulary(data=NAME, words=words, answers=names, question_length=length, tokenizer="openvqa")
    return Vocabulary.build(NAME, (one.question for one in asked), raw.values(), QUESTION_LENGTH, "openvqa")


def raw_answers(asked: Iterable[Asked | Answered]) -> dict[str, str]:
    """Normalised answer -> the raw answer first met."""
    raw: dict[str, str] = {}
    for answer in dict.fromkeys(one.answer for one in asked if one.answer is not None):
        raw.setdefault(class_text(answer), answer)
    return raw


def spelt(names: Sequence[str], folder: Path) -> tuple[str, ...]:
    """The classes' names as people write them, whatever the vocabulary was made of.

    One from openvqa's dicts.json has normalised answers, which the evaluation takes for wrong where people's are not.
    """
    if any(class_text(name) != name for name in names):
        return tuple(names)
    files = gqa_questions.existing_files(folder)
    raw = raw_answers(one for path in files for one in gqa_questions.read_by_id(path, Answered).values())
    return tuple(raw.get(name, name) for name in names)


def _load_openvqa(folder: Path, split: str, vocabulary: Vocabulary, like: Mapping[str, Tensor]) -> RegionSplit:
    path = gqa_questions.question_file(folder, split)
    questions = gqa_questions.read_questions(path)
    classes = {class_text(name): index for index, name in enumerate(vocabulary.answers)}
    has_answers = are_answered([*questions], [one.answer is not None for one in questions.values()], path)
    answers = [classes.get(class_text(one.answer or ""), NO_CLASS) for one in questions.values()]
    if has_answers:
        check_known(set(answers) != {NO_CLASS}, len(classes), path)
    images, image_of = np.unique([one.imageId for one in questions.values()], return_inverse=True)
    columns = Columns(
        tokens=vocabulary.encode_many([one.question for one in questions.values()]).astype(np.int32),
        image_of=image_of.astype(np.int32),
        images=images.tolist(),
        answers=np.array(answers, dtype=np.int64),
    )
    names = spelt(vocabulary.answers, folder)
    judge = GqaJudge(path=path, ids=tuple(questions), names=names, has_answers=has_answers)
    return RegionSplit(
        columns=columns, source=_source(folder, like), judge=judge, classes=len(vocabulary.answers), like=like
    )


def _source(folder: Path, like: Mapping[str, Tensor]) -> RegionSource:
    """The regions: GQA's own .h5 files where their list is there, else .npz files or tables below feats."""
    if "regions" not in like:
        raise InputError(f"{folder} has region features, but the model reads {', '.join(like)}")
    features, has_boxes = int(like["regions"].shape[2]), "boxes" in like
    places = [folder, folder / FEATURES, folder / "objects", folder / "raw"]
    h5 = next((place for place in places if (place / INFO).exists()), None)
    if h5 is None:
        return find_regions(folder / FEATURES, features, has_boxes=has_boxes)
    return open_h5(h5, features, has_boxes=has_boxes)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GqaJudge:
    """GQA accuracy over the balanced questions; the records are read again for it, once."""

    path: Path
    ids: tuple[str, ...]
    names: tuple[str, ...]
    has_answers: bool = True

    def check_scorable(self) -> None:
        """As `Judge.check_scorable`; only balanced questions count, so there must be one."""
        check_answered(self.has_answers, self.path)
        if not any(question.is_balanced for question in self._questions):
            raise InputError(f"{self.path} has no balanced question, and only those count; copy the balanced file")

    def score(self, predicted: NDArray[np.int64]) -> Accuracy:
        """The share of balanced questions with exactly the right answer."""
        self.check_scorable()
        rights = [right for question, right in self._rights(predicted) if question.is_balanced]
        return Accuracy(correct=sum(rights), total=len(rights))

    def values(self, predicted: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """1 for each right answer, else 0; None where a question does not count."""
        if not all(question.is_balanced for question in self._questions):
            return None
        return np.array([right for _, right in self._rights(predicted)], np.float64)

    def _rights(self, predicted: NDArray[np.int64]) -> Iterator[tuple[GqaQuestion, bool]]:
        for question, index in zip(self._questions, predicted.tolist(), strict=True):
            yield question, self.names[index] == question.answer

    def details(self, predicted: NDArray[np.int64]) -> dict[str, float]:
        """Binary and open accuracy, distribution, and the accuracy of normalised answers."""
        found = gqa_scores(self._questions, self._by_id(self.names, predicted))
        as_published = gqa_scores(self._questions, self._by_id([class_text(name) for name in self.names], predicted))
        return {
            "binary": found.binary,
            "open": found.open,
            "distribution": found.distribution,
            "openvqa": as_published.accuracy,
        }

    def results(self, predicted: NDArray[np.int64]) -> list[dict[str, Any]]:
        """As the evaluation takes them."""
        return [
            {"questionId": question, "prediction": answer}
            for question, answer in self._by_id(self.names, predicted).items()
        ]

    def _by_id(self, names: Any, predicted: NDArray[np.int64]) -> dict[str, str]:
        return {question: names[index] for question, index in zip(self.ids, predicted.tolist(), strict=True)}

    @functools.cached_property
    def _questions(self) -> list[GqaQuestion]:
        records = gqa_questions.read_by_id(self.path, Record)
        return [GqaQuestion.of(question, records[question]) for question in self.ids]
