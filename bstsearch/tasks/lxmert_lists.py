"""VQA-v2 or GQA of LXMERT's question lists with JPEG files, as CLIP-ViL reads them.

    the lists of `bstsearch.formats.lxmert_lists`, and    mscoco/train2014  val2014  test2015    or    gqa/images

Images may also lie in a folder images. VQA-v2 trains on train and nominival and validates on minival; GQA trains on
train, validates on valid and tests on testdev (that code also trains on valid, and chooses by testdev). Accuracy is the
worth of the predicted answer (`bstsearch.tasks.soft_labels`), as reported there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bstsearch.errors import InputError
from bstsearch.formats.lxmert_images import are_lying, get_images
from bstsearch.formats.lxmert_lists import Asked, answers_file, read_answers, read_lists
from bstsearch.inputs.reader import Encode, Reader
from bstsearch.reading import shown
from bstsearch.tasks.picture_split import PictureSplit, in_memory
from bstsearch.tasks.region_split import SparseRows
from bstsearch.tasks.soft_labels import GQA_RESULT, VQA_RESULT, SoftJudge
from bstsearch.tasks.vqa import are_answered

Worths = Mapping[int, float]  # class id -> what it is worth
Row = tuple[Asked, Worths]


def load(folder: Path, data: str, split: str, answers: tuple[str, ...], encode: Encode, reader: Reader) -> PictureSplit:
    """The "train", "validation" or "test" part, its images as `reader` says.

    InputError where a file is missing or malformed, an image is missing, or an answer is not in the list of answers.
    Only GQA's held-out questions may have one that is not; no prediction is then right, as in that code.
    """
    picture = reader.needed_picture(f"{folder} has image files")
    _check_order(read_answers(folder, data), answers, answers_file(folder, data))
    classes = {answer: index for index, answer in enumerate(answers)}
    is_strict = data != "gqa" or split == "train"
    lists = read_lists(folder, data, split)
    rows = [(one, _worths(one, classes, path, is_strict=is_strict)) for path, asked in lists.items() for one in asked]
    has_answers = _have_answers(rows, " and ".join(map(str, lists)))
    paths = get_images(folder, dict.fromkeys(asked.img_id for asked, _ in rows))
    lying = are_lying(folder, paths) if picture.has_two_ways else dict.fromkeys(paths, False)
    rows.sort(key=lambda row: not lying[row[0].img_id])
    judge = SoftJudge(
        questions=[asked.question_id for asked, _ in rows],
        worths=SparseRows.of(worths for _, worths in rows),
        names=answers,
        has_answers=has_answers,
        result=GQA_RESULT if data == "gqa" else VQA_RESULT,
        where=next(iter(lists)),
    )
    return PictureSplit(
        questions=in_memory(reader.texts([asked.sent for asked, _ in rows], encode)),
        paths=[paths[asked.img_id] for asked, _ in rows],
        lying=sum(lying[asked.img_id] for asked, _ in rows),
        judge=judge,
        picture=picture,
    )


def _check_order(listed: Sequence[str], own: Sequence[str], path: Path) -> None:
    """Passes where the list has other answers than the model, or numbers them alike; else InputError."""
    if sorted(listed) == sorted(own) and tuple(listed) != tuple(own):
        raise InputError(f"{path} has the model's answers in another order; give the one that it was trained with")


def _have_answers(rows: Sequence[Row], where: str) -> bool:
    """Whether the answers are known; where all questions have empty labels, they are held back."""
    ids, labels = [asked.question_id for asked, _ in rows], [asked.label for asked, _ in rows]
    return are_answered(ids, [label is not None for label in labels], where) and any(labels)


def _worths(asked: Asked, classes: Mapping[str, int], path: Path, *, is_strict: bool) -> Worths:
    given = asked.label or {}
    if is_strict and (unknown := next((answer for answer in given if answer not in classes), None)) is not None:
        who = f"question {shown(asked.question_id)}"
        raise InputError(f"{path}: {who} has the answer {shown(unknown)}, which is none of the model's")
    return {classes[answer]: worth for answer, worth in given.items() if answer in classes}
