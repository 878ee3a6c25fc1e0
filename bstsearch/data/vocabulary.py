"""Questions to token ids and answers to class ids, as a supernet stores them beside its weights (no torch)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bstsearch.errors import InputError
from bstsearch.files import read_json, write_json

FORMAT = 1
FILE = "vocabulary.json"
PAD, UNKNOWN, FIRST_WORD = 0, 1, 2

# A question may be spelt the British way; the data sets are not.
SPELLINGS = {"colour": "color", "grey": "gray"}


def words_of(question: str) -> list[str]:
    """The words of a question, in lower case, without punctuation.

    >>> words_of("What colour is the circle?")
    ['what', 'color', 'is', 'the', 'circle']
    """
    return [SPELLINGS.get(word, word) for word in re.findall(r"[^\W_]+", question.lower())]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The words (ids from 2 on; 0 is padding, 1 an unknown word) and answers that a supernet knows.

    >>> vocabulary = Vocabulary(data="easy-vqa", words=("is", "red"), answers=("yes", "no"), question_length=4)
    >>> vocabulary.encode("Is it red?").tolist()
    [2, 1, 3, 0]
    """

    data: str
    words: tuple[str, ...]
    answers: tuple[str, ...]
    question_length: int

    @property
    def size(self) -> int:
        """How many token ids there are."""
        return FIRST_WORD + len(self.words)

    @classmethod
    def build(cls, data: str, questions: Iterable[str], answers: Iterable[str], question_length: int) -> Vocabulary:
        """The vocabulary of these questions and answers, each sorted."""
        words = sorted({word for question in questions for word in words_of(question)})
        return cls(data=data, words=tuple(words), answers=tuple(sorted(set(answers))), question_length=question_length)

    def encode(self, question: str) -> NDArray[np.int64]:
        """Token ids (question_length,), cut or padded; InputError where no word is known."""
        ids = {word: FIRST_WORD + index for index, word in enumerate(self.words)}
        tokens = [ids.get(word, UNKNOWN) for word in words_of(question)][: self.question_length]
        if not set(tokens) - {UNKNOWN}:
            raise InputError(
                f"no word of the question {question!r} is in the vocabulary; it knows {', '.join(self.words[:12])}, ..."
            )
        return np.array(tokens + [PAD] * (self.question_length - len(tokens)), dtype=np.int64)

    def to_json(self) -> dict[str, Any]:
        """Plain data; `load` reads it back from a folder."""
        return {"format": FORMAT, **dataclasses.asdict(self)}

    def save(self, folder: Path) -> None:
        """Writes `vocabulary.json` into `folder`."""
        write_json(folder / FILE, self.to_json())

    @classmethod
    def load(cls, folder: Path) -> Vocabulary:
        """The vocabulary of a supernet or exported folder; InputError where it is missing or malformed."""
        path = folder / FILE
        data = read_json(path, "vocabulary")
        if data.pop("format", None) != FORMAT:
            raise InputError(f"vocabulary {path} is not of format {FORMAT}, which this version reads")
        try:
            words, answers = tuple(map(str, data.pop("words"))), tuple(map(str, data.pop("answers")))
            return cls(words=words, answers=answers, data=str(data.pop("data")), **{k: int(v) for k, v in data.items()})
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"vocabulary {path} is malformed: {error!r}") from error
