"""A data set of one's own: questions about picture files, each with one right answer."""

from __future__ import annotations

import abc
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from bstsearch.errors import InputError
from bstsearch.formats.lxmert_images import is_lying
from bstsearch.inputs.reader import Reader
from bstsearch.inputs.tokenizers import words_of
from bstsearch.tasks import needed_folder
from bstsearch.tasks.picture_split import PictureSplit, in_memory
from bstsearch.tasks.region_split import SparseRows
from bstsearch.tasks.soft_labels import SoftJudge
from bstsearch.tasks.vocabulary import Vocabulary
from bstsearch.tasks.vqa import VqaTask, are_answered


class Row(NamedTuple):
    """A question about the picture in a file; `answer` is None where the right one is not known."""

    picture: Path
    question: str
    answer: str | None = None


class PictureQuestions(VqaTask):
    """Questions about pictures in the user's folder; a subclass has a `name`, and says with `rows` where they are.

    The model's words and answers are those of the "train" rows. Another answer in other rows is never right.
    """

    @classmethod
    @abc.abstractmethod
    def rows(cls, data_dir: Path, split: str) -> Iterable[Row | tuple[Path, str, str]]:
        """The picture, question and answer of each row of the "train", "validation" or "test" part, in any order."""

    @classmethod
    def build_vocabulary(cls, data_dir: Path | None) -> Vocabulary:
        """The words and answers of the rows to train on; InputError where there are none."""
        rows = cls._rows(data_dir, "train")
        answers = [row.answer for row in rows if row.answer is not None]
        if not answers:
            raise InputError(f"{cls.name} has no answers to train on in {data_dir}; check what its rows('train') gives")
        length = max([1, *(len(words_of(row.question)) for row in rows)])
        return Vocabulary.build(cls.name, (row.question for row in rows), answers, length)

    def split(self, name: str, reader: Reader) -> PictureSplit:
        """As `Task.split`; pictures are read as they are needed."""
        picture, words = reader.needed_picture(f"{self.name} has pictures"), self.vocabulary
        rows = self._rows(self.data_dir, name)
        paths = dict.fromkeys(row.picture for row in rows)
        lying = {path: picture.has_two_ways and is_lying(path) for path in paths}
        order = sorted(range(len(rows)), key=lambda place: not lying[rows[place].picture])
        rows = [rows[place] for place in order]
        classes = {answer: index for index, answer in enumerate(words.answers)}
        worths = SparseRows.of({classes[row.answer]: 1.0} if row.answer in classes else {} for row in rows)
        judge = SoftJudge(
            questions=order,
            worths=worths,
            names=words.answers,
            has_answers=are_answered(order, [row.answer is not None for row in rows], f"{self.data_dir}, {name} rows"),
            where=f"{self.data_dir}, {name} rows",
        )
        return PictureSplit(
            questions=in_memory(reader.texts([row.question for row in rows], words.encode_many)),
            paths=[row.picture for row in rows],
            lying=sum(lying[row.picture] for row in rows),
            judge=judge,
            picture=picture,
        )

    @classmethod
    def _rows(cls, data_dir: Path | None, split: str) -> list[Row]:
        """The rows of a part; InputError where there are none, or a picture does not exist."""
        rows = [Row(*row) for row in cls.rows(needed_folder(cls.name, data_dir), split)]
        if not rows:
            raise InputError(f"{cls.name} has no {split} rows in {data_dir}; check what its rows({split!r}) gives")
        if missing := next((row.picture for row in rows if not row.picture.is_file()), None):
            raise InputError(f"image {missing} does not exist, but a question of {cls.name} is about it")
        return rows
