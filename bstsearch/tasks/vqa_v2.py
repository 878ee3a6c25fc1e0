"""VQA-v2 (Goyal et al., 2017) from the user's disk, in any of the layouts of `bstsearch.formats`.

Accuracy is the official one; `details` has the figure of openvqa's and BST's copy of it, too, and the official one for
each type of answer. The vocabulary is openvqa's: every word of every part's questions, in their order.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bstsearch.errors import InputError
from bstsearch.formats import openvqa
from bstsearch.formats.openvqa import Part
from bstsearch.formats.region_folder import find_regions
from bstsearch.inputs.reader import Reader
from bstsearch.inputs.tokenizers import CASED, UNCASED
from bstsearch.score import Accuracy
from bstsearch.tasks import lxmert_lists, needed_folder, uniter_databases
from bstsearch.tasks.region_split import Columns, RegionSplit, SparseRows
from bstsearch.tasks.task import Split
from bstsearch.tasks.vocabulary import Vocabulary
from bstsearch.tasks.vqa import VqaTask
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
        if uniter_databases.matches(folder):
            return uniter_databases.load(folder, name, vocabulary.answers, like)
        if lxmert_lists.matches(folder, NAME):
            return lxmert_lists.load(folder, NAME, name, vocabulary.answers, vocabulary.encode_many, reader)
        _check_layout(folder)
        return _load_openvqa(folder, openvqa.get_part(folder, name), vocabulary, like)


def _build_vocabulary(folder: Path) -> Vocabulary:
    if uniter_databases.matches(folder):
        return _wordpieces(folder, uniter_databases.read_answers(folder), 16, CASED)
    if lxmert_lists.matches(folder, NAME):
        return _wordpieces(folder, lxmert_lists.read_answers(folder, NAME), 20, UNCASED)
    _check_layout(folder)
    parts = openvqa.existing_parts(folder)
    answers = openvqa.read_answer_dict(folder)
    if answers is None:
        given = (annotation.multiple_choice_answer for part in parts for annotation in part.annotations())
        answers = answer_classes(text for text in given if text)
    questions = (asked.question for part in parts for asked in part.questions())
    return Vocabulary.build(NAME, questions, answers, QUESTION_LENGTH, "openvqa")


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
    asked = _Asked.read(part, vocabulary)
    judge = VqaJudge(part=part, asked=asked, names=vocabulary.answers)
    classes = {name: index for index, name in enumerate(vocabulary.answers)}
    if judge.has_answers:
        targets = SparseRows.of(soft_targets(one.texts, classes) for one in part.annotations())
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
class _Asked:
    """The questions that are trained on or answered: those with an annotation, in the annotations' order, or all."""

    ids: NDArray[np.int64]
    tokens: NDArray[np.int32]
    image_of: NDArray[np.int32]
    images: list[str]

    @classmethod
    def read(cls, part: Part, vocabulary: Vocabulary) -> _Asked:
        """InputError where a question is there twice, or an annotation has no question, or one has no answers."""
        ids, images, texts = [], [], []
        for asked in part.questions():
            ids.append(asked.question_id)
            images.append(asked.image_id)
            texts.append(asked.question)
        if not ids:
            raise InputError(f"{part.files[0][0]} has no questions; copy it again")
        tokens = vocabulary.encode_many(texts).astype(np.int32)
        del texts
        found, order = np.array(ids), _order(part, np.array(ids))
        names, image_of = np.unique(np.array(images)[order], return_inverse=True)
        return cls(
            ids=found[order],
            tokens=tokens[order],
            image_of=image_of.astype(np.int32),
            images=list(map(str, names.tolist())),
        )


def _order(part: Part, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """The place of each annotation's question; of a part without annotations, every place."""
    _check_once(ids, "question", part)
    if part.files[0][1] is None:
        return np.arange(len(ids))
    annotated = np.fromiter(part.annotated(), np.int64)
    _check_once(annotated, "annotation of question", part)
    by_id = np.argsort(ids)
    places = np.searchsorted(ids, annotated, sorter=by_id).clip(max=len(ids) - 1)
    order: NDArray[np.int64] = by_id[places]
    if len(missing := annotated[ids[order] != annotated]):
        raise InputError(
            f"{part.files[0][1]}: question {missing[0]} is annotated, but {part.files[0][0].name} has "
            "no such question; copy both files again"
        )
    return order


def _check_once(ids: NDArray[np.int64], what: str, part: Part) -> None:
    values, counts = np.unique(ids, return_counts=True)
    if len(twice := values[counts > 1]):
        names = ", ".join(str(path) for path, _ in part.files)
        raise InputError(f"{what} {twice[0]} is there {counts.max()} times in {names}; each must be there once")


@dataclasses.dataclass(frozen=True, kw_only=True)
class VqaJudge:
    """VQA accuracy; the annotations are read again for it, once, since training does not need it."""

    part: Part
    asked: _Asked
    names: tuple[str, ...]

    @property
    def has_answers(self) -> bool:
        """Whether the part has annotations; the test part has none."""
        return self.part.files[0][1] is not None

    def score(self, predicted: NDArray[np.int64]) -> Accuracy:
        """The official accuracy."""
        scores = self._scores(OFFICIAL).at(predicted)
        return Accuracy(correct=float(scores.sum()), total=len(predicted))

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
        if not self.has_answers:
            raise InputError(
                f"{self.part.files[0][0]} comes without answers; write them for the evaluation server with --results"
            )
        return _scored(self.part, self.names, variant)

    @functools.cached_property
    def _kinds(self) -> tuple[list[str], NDArray[np.int64]]:
        kinds, kind_of = np.unique([one.answer_type for one in self.part.annotations()], return_inverse=True)
        return kinds.tolist(), kind_of


@functools.lru_cache(maxsize=4)
def _scored(part: Part, names: tuple[str, ...], variant: str) -> SparseRows:
    scorer = AnswerScorer(names, variant)

    def rows() -> Iterator[dict[int, float]]:
        for annotation in part.annotations():
            yield scorer.scores(annotation.texts)

    return SparseRows.of(rows())


def _percent(scores: NDArray[np.float64]) -> float:
    return 100 * float(scores.mean())
