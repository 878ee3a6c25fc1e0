"""The questions of one part of VQA as numbers, each file of them held against its annotations."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bstsearch.errors import InputError
from bstsearch.formats import openvqa
from bstsearch.formats.openvqa import Part
from bstsearch.tasks.vocabulary import Vocabulary
from bstsearch.tasks.vqa import are_answered

UNSAID = -1  # in place of an image's id


@dataclasses.dataclass(frozen=True, kw_only=True)
class AskedQuestions:
    """The questions that are trained on or answered: those with an annotation, in the annotations' order, or all.

    Token ids (N, T), ids and the place of each image in `images` (N,). `has_answers` says whether people's answers are
    known; annotations may come with empty lists of them.
    """

    ids: NDArray[np.int64]
    tokens: NDArray[np.int32]
    image_of: NDArray[np.int32]
    images: list[str]
    has_answers: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class _File:
    """A file of questions, in the order of its annotations where it has any."""

    ids: NDArray[np.int64]
    images: NDArray[np.int64]
    texts: list[str]
    is_answered: NDArray[np.bool_]


def read_asked(part: Part, vocabulary: Vocabulary) -> AskedQuestions:
    """The questions of `part`; InputError where one is there twice, or files of it do not belong together."""
    # Training goes by the annotations, as in the public codes; a score must be of all questions.
    files = [_read(*paths, is_whole=part.split != "train") for paths in part.files]
    ids = np.concatenate([file.ids for file in files])
    _check_once(ids, "question", " and ".join(str(path) for path, _ in part.files))
    images, image_of = np.unique(np.concatenate([file.images for file in files]), return_inverse=True)
    is_answered = np.concatenate([file.is_answered for file in files])
    answers = " and ".join(str(path) for pair in part.files for path in pair[1:] if path)
    return AskedQuestions(
        ids=ids,
        tokens=vocabulary.encode_many([text for file in files for text in file.texts]).astype(np.int32),
        image_of=image_of.astype(np.int32),
        images=list(map(str, images.tolist())),
        has_answers=are_answered(ids.tolist(), is_answered.tolist(), answers),
    )


def _read(questions: Path, annotations: Path | None, *, is_whole: bool) -> _File:
    columns = [(asked.question_id, asked.image_id, asked.question) for asked in openvqa.read_questions(questions)]
    ids, images = (np.array([row[place] for row in columns], dtype=np.int64) for place in (0, 1))
    texts = [row[2] for row in columns]
    _check_once(ids, "question", questions)
    if annotations is None:
        return _File(ids=ids, images=images, texts=texts, is_answered=np.zeros(len(ids), dtype=bool))
    found = openvqa.read_annotated(annotations)
    rows = [(one.question_id, UNSAID if one.image_id is None else one.image_id, bool(one.answers)) for one in found]
    annotated, seen = (np.array([row[place] for row in rows], dtype=np.int64) for place in (0, 1))
    order = _order(ids, annotated, questions, annotations)
    if is_whole and len(order) < len(ids):
        first = ids[~np.isin(ids, annotated)][0]
        raise InputError(f"{annotations} lacks question {first} of {questions.name}; copy both files again")
    _check_images(annotated, images[order], seen, questions, annotations)
    is_answered = np.array([row[2] for row in rows])
    return _File(ids=annotated, images=images[order], texts=[texts[place] for place in order], is_answered=is_answered)


def _order(
    ids: NDArray[np.int64], annotated: NDArray[np.int64], questions: Path, annotations: Path
) -> NDArray[np.int64]:
    """The place of each annotation's question."""
    _check_once(annotated, "annotation of question", annotations)
    by_id = np.argsort(ids)
    places = np.searchsorted(ids, annotated, sorter=by_id).clip(max=len(ids) - 1)
    order: NDArray[np.int64] = by_id[places]
    if len(missing := annotated[ids[order] != annotated]):
        raise InputError(
            f"{annotations}: question {missing[0]} is annotated, but {questions.name} has no such question; "
            "copy both files again"
        )
    return order


def _check_once(ids: NDArray[np.int64], what: str, where: Path | str) -> None:
    values, counts = np.unique(ids, return_counts=True)
    if len(twice := values[counts > 1]):
        raise InputError(f"{where}: {what} {twice[0]} is there {counts.max()} times; each must be there once")


def _check_images(
    ids: NDArray[np.int64], asked: NDArray[np.int64], seen: NDArray[np.int64], questions: Path, annotations: Path
) -> None:
    """Passes where questions and annotations are about the same images."""
    places: Sequence[int] = np.flatnonzero((seen != asked) & (seen != UNSAID)).tolist()
    if places:
        first = places[0]
        raise InputError(
            f"{annotations}: question {ids[first]} is about image {seen[first]}, in {questions.name} about "
            f"{asked[first]}; copy both files again"
        )
