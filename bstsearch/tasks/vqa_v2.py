"""VQA-v2 (Goyal et al., 2017), VQA v1 or OK-VQA from the user's disk, in any of the layouts of `bstsearch.formats`.

Accuracy is the official one; `details` has the figure of openvqa's and BST's copy of it, too, and the official one for
each type of answer. The vocabulary is openvqa's: every word of every part's questions, in their order.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bstsearch.errors import InputError
from bstsearch.formats import lxmert_lists as lxmert_files
from bstsearch.formats import openvqa, uniter_texts
from bstsearch.formats.openvqa import Part
from bstsearch.formats.region_folder import find_regions
from bstsearch.inputs.reader import Reader
from bstsearch.inputs.tokenizers import CASED, UNCASED
from bstsearch.score import Accuracy
from bstsearch.tasks import lxmert_lists, needed_folder, uniter_databases
from bstsearch.tasks.asked import AskedQuestions, read_asked
from bstsearch.tasks.region_split import Columns, RegionSplit, SparseRows
from bstsearch.tasks.task import Split
from bstsearch.tasks.vocabulary import Vocabulary
from bstsearch.tasks.vqa import VqaTask, check_answered, check_known
from bstsearch.tasks.vqa_accuracy import OFFICIAL, VARIANTS, AnswerScorer, answer_classes, soft_targets

NAME = "vqa-v2"
QUESTION_LENGTH = 14
FEATURES = "feats"


class VqaV2(VqaTask):
    """VQA-v2, from the user's disk."""

    name = NAME
    recipes = ("{family}-vqa-v2", "{family}", "bst")

    @classmethod
    def build_vocabulary(cls, data_dir: Path | None) -> Vocabulary:
        """The words of all questions there, and the answers given more than eight times, or of answer_dict.json."""
        return _build_vocabulary(needed_folder(NAME, data_dir))

    def split(self, name: str, reader: Reader) -> Split:
        """As `Task.split`, read as it is needed."""
        folder, vocabulary, like = needed_folder(NAME, self.data_dir), self.vocabulary, reader.like
        if uniter_texts.matches(folder):
            return uniter_databases.load(folder, name, vocabulary, like)
        if lxmert_files.matches(folder, NAME):
            return lxmert_lists.load(folder, NAME, name, vocabulary.answers, vocabulary.encode_many, reader)
        _check_layout(folder)
        return _load_openvqa(folder, openvqa.get_part(folder, name), vocabulary, like)


def _build_vocabulary(folder: Path) -> Vocabulary:
    if uniter_texts.matches(folder):
        return _wordpieces(folder, uniter_texts.read_answers(folder), 16, CASED)
    if lxmert_files.matches(folder, NAME):
        return _wordpieces(folder, lxmert_files.read_answers(folder, NAME), 20, UNCASED)
    _check_layout(folder)
    parts = openvqa.existing_parts(folder)
    answers = openvqa.read_answer_dict(folder)
    if answers is None:
        answers = _frequent_answers(parts, folder)
    questions = (asked.question for part in parts for asked in part.questions())
    return Vocabulary.build(NAME, questions, answers, QUESTION_LENGTH, "openvqa")


def _frequent_answers(parts: Sequence[Part], folder: Path) -> tuple[str, ...]:
    """The answers of more than eight questions; InputError where there are none."""
    given = [one.multiple_choice_answer for part in parts for one in part.annotations() if one.multiple_choice_answer]
    if not given:  # OK-VQA does not say which answer is the most frequent one
        texts = (one.texts for part in parts for one in part.annotations() if one.answers)
        given = [collections.Counter(people).most_common(1)[0][0] for people in texts]
    found = answer_classes(given)
    if not found:
        raise InputError(f"{folder}: no answer is that of more than eight questions; add {openvqa.ANSWERS}")
    return found


def _check_layout(folder: Path) -> None:
    if not openvqa.matches(folder):
        raise InputError(
            f"{folder} is in no known layout of VQA-v2: expected raw/*_questions.json with feats/, LXMERT's lists, "
            "or UNITER's txt_db and img_db"
        )


