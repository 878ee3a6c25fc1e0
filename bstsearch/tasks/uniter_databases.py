"""VQA-v2 of UNITER's databases of tokenised questions and region features (public code ChenRocks/UNITER).

    the databases of `bstsearch.formats.uniter_texts`, and    img_db/coco_train2014  coco_val2014  coco_test2015  vg

Training reads the first three of `txt_db`, of which only vqa_train.db must be there. Questions are word pieces
already. Accuracy is the worth of the predicted answer (`bstsearch.tasks.soft_labels`), which that code reports.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from bstsearch.errors import InputError
from bstsearch.formats.region_files import Regions
from bstsearch.formats.uniter_images import ImageFolder, open_image_folder
from bstsearch.formats.uniter_texts import ANSWERS, TextRecord, Texts, answers_file, open_texts, read_answers, read_ids
from bstsearch.inputs.tokenizers import FIRST_PIECE, LAST_PIECE
from bstsearch.tasks.region_split import Columns, RegionSplit, SparseRows
from bstsearch.tasks.soft_labels import SoftJudge
from bstsearch.tasks.vocabulary import Vocabulary
from bstsearch.tasks.vqa import are_answered

IMAGES = ("img_db", "img")  # as the public code's download script and as its container name it
MOST_PIECES = 60  # longer questions are left out of training, as in the public code; others are cut to fit the model

Row = tuple[Texts, str]  # a database, and the id of a question in it


def load(folder: Path, split: str, vocabulary: Vocabulary, like: Mapping[str, Tensor]) -> RegionSplit:
    """The "train", "validation" or "test" part; inputs of the sizes of `like`.

    The databases hold word pieces and answers as numbers: these must mean what `vocabulary` says. InputError where they
    do not, a file is missing or malformed, or a question has no image.
    """
    if "regions" not in like:
        raise InputError(f"{folder} has region features, but the model reads {', '.join(like)}")
    names = vocabulary.answers
    if answers_file(folder).exists() and read_answers(folder) != names:
        raise InputError(f"{answers_file(folder)} has other answers than the model, or in another order")
    if not vocabulary.is_wordpiece:
        raise InputError(f"{folder} holds word pieces, but the model was trained on words; give other data")
    databases = open_texts(folder, split)
    for texts in databases:
        _check_pieces(texts, vocabulary)
    rows = _find_questions(databases, MOST_PIECES if split == "train" else None)
    columns, worths, has_answers = _read(rows, int(like["question"].shape[1]), vocabulary)
    judge = SoftJudge(
        questions=[question for _, question in rows],
        worths=worths,
        names=names,
        has_answers=has_answers,
        where=databases[0].values.path,
    )
    features, has_boxes = int(like["regions"].shape[2]), "boxes" in like
    source = UniterSource(folder=_images(folder), features=features, has_boxes=has_boxes)
    return RegionSplit(columns=columns, source=source, judge=judge, classes=len(names), like=like)


def _check_pieces(texts: Texts, vocabulary: Vocabulary) -> None:
    """Passes where the ids of [CLS] and [SEP] are those of the model's word pieces; else InputError."""
    for piece, number in ((FIRST_PIECE, texts.meta.cls), (LAST_PIECE, texts.meta.sep)):
        if vocabulary.words[number : number + 1] != (piece,):
            path, own = texts.values.path / "meta.json", vocabulary.words.index(piece)
            raise InputError(f"{path} gives {piece} the number {number}, the model's pieces {own}; give other data")


@dataclasses.dataclass(frozen=True, kw_only=True)
class UniterSource:
    """A `RegionSource`: a folder for each part of COCO, opened when an image of it is asked for."""

    folder: Path
    features: int
    has_boxes: bool
    parts: dict[str, ImageFolder] = dataclasses.field(default_factory=dict)

    def regions(self, image: str) -> Regions:
        """As `RegionSource.regions`; boxes (n, 6) have widths and heights, too."""
        part = self._part(image)
        found = part.regions(image)
        if found.features.shape[1] != self.features:
            size = found.features.shape[1]
            raise InputError(
                f"{part.path}: image {image} has {size} features a region; the model reads {self.features}"
            )
        return found

    def first_missing(self, images: Iterable[str]) -> str | None:
        """As `RegionSource.first_missing`."""
        missing = next((image for image in images if image not in self._part(image)), None)
        return None if missing is None else f"{self.folder / part_of(missing)}: no image {missing}"

    def _part(self, image: str) -> ImageFolder:
        part = part_of(image)
        if part not in self.parts:
            self.parts[part] = open_image_folder(self.folder / part, has_boxes=self.has_boxes)
        return self.parts[part]


def part_of(image: str) -> str:
    """The folder of an image.

    >>> part_of("coco_val2014_000000393267.npz")
    'coco_val2014'
    """
    return image.rpartition("_")[0]


def _find_questions(databases: Sequence[Texts], most: int | None) -> list[Row]:
    """Every question of the databases; InputError where there is none, or one is there twice."""
    rows: dict[str, Texts] = {}
    for texts in databases:
        for question in read_ids(texts, most):
            if question in rows:
                first = rows[question].values.path.name
                raise InputError(f"{texts.where(question)} is in {first}, too; each question must be there once")
            rows[question] = texts
    if not rows:
        raise InputError(f"{databases[0].values.path} has no questions; copy it again")
    return [(texts, question) for question, texts in rows.items()]


def _read(rows: Sequence[Row], length: int, vocabulary: Vocabulary) -> tuple[Columns, SparseRows, bool]:
    """The questions as numbers, one read at a time, what answers are worth, and whether that is known."""
    tokens, image_of = np.zeros((len(rows), length), dtype=np.int32), np.zeros(len(rows), dtype=np.int32)
    images: dict[str, int] = {}
    is_answered: list[bool] = []

    def worths() -> Iterator[Mapping[int, float]]:
        for row, (texts, question) in enumerate(rows):
            record, where = texts.record(question), texts.where(question)
            ids = [texts.meta.cls, *record.input_ids, texts.meta.sep]
            if max(ids) >= vocabulary.size:
                raise InputError(f"{where} has piece {max(ids)}, but the model knows {vocabulary.size}")
            ids[length - 1 : -1] = []  # what does not fit
            tokens[row, : len(ids)] = ids
            image_of[row] = images.setdefault(record.img_fname, len(images))
            is_answered.append(record.target is not None)
            yield _worths(record, len(vocabulary.answers), where)

    answers = SparseRows.of(worths())
    # Where all questions have empty targets, the answers are held back.
    given = are_answered([question for _, question in rows], is_answered, rows[0][0].values.path)
    columns = Columns(tokens=tokens, image_of=image_of, images=tuple(images), answers=answers)
    return columns, answers, given and len(answers.values) > 0


def _worths(record: TextRecord, answers: int, where: str) -> Mapping[int, float]:
    if record.target is None:
        return {}
    if unknown := [label for label in record.target.labels if label >= answers]:
        raise InputError(f"{where} has answer {unknown[0]}, but {ANSWERS} has {answers}")
    return dict(zip(record.target.labels, record.target.scores, strict=True))


def _images(folder: Path) -> Path:
    return next((folder / name for name in IMAGES if (folder / name).is_dir()), folder / IMAGES[0])
