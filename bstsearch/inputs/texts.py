"""How a text becomes the ids that a model reads, as plain data say it; needs numpy (no torch).

Exported folders hold a copy of this file, and the data in `preprocessor.json`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bstsearch.errors import InputError

SHOWN = 60  # characters of a value that an error shows

# As most languages write it; Python's `re` knows no \p, but a set of the same characters.
LETTERS_AND_DIGITS, IN_PYTHON = r"[\p{L}\p{N}]", r"[^\W_]"


@dataclasses.dataclass(frozen=True, kw_only=True)
class WordRules:
    """How text is cut into words: in lower case, `replaced` character by character, and what fits `pattern` is a word.

    Words are then spelt as `spellings` say.
    """

    replaced: Mapping[str, str] = dataclasses.field(default_factory=dict)
    pattern: str
    spellings: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def words(self, text: str) -> list[str]:
        """The words of `text`, in order."""
        plain = text.lower().translate({ord(old): new for old, new in self.replaced.items()})
        found = re.findall(self.pattern.replace(LETTERS_AND_DIGITS, IN_PYTHON), plain)
        return [self.spellings.get(word, word) for word in found]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextReader:
    """How a question becomes the model's input of the name `input`: `length` ids of words, cut or padded.

    The ids of `words` follow from `first_id` on.
    """

    input: str = "question"
    length: int
    rules: WordRules
    words: tuple[str, ...]
    first_id: int
    unknown_id: int = 1
    padding_id: int = 0

    def read(self, text: str) -> NDArray[np.int64]:
        """The ids (length,); InputError where no word is known."""
        numbers = {word: number for number, word in enumerate(self.words, start=self.first_id)}
        ids = [numbers.get(word, self.unknown_id) for word in self.rules.words(text)][: self.length]
        if not set(ids) - {self.unknown_id}:
            known = ", ".join(self.words[:12])
            raise InputError(f"no word of the question {text[:SHOWN]!r} is in the vocabulary; it knows {known}, ...")
        return np.array(ids + [self.padding_id] * (self.length - len(ids)), dtype=np.int64)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "input": self.input,
            "dtype": "int64",
            "length": self.length,
            "do_lower_case": True,
            **dataclasses.asdict(self.rules),
            "padding_id": self.padding_id,
            "unknown_id": self.unknown_id,
            "first_id": self.first_id,
            "words": list(self.words),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TextReader:
        """The reader that `to_json` wrote; InputError where the data are malformed."""
        try:
            return cls(
                input=str(data["input"]),
                length=int(data["length"]),
                rules=WordRules(**{name: data[name] for name in ("replaced", "pattern", "spellings")}),
                words=tuple(map(str, data["words"])),
                first_id=int(data["first_id"]),
                unknown_id=int(data["unknown_id"]),
                padding_id=int(data["padding_id"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"how text is read is malformed: {repr(error)[:SHOWN]}") from error


@dataclasses.dataclass(frozen=True, kw_only=True)
class PieceReader:
    """How a text becomes the model's input of the name `input`: ids of word pieces, as `file` of Hugging Face says."""

    input: str
    file: Path

    def read(self, text: str) -> NDArray[np.int64]:
        """The ids, cut or padded; InputError where the package tokenizers is missing or cannot read the file."""
        try:
            import tokenizers
        except ImportError as error:
            raise InputError("word pieces need a package; run 'pip install tokenizers'") from error
        if not self.file.is_file():  # of a pipe, the library would wait for ever
            raise InputError(f"{self.file} cannot be read: it is no file")
        try:
            pieces = tokenizers.Tokenizer.from_file(str(self.file))
        except Exception as error:  # this library's errors share no class of their own
            raise InputError(f"{self.file} cannot be read: {str(error)[:SHOWN]}") from error
        return np.array(pieces.encode(text).ids, dtype=np.int64)

    def to_json(self) -> dict[str, Any]:
        """Plain data, to lie in the folder of `file`."""
        return {"input": self.input, "dtype": "int64", "tokenizer_file": self.file.name}


def text_reader(data: Mapping[str, Any], folder: Path) -> TextReader | PieceReader:
    """The reader that `to_json` wrote, its files in `folder`; InputError where the data are malformed."""
    if "tokenizer_file" not in data:
        return TextReader.from_json(data)
    return PieceReader(input=str(data.get("input")), file=folder / str(data["tokenizer_file"]))