def _wordpieces(folder: Path, answers: tuple[str, ...], question_length: int, tokenizer: str) -> Vocabulary:
    """The word pieces of vocab.txt beside the data; the layouts that BERT-like models read do not hold them."""
    return Vocabulary.from_wordpiece_file(folder / "vocab.txt", NAME, answers, question_length, tokenizer)


def _load_openvqa(folder: Path, part: Part, vocabulary: Vocabulary, like: Mapping[str, Tensor]) -> RegionSplit:
    if "regions" not in like:
        raise InputError(f"{folder} has region features, but the model reads {', '.join(like)}")
    asked = read_asked(part, vocabulary)
    judge = VqaJudge(part=part, asked=asked, names=vocabulary.answers)
    classes = {name: index for index, name in enumerate(vocabulary.answers)}
    if judge.has_answers:
        targets = SparseRows.of(soft_targets(one.texts, classes) for one in part.annotations())
        check_known(bool(len(targets.values)), len(classes), part.files[0][1] or folder)
    else:
        targets = SparseRows.of({} for _ in asked.ids)
    columns = Columns(tokens=asked.tokens, image_of=asked.image_of, images=asked.images, answers=targets)
    return RegionSplit(
        columns=columns,
        source=find_regions(folder / FEATURES, int(like["regions"].shape[2]), has_boxes="boxes" in like),
        judge=judge,
        classes=len(classes),
        like=like,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class VqaJudge:
    """VQA accuracy; the annotations are read again for it, once, since training does not need it."""

    part: Part
    asked: AskedQuestions
    names: tuple[str, ...]

    @property
    def has_answers(self) -> bool:
        """Whether people's answers are known; those of the test part are not."""
        return self.asked.has_answers

    def check_scorable(self) -> None:
        """As `Judge.check_scorable`."""
        questions, annotations = self.part.files[0]
        check_answered(self.has_answers, annotations or questions)

    def score(self, predicted: NDArray[np.int64]) -> Accuracy:
        """The official accuracy."""
        return Accuracy.of(self.values(predicted).tolist())

    def values(self, predicted: NDArray[np.int64]) -> NDArray[np.float64]:
        """The official accuracy of each answer."""
        return self._scores(OFFICIAL).at(predicted)

    def details(self, predicted: NDArray[np.int64]) -> dict[str, float]:
        """The accuracy as openvqa counts it, and the official one for each type of answer."""
        scores = self._scores(OFFICIAL).at(predicted)
        found = {"openvqa": _percent(self._scores(VARIANTS[1]).at(predicted))}
        kinds, kind_of = self._kinds
        return found | {kind: _percent(scores[kind_of == place]) for place, kind in enumerate(kinds) if kind}

    def results(self, predicted: NDArray[np.int64]) -> list[dict[str, Any]]:
        """As the evaluation server takes them."""
        pairs = zip(self.asked.ids.tolist(), predicted.tolist(), strict=True)
        return [{"question_id": question, "answer": self.names[index]} for question, index in pairs]

    def _scores(self, variant: str) -> SparseRows:
        self.check_scorable()
        return _scored(self.part, self.names, variant)

    @functools.cached_property
    def _kinds(self) -> tuple[list[str], NDArray[np.int64]]:
        kinds, kind_of = np.unique([one.answer_type or "" for one in self.part.annotations()], return_inverse=True)
        return kinds.tolist(), kind_of


@functools.lru_cache(maxsize=4)
def _scored(part: Part, names: tuple[str, ...], variant: str) -> SparseRows:
    scorer = AnswerScorer(names, variant)

    def rows() -> Iterator[dict[int, float]]:
        for annotation in part.annotations():
            yield scorer.scores(annotation.texts)

    return SparseRows.of(rows())


def _percent(scores: NDArray[np.float64]) -> float:
    return 100 * Accuracy.of(scores.tolist()).value
