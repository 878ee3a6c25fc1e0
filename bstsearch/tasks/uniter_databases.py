"""UNITER's databases of tokenised questions and region features (public code ChenRocks/UNITER).

    txt_db/vqa_train.db  vqa_trainval.db  vqa_vg.db  vqa_devval.db  vqa_test.db
    img_db/coco_train2014  coco_val2014  coco_test2015  vg
    ans2label.json

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
from bstsearch.formats.lmdb_folder import LmdbFolder, open_lmdb
from bstsearch.formats.region_files import Regions
from bstsearch.formats.uniter_images import ImageFolder, open_image_folder
from bstsearch.formats.uniter_records import TextRecord, read_text_record
from bstsearch.reading import read_json
from bstsearch.tasks.region_split import Columns, RegionSplit, SparseRows
from bstsearch.tasks.soft_labels import SoftJudge

# Each folder's names, as the public code's download script and as its container name them.
TEXTS, IMAGES = ("txt_db", "txt"), ("img_db", "img")
DATABASES = {
    "train": ("vqa_train.db", "vqa_trainval.db", "vqa_vg.db"),
    "validation": ("vqa_devval.db",),
    "test": ("vqa_test.db",),
}
ANSWERS = "ans2label.json"
MOST_PIECES = 60  # longer questions are left out of training, as in the public code; others are cut to fit the model


@dataclasses.dataclass(frozen=True, kw_only=True)
class Texts:
    """One text database: its values, the ids of [CLS] and [SEP], and the image of each question id."""

    values: LmdbFolder
    cls: int
    sep: int
    image_of: Mapping[str, str]

    def record(self, question: str) -> TextRecord:
        """The question of that id; InputError where its image is another one than txt2img.json says."""
        where = f"{self.values.path}, key {question!r},"
        record = read_text_record(self.values.value(question), where)
        if record.img_fname != self.image_of[question]:
            raise InputError(f"{where} is about {record.img_fname}, but txt2img.json says {self.image_of[question]}")
        return record


def matches(folder: Path) -> bool:
    """Whether `folder` is laid out like this."""
    return any((folder / texts / name).is_dir() for texts in TEXTS for names in DATABASES.values() for name in names)


def read_answers(folder: Path) -> tuple[str, ...]:
    """The answers by class id, of ans2label.json; InputError where it does not number them from 0 on."""
    path = _answers_file(folder)
    numbers = read_json(path)
    if sorted(map(str, numbers.values())) != sorted(map(str, range(len(numbers)))):
        raise InputError(f"{path} must number its {len(numbers)} answers from 0 on, each once")
    return tuple(sorted(numbers, key=lambda answer: int(numbers[answer])))


def load(folder: Path, split: str, answers: tuple[str, ...], like: Mapping[str, Tensor]) -> RegionSplit:
    """The "train", "validation" or "test" part; inputs of the sizes of `like`.

    The databases hold answers as numbers: where ans2label.json, which says what they mean, is there, it must be in the
    order of `answers`. InputError where it is not, a file is missing or malformed, or a question has no image.
    """
    if "regions" not in like:
        raise InputError(f"{folder} has region features, but the model reads {', '.join(like)}")
    if _answers_file(folder).exists() and read_answers(folder) != answers:
        raise InputError(f"{_answers_file(folder)} has other answers than the model, or in another order")
    databases = [_open_texts(path) for path in _text_folders(folder, split)]
    most = MOST_PIECES if split == "train" else None
    rows = [(texts, question) for texts in databases for question in _questions(texts, most)]
    columns, worths = _columns(rows, int(like["question"].shape[1]), len(answers))
    judge = SoftJudge(
        questions=[question for _, question in rows], worths=worths, names=answers, has_answers=split != "test"
    )
    features, has_boxes = int(like["regions"].shape[2]), "boxes" in like
    source = UniterSource(folder=_first(folder, IMAGES), features=features, has_boxes=has_boxes)
    return RegionSplit(columns=columns, source=source, judge=judge, classes=len(answers), like=like)


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


def _columns(rows: Sequence[tuple[Texts, str]], length: int, answers: int) -> tuple[Columns, SparseRows]:
    tokens = np.zeros((len(rows), length), dtype=np.int32)
    images: dict[str, int] = {}
    image_of = np.zeros(len(rows), dtype=np.int32)
    worths: list[Mapping[int, float]] = []
    for row, (texts, question) in enumerate(rows):
        record = texts.record(question)
        ids = [texts.cls, *record.input_ids[: length - 2], texts.sep]
        tokens[row, : len(ids)] = ids
        image_of[row] = images.setdefault(record.img_fname, len(images))
        worths.append(_worths(texts, question, record, answers))
    sparse = SparseRows.of(worths)
    return Columns(tokens=tokens, image_of=image_of, images=tuple(images), answers=sparse), sparse


def _worths(texts: Texts, question: str, record: TextRecord, answers: int) -> Mapping[int, float]:
    if record.target is None:
        return {}
    if unknown := [label for label in record.target.labels if not 0 <= label < answers]:
        raise InputError(f"{texts.values.path}, key {question!r}, has answer {unknown[0]}, but {ANSWERS} has {answers}")
    return dict(zip(record.target.labels, record.target.scores, strict=True))


def _answers_file(folder: Path) -> Path:
    paths = [folder / place / ANSWERS for place in ("", *TEXTS)]
    return next((path for path in paths if path.exists()), paths[0])


def _text_folders(folder: Path, split: str) -> list[Path]:
    root = _first(folder, TEXTS)
    first, *others = (root / name for name in DATABASES[split])
    if not first.is_dir():
        raise InputError(f"text database {first} does not exist; the {split} part is read from it")
    return [first, *(path for path in others if path.is_dir())]


def _open_texts(path: Path) -> Texts:
    meta = read_json(path / "meta.json")
    if missing := [name for name in ("CLS", "SEP") if type(meta.get(name)) is not int]:
        raise InputError(f"{path / 'meta.json'} must give a number for {missing[0]!r}")
    image_of = read_json(path / "txt2img.json")
    return Texts(values=open_lmdb(path), cls=meta["CLS"], sep=meta["SEP"], image_of=image_of)


def _questions(texts: Texts, most: int | None) -> Iterator[str]:
    path = texts.values.path
    for question, length in read_json(path / "id2len.json").items():
        if type(length) is not int:
            raise InputError(f"{path / 'id2len.json'} must give a number for {question!r}, not {length!r}")
        image = texts.image_of.get(question)
        if not isinstance(image, str) or Path(image).name != image:
            raise InputError(f"{path / 'txt2img.json'} has no image for question {question!r}, but {image!r}")
        if most is None or length <= most:
            yield question


def _first(folder: Path, names: tuple[str, ...]) -> Path:
    return next((folder / name for name in names if (folder / name).is_dir()), folder / names[0])
