from __future__ import annotations

import json
import os
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from bstsearch.errors import InputError
from bstsearch.inputs.texts import LETTERS_AND_DIGITS, TextReader, WordRules, text_reader

RULES = WordRules(replaced={"-": " ", "'": ""}, pattern=LETTERS_AND_DIGITS + "+", spellings={"colour": "color"})
READER = TextReader(length=4, rules=RULES, words=("is", "red", "color"), first_id=2)


def test_text_is_cut_as_the_rules_say() -> None:
    assert RULES.words("What's the t-shirt_COLOUR?") == ["whats", "the", "t", "shirt", "color"]


def test_letters_and_digits_are_those_of_every_language() -> None:
    found = set("".join(WordRules(pattern=LETTERS_AND_DIGITS + "+").words("".join(map(chr, range(sys.maxunicode))))))
    # In lower case some characters become several, of which one is an accent.
    assert {unicodedata.category(character)[0] for character in found} == {"L", "N"}


def test_ids_are_cut_or_padded() -> None:
    assert READER.read("Is it red?").tolist() == [2, 1, 3, 0]
    assert READER.read("is is is is colour").tolist() == [2, 2, 2, 2]


def test_a_text_of_unknown_words_is_refused_with_known_ones() -> None:
    with pytest.raises(
        InputError, match=r"no word of the question 'quid est\?' is in the vocabulary; it knows is, red"
    ):
        READER.read("quid est?")


def test_a_reader_is_plain_data_and_back() -> None:
    data = json.loads(json.dumps(READER.to_json()))
    assert data["pattern"] == r"[\p{L}\p{N}]+"
    assert text_reader(data, Path()) == READER


@pytest.mark.parametrize("change", [{"length": "long"}, {"words": 3}, {"pattern": None, "first_id": None}])
def test_malformed_data_are_one_clear_error(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="how text is read is malformed"):
        text_reader(READER.to_json() | change, Path())


def test_word_pieces_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    reader = text_reader({"input": "question", "tokenizer_file": "tokenizer.json"}, tmp_path)
    with pytest.raises(InputError, match=r"tokenizer\.json cannot be read"):
        reader.read("is it red?")


def test_word_pieces_in_a_pipe_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "tokenizer.json")
    reader = text_reader({"input": "question", "tokenizer_file": "tokenizer.json"}, tmp_path)
    with pytest.raises(InputError, match=r"tokenizer\.json cannot be read: it is no file"):
        reader.read("is it red?")
