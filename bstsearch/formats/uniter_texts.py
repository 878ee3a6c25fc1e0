"""UNITER's databases of questions in word pieces; nothing in a file is ever executed.

    txt_db/vqa_train.db  vqa_trainval.db  vqa_vg.db  vqa_devval.db  vqa_test.db
    ans2label.json

Public code ChenRocks/UNITER, files data/data.py and prepro.py. A question is MessagePack in an LZ4 frame.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from bstsearch.errors import InputError
from bstsearch.formats.lmdb_folder import LmdbFolder, open_lmdb
from bstsearch.formats.openvqa import names_of
from bstsearch.reading import FileName, Share, Whole, needing, parsing, read_json, shown

# Each folder's names, as the public code's download script and as its container name them.
TEXTS = ("txt_db", "txt")
DATABASES = {
    "train": ("vqa_train.db", "vqa_trainval.db", "vqa_vg.db"),
    "validation": ("vqa_devval.db",),
    "test": ("vqa_test.db",),
}
ANSWERS = "ans2label.json"


class Target(msgspec.Struct, frozen=True):
    """Answer numbers and how right each is, between 0 and 1."""

    labels: list[Whole]
    scores: list[Share]

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.scores):
            raise ValueError(f"{len(self.labels)} labels and {len(self.scores)} scores")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels name an answer twice")


class TextRecord(msgspec.Struct, frozen=True):
    """A question: word pieces without [CLS] and [SEP], its image's name, and what is right, where that is known."""

    input_ids: list[Whole]
    img_fname: FileName
    target: Target | None = None


class Meta(msgspec.Struct, frozen=True):
    """The ids of the pieces between which a question stands."""

    cls: Whole = msgspec.field(name="CLS")
    sep: Whole = msgspec.field(name="SEP")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Texts:
    """One text database: its values, the ids of [CLS] and [SEP], and the image of each question id."""

    values: LmdbFolder
    meta: Meta
    image_of: Mapping[str, str]

    def where(self, question: str) -> str:
        """What an error calls the question of that id."""
        return f"{self.values.path}, key {shown(question)}"

    def record(self, question: str) -> TextRecord:
        """The question of that id; InputError where it is malformed, or about another image than txt2img.json says."""
        where = self.where(question)
        record = read_text_record(self.values.value(question), where)
        if record.img_fname != self.image_of[question]:
            raise InputError(
                f"{where} is about {shown(record.img_fname)}, in txt2img.json about {shown(self.image_of[question])}"
            )
        return record


def read_text_record(value: bytes, where: str) -> TextRecord:
    """The question in `value`; InputError, which calls it `where`, for anything else."""
    with needing(f"reading {where}"):
        import lz4.frame
    with parsing(where):
        return msgspec.msgpack.decode(lz4.frame.decompress(value), type=TextRecord)


def matches(folder: Path) -> bool:
    """Whether `folder` is laid out like this."""
    return any((folder / texts / name).is_dir() for texts in TEXTS for names in DATABASES.values() for name in names)


def answers_file(folder: Path) -> Path:
    """Where ans2label.json lies, or is expected."""
    paths = [folder / place / ANSWERS for place in ("", *TEXTS)]
    return next((path for path in paths if path.exists()), paths[0])


def read_answers(folder: Path) -> tuple[str, ...]:
    """The answers by class id, of ans2label.json; InputError where it does not number them from 0 on."""
    path = answers_file(folder)
    return names_of(read_json(path, dict[str, int]), path)


def open_texts(folder: Path, split: str) -> list[Texts]:
    """The text databases of a part; InputError where the first of them is missing, or a file is malformed."""
    root = next((folder / name for name in TEXTS if (folder / name).is_dir()), folder / TEXTS[0])
    first, *others = (root / name for name in DATABASES[split])
    if not first.is_dir():
        raise InputError(f"{first} does not exist; the {split} part is read from it")
    return [_open(path) for path in (first, *(path for path in others if path.is_dir()))]


def read_ids(texts: Texts, most: int | None) -> Iterator[str]:
    """The ids of the questions with `most` pieces or fewer; InputError where one has no image, or no length."""
    path = texts.values.path
    lengths = read_json(path / "id2len.json", dict[str, Whole])
    if lost := texts.image_of.keys() - lengths.keys():
        raise InputError(f"{path / 'id2len.json'} lacks {len(lost):,} questions of txt2img.json, as {shown(min(lost))}")
    for question, length in lengths.items():
        image = texts.image_of.get(question)
        if image is None or Path(image).name != image:
            raise InputError(f"{path / 'txt2img.json'} has no image for question {shown(question)}, but {shown(image)}")
        if most is None or length <= most:
            yield question


def _open(path: Path) -> Texts:
    meta, image_of = read_json(path / "meta.json", Meta), read_json(path / "txt2img.json", dict[str, FileName])
    return Texts(values=open_lmdb(path), meta=meta, image_of=image_of)
