"""VQA-v2's question and annotation files, under the names of the data set's makers, of openvqa and of BST.

    train_trainval_{questions,annotations}.json  vg_...  devval_...  test_questions.json               (BST)
    v2_OpenEnded_mscoco_{train2014,val2014,test2015}_questions.json  v2_mscoco_..._annotations.json    (official)

They lie in the folder itself or in its subfolder raw; features are .npz files anywhere below feats. BST trains on
train_trainval and vg, and validates on devval; of the official files these are train2014 and val2014.
"""

from __future__ import annotations

import contextlib
import dataclasses
import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from bstsearch.errors import InputError

# Questions and annotations of each part; of a part's alternatives the first whose questions exist is used.
Pair = tuple[str, str | None]
OFFICIAL = "v2_OpenEnded_mscoco_{}_questions.json", "v2_mscoco_{}_annotations.json"
VISUAL_GENOME: Pair = ("vg_questions.json", "vg_annotations.json")
PARTS: Mapping[str, tuple[Pair, ...]] = {
    "train": (
        ("train_trainval_questions.json", "train_trainval_annotations.json"),
        (OFFICIAL[0].format("train2014"), OFFICIAL[1].format("train2014")),
    ),
    "validation": (
        ("devval_questions.json", "devval_annotations.json"),
        (OFFICIAL[0].format("val2014"), OFFICIAL[1].format("val2014")),
    ),
    "test": (("test_questions.json", None), (OFFICIAL[0].format("test2015"), None)),
}
ANSWERS = "answer_dict.json"


class Asked(msgspec.Struct, frozen=True, gc=False):
    """A question, and the image it is about."""

    question_id: int
    image_id: int
    question: str


class HumanAnswer(msgspec.Struct, frozen=True, gc=False):
    """What one person answered."""

    answer: str


class Annotation(msgspec.Struct, frozen=True):
    """What people answered; the types are missing in Visual Genome's file."""

    question_id: int
    answers: list[HumanAnswer]
    multiple_choice_answer: str = ""
    answer_type: str = ""
    question_type: str = ""

    @property
    def texts(self) -> list[str]:
        """The answers alone."""
        return [one.answer for one in self.answers]


class _Annotated(msgspec.Struct, frozen=True, gc=False):
    question_id: int


class _QuestionFile(msgspec.Struct):
    questions: list[msgspec.Raw]


class _AnnotationFile(msgspec.Struct):
    annotations: list[msgspec.Raw]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """The question files of one part, each with its annotations where it has any."""

    files: tuple[tuple[Path, Path | None], ...]

    def questions(self) -> Iterator[Asked]:
        """Every question, in the files' order."""
        for path, _ in self.files:
            yield from _records(path, _QuestionFile, "questions", Asked)

    def annotations(self) -> Iterator[Annotation]:
        """Every annotation, in the files' order; each is gone when the next is read."""
        return self._annotations(Annotation)

    def annotated(self) -> Iterator[int]:
        """The id of every annotation's question, in the files' order; the rest of it is passed over."""
        return (annotation.question_id for annotation in self._annotations(_Annotated))

    def _annotations(self, kind: type[Any]) -> Iterator[Any]:
        for _, path in self.files:
            if path is not None:
                yield from _records(path, _AnnotationFile, "annotations", kind)


def matches(folder: Path) -> bool:
    """Whether `folder` is laid out like this."""
    return any((_raw(folder) / questions).exists() for pairs in PARTS.values() for questions, _ in pairs)


def get_part(folder: Path, split: str) -> Part:
    """The files of the "train", "validation" or "test" part; InputError where one is missing."""
    raw = _raw(folder)
    chosen = next((pair for pair in PARTS[split] if (raw / pair[0]).exists()), None)
    if chosen is None:
        names = " or ".join(questions for questions, _ in PARTS[split])
        raise InputError(f"{raw} has no {names}, which VQA-v2's {split} part is read from")
    pairs = [chosen]
    if split == "train" and (raw / VISUAL_GENOME[0]).exists():
        pairs.append(VISUAL_GENOME)
    files = tuple((raw / questions, raw / answers if answers else None) for questions, answers in pairs)
    for path in (answers for _, answers in files if answers is not None and not answers.exists()):
        raise InputError(f"annotation file {path} does not exist, but its questions do; copy it there")
    return Part(files=files)


def existing_parts(folder: Path) -> list[Part]:
    """The parts that are there, in the order in which openvqa reads them for its list of words."""
    raw = _raw(folder)
    return [get_part(folder, split) for split in PARTS if any((raw / name).exists() for name, _ in PARTS[split])]


def read_answer_dict(folder: Path) -> tuple[str, ...] | None:
    """The answers by class id, of answer_dict.json, whose first entry maps answers to ids, if there is one."""
    path = next((path for path in (folder / ANSWERS, _raw(folder) / ANSWERS) if path.exists()), None)
    return None if path is None else names_of(_decoded(path, list[dict[str, Any]])[0], path)


def names_of(ids: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """The names by id of a mapping from names to ids; InputError where the ids are not 0, 1, 2, ..."""
    if sorted(map(str, ids.values())) != sorted(map(str, range(len(ids)))):
        raise InputError(f"{path} must number its {len(ids)} answers from 0 on, each once")
    return tuple(sorted(ids, key=lambda name: int(ids[name])))


def _raw(folder: Path) -> Path:
    return folder / "raw" if (folder / "raw").is_dir() else folder


def _records(path: Path, file_type: type[Any], field: str, record_type: type[Any]) -> Iterator[Any]:
    decoder = msgspec.json.Decoder(record_type)
    with _mapped(path) as content:
        records = getattr(_decode(path, msgspec.json.Decoder(file_type), content), field)
        for place, raw in enumerate(records):
            try:
                yield decoder.decode(raw)
            except msgspec.MsgspecError as error:
                raise InputError(f"{path}, {field}[{place}]: {error}; is it a file of another version?") from error


@contextlib.contextmanager
def _mapped(path: Path) -> Iterator[Any]:
    """The file's bytes, left on disk until they are looked at: these files are larger than what is kept of them."""
    try:
        with path.open("rb") as file:
            yield mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # an empty file cannot be mapped
        raise InputError(f"{path} cannot be read: {error}; is it truncated?") from error


def _decode(path: Path, decoder: msgspec.json.Decoder[Any], content: Any) -> Any:
    try:
        return decoder.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no such file: {error}; is it truncated, or of another version?") from error


def _decoded(path: Path, kind: Any) -> Any:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    return _decode(path, msgspec.json.Decoder(kind), content)
