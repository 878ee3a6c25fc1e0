"""Questions to token ids and answers to class ids, as a supernet stores them beside its weights (no torch)."""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
import typing
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from bstsearch.errors import InputError
from bstsearch.inputs.tokenizers import (
    CASED,
    OPENVQA,
    SPECIAL,
    TOKENIZERS,
    WORDPIECE,
    WORDS,
    check_pieces,
    openvqa_words,
    piece_tokenizer,
    read_pieces,
    words_of,
)
from bstsearch.reading import checked, parsing, read_json, shown
from bstsearch.writing import write_json

if typing.TYPE_CHECKING:
    from tokenizers import Tokenizer

FORMAT = 2
WITHOUT_TOKENIZER = 1  # the format before it, in which every vocabulary was of plain words
FILE = "vocabulary.json"
PAD, UNKNOWN = 0, 1
LONGEST = 1 << 16  # tokens of a question
SPLIT = {WORDS: words_of, OPENVQA: openvqa_words}
FIRST_WORD = {WORDS: 2, OPENVQA: 3}  # openvqa keeps id 2 for a [CLS] that no question holds
CHUNK = 8192  # questions given to the tokenizers library at once; its results take far more memory than ids


class _WithoutTokenizer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is in a file of the first format, beside its number."""

    data: str
    words: tuple[str, ...]
    answers: tuple[str, ...]
    question_length: int


class _Saved(_WithoutTokenizer, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is in a file of today's format."""

    tokenizer: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The words and answers that a supernet knows, each in the order of its ids.

    With the tokenizers "words" and "openvqa", id 0 is padding, 1 an unknown word, and `words` follow from
    `first_word` on. With "wordpiece-cased" and "wordpiece-uncased", `words` is a BERT's whole list, whose first
    is [PAD], and [CLS] and [SEP] count in `question_length`.

    >>> vocabulary = Vocabulary(data="easy-vqa", words=("is", "red"), answers=("yes", "no"), question_length=4)
    >>> vocabulary.encode("Is it red?").tolist()
    [2, 1, 3, 0]
    """

    data: str
    words: tuple[str, ...]
    answers: tuple[str, ...]
    question_length: int
    tokenizer: str = WORDS

    def __post_init__(self) -> None:
        if self.tokenizer not in TOKENIZERS:
            raise InputError(f"unknown tokenizer {shown(self.tokenizer)}; this version knows {', '.join(TOKENIZERS)}")
        shortest = 3 if self.is_wordpiece else 1
        if not shortest <= self.question_length <= LONGEST:
            raise InputError(
                f"question_length is {shown(self.question_length)}; {self.tokenizer} needs {shortest} to {LONGEST:,}"
            )
        for what, names in (("words", self.words), ("answers", self.answers)):
            if len(set(names)) < len(names):
                twice = collections.Counter(names).most_common(1)[0][0]
                raise InputError(f"{what} hold {shown(twice)} twice, so its number means two things")
        if self.is_wordpiece:
            check_pieces(self.words, "the vocabulary's words")

    @property
    def is_wordpiece(self) -> bool:
        """Whether questions are cut into word pieces, between [CLS] and [SEP]."""
        return self.tokenizer in WORDPIECE

    @property
    def first_word(self) -> int:
        """The id of the first of `words`."""
        return FIRST_WORD.get(self.tokenizer, 0)

    @property
    def size(self) -> int:
        """How many token ids there are."""
        return self.first_word + len(self.words)

    @property
    def unknown_id(self) -> int | None:
        """The id that may stand in for any word while training; None for word pieces, of which none is a word."""
        return None if self.is_wordpiece else UNKNOWN

    @classmethod
    def build(
        cls, data: str, questions: Iterable[str], answers: Iterable[str], question_length: int, tokenizer: str = WORDS
    ) -> Vocabulary:
        """The vocabulary of these questions and answers, each sorted; for "openvqa" each in the order of first use."""
        words = dict.fromkeys(word for question in dict.fromkeys(questions) for word in SPLIT[tokenizer](question))
        named = dict.fromkeys(answers)
        order = list if tokenizer == OPENVQA else sorted
        return cls(
            data=data,
            words=tuple(order(words)),
            answers=tuple(order(named)),
            question_length=question_length,
            tokenizer=tokenizer,
        )

    @classmethod
    def from_wordpiece_file(
        cls, path: Path, data: str, answers: Iterable[str], question_length: int, tokenizer: str = CASED
    ) -> Vocabulary:
        """The vocabulary of a BERT's vocab.txt, with `answers` as they are; InputError where the file is none."""
        return cls(
            data=data,
            words=read_pieces(path),
            answers=tuple(answers),
            question_length=question_length,
            tokenizer=tokenizer,
        )

    def encode(self, question: str) -> NDArray[np.int64]:
        """Token ids (question_length,), cut or padded; InputError where no word is known."""
        ids = self.encode_any(question)
        if not set(ids.tolist()) - self._wordless:
            known = ", ".join(itertools.islice(filter(str.isalpha, self.words), 12))
            raise InputError(f"no word of the question {shown(question)} is in the vocabulary; it knows {known}, ...")
        return ids

    def encode_any(self, question: str) -> NDArray[np.int64]:
        """Token ids (question_length,), cut or padded, also where no word is known."""
        ids: NDArray[np.int64] = self.encode_many([question])[0]
        return ids

    def encode_many(self, questions: Sequence[str]) -> NDArray[np.int64]:
        """Token ids (N, question_length), each row cut or padded; a question may hold unknown words only."""
        encoded = np.full((len(questions), self.question_length), PAD, dtype=np.int64)
        if self.is_wordpiece:
            for start in range(0, len(questions), CHUNK):
                part = questions[start : start + CHUNK]
                encoded[start : start + len(part)] = [found.ids for found in self._pieces.encode_batch(list(part))]
        else:
            for row, question in enumerate(questions):
                words = SPLIT[self.tokenizer](question)[: self.question_length]
                encoded[row, : len(words)] = [self._ids.get(word, UNKNOWN) for word in words]
        return encoded

    @functools.cached_property
    def _ids(self) -> dict[str, int]:
        return {word: index for index, word in enumerate(self.words, start=self.first_word)}

    @functools.cached_property
    def _pieces(self) -> Tokenizer:
        return piece_tokenizer(self.words, is_cased=self.tokenizer == CASED, length=self.question_length)

    @functools.cached_property
    def _wordless(self) -> set[int]:
        """Ids that stand for no word of a question."""
        return {self._ids[piece] for piece in SPECIAL} if self.is_wordpiece else {PAD, UNKNOWN}

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
        data = read_json(path)
        found = data.pop("format", None)
        if type(found) is not int or found not in (WITHOUT_TOKENIZER, FORMAT):
            raise InputError(f"{path} has format {shown(found)}; this version reads formats 1 and {FORMAT}")
        saved = checked(data, _WithoutTokenizer if found == WITHOUT_TOKENIZER else _Saved, path)
        with parsing(path):
            return cls(**msgspec.structs.asdict(saved))
