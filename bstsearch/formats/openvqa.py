"""VQA's question and annotation files, under the names of the data set's makers, of openvqa and of BST.

    train_trainval_{questions,annotations}.json  vg_...  devval_...  test_questions.json               (BST)
    v2_OpenEnded_mscoco_{train2014,val2014,test2015}_questions.json  v2_mscoco_..._annotations.json    (VQA-v2)
    OpenEnded_mscoco_{train2014,val2014,test2015}_questions.json     mscoco_..._annotations.json       (VQA v1, OK-VQA)

They lie in the folder itself or in its subfolder raw; features are .npz files anywhere below feats. BST trains on
train_trainval and vg, and validates on devval; of the official files these are train2014 and val2014. Where there are
files of VQA-v2, those of VQA v1 beside them are not read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from bstsearch.errors import InputError
from bstsearch.reading import Whole, decoded, mapped, parsing, read_json

# Questions and annotations of each part; of a part's alternatives the first whose questions exist is used.
Pair = tuple[str, str | None]
Parts = Mapping[str, tuple[Pair, ...]]
OFFICIAL = "OpenEnded_mscoco_{}_questions.json", "mscoco_{}_annotations.json"


def _official(year: str, version: str) -> Pair:
    questions, annotations = (version + name.format(year) for name in OFFICIAL)
    return questions, None if year.startswith("test") else annotations


VISUAL_GENOME: Pair = ("vg_questions.json", "vg_annotations.json")
SECOND: Parts = {
    "train": (("train_trainval_questions.json", "train_trainval_annotations.json"), _official("train2014", "v2_")),
    "validation": (("devval_questions.json", "devval_annotations.json"), _official("val2014", "v2_")),
    "test": (("test_questions.json", None), _official("test2015", "v2_")),
}
FIRST: Parts = {
    "train": (_official("train2014", ""),),
    "validation": (_official("val2014", ""),),
    "test": (_official("test2015", ""),),
}
ANSWERS = "answer_dict.json"


class Asked(msgspec.Struct, frozen=True, gc=False):
    """A question, and the image it is about."""

    question_id: Whole
    image_id: Whole
    question: str


class HumanAnswer(msgspec.Struct, frozen=True, gc=False):
    """What one person answered."""

    answer: str


class Annotation(msgspec.Struct, frozen=True):
    """What people answered; the types are missing in Visual Genome's file, the most frequent answer in OK-VQA's too."""

    question_id: Whole
    answers: list[HumanAnswer]
    multiple_choice_answer: str | None = ""
    answer_type: str | None = ""
    question_type: str | None = ""

    @property
    def texts(self) -> list[str]:
        """The answers alone."""
        return [one.answer for one in self.answers]


class Annotated(msgspec.Struct, frozen=True):
    """Which question is annotated, the image it is about where that is said, and the answers, left as they are."""

    question_id: Whole
    answers: list[msgspec.Raw]
    image_id: Whole | None = None


class _QuestionFile(msgspec.Struct):
    questions: list[msgspec.Raw]


class _AnnotationFile(msgspec.Struct):
    annotations: list[msgspec.Raw]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """The question files of the "train", "validation" or "test" part, each with its annotations where it has any."""

    split: str
    files: tuple[tuple[Path, Path | None], ...]

    def questions(self) -> Iterator[Asked]:
        """Every question, in the files' order."""
        for path, _ in self.files:
            yield from read_questions(path)

    def annotations(self) -> Iterator[Annotation]:
        """Every annotation, in the files' order; each is gone when the next is read."""
        for _, path in self.files:
            if path is not None:
                yield from _records(path, _AnnotationFile, "annotations", Annotation)


def read_questions(path: Path) -> Iterator[Asked]:
    """Every question of a file; InputError where it is malformed or has none."""
    return _records(path, _QuestionFile, "questions", Asked)


def read_annotated(path: Path) -> Iterator[Annotated]:
    """Of every annotation of a file which question it belongs to; InputError where it is malformed or has none."""
    return _records(path, _AnnotationFile, "annotations", Annotated)


def matches(folder: Path) -> bool:
    """Whether `folder` is laid out like this."""
    return _has_any(_raw(folder), SECOND) or _has_any(_raw(folder), FIRST)


def get_part(folder: Path, split: str) -> Part:
    """The files of the "train", "validation" or "test" part; InputError where one is missing."""
    raw = _raw(folder)
    known = _known(raw)
    chosen = next((pair for pair in known[split] if (raw / pair[0]).exists()), None)
    if chosen is None:
        names = " or ".join(questions for questions, _ in known[split])
        raise InputError(f"{raw} has no {names}, which the data's {split} part is read from")
    pairs = [chosen]
    if split == "train" and (raw / VISUAL_GENOME[0]).exists():
        pairs.append(VISUAL_GENOME)
    files = tuple((raw / questions, raw / answers if answers else None) for questions, answers in pairs)
    for path in (answers for _, answers in files if answers is not None and not answers.exists()):
        raise InputError(f"{path} does not exist, but its questions do; copy it there")
    return Part(split=split, files=files)


def existing_parts(folder: Path) -> list[Part]:
    """The parts that are there, in the order in which openvqa reads them for its list of words."""
    raw = _raw(folder)
    known = _known(raw)
    return [get_part(folder, split) for split in known if any((raw / name).exists() for name, _ in known[split])]


def read_answer_dict(folder: Path) -> tuple[str, ...] | None:
    """The answers by class id, of answer_dict.json, whose first entry maps answers to ids, if there is one."""
    path = next((path for path in (folder / ANSWERS, _raw(folder) / ANSWERS) if path.exists()), None)
    if path is None:
        return None
    found = read_json(path, list[dict[str, Any]])
    if not found:
        raise InputError(f"{path} is an empty list; expected answers with their numbers, and their reverse")
    return names_of(found[0], path)


def names_of(ids: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """The names by id of a mapping from names to ids; InputError where the ids are not 0, 1, 2, ..."""
    if not ids or sorted(map(str, ids.values())) != sorted(map(str, range(len(ids)))):
        raise InputError(f"{path} must number its {len(ids)} answers from 0 on, each once")
    return tuple(sorted(ids, key=lambda name: int(ids[name])))


def _raw(folder: Path) -> Path:
    raw = folder / "raw"
    holds = (place for place in (raw, folder) if _has_any(place, SECOND) or _has_any(place, FIRST))
    return next(holds, raw if raw.is_dir() else folder)


def _has_any(raw: Path, parts: Parts) -> bool:
    return any((raw / questions).exists() for pairs in parts.values() for questions, _ in pairs)


def _known(raw: Path) -> Parts:
    """The names of the parts that are read there."""
    return FIRST if _has_any(raw, FIRST) and not _has_any(raw, SECOND) else SECOND


def _records(path: Path, file_type: type[Any], field: str, record_type: type[Any]) -> Iterator[Any]:
    """Each record of a file's list; the files are larger than what is kept of them, so one is decoded at a time."""
    decoder = msgspec.json.Decoder(record_type, strict=False)  # some write ids as text: "42"
    with mapped(path) as content:
        records = getattr(decoded(content, file_type, path), field)
        if not records:
            raise InputError(f"{path} has no {field}; copy it again")
        for place, raw in enumerate(records):
            try:
                record = decoder.decode(raw)
            except Exception:  # said by the boundary, which would take longer to enter each time than to decode
                with parsing(f"{path}, {field}[{place}]"):
                    decoder.decode(raw)
                raise
            yield record
