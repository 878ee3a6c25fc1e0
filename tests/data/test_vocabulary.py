from __future__ import annotations

import json
from pathlib import Path

import pytest

from bstsearch.data.vocabulary import Vocabulary, words_of
from bstsearch.errors import InputError

VOCABULARY = Vocabulary(data="easy-vqa", words=("color", "is", "red"), answers=("no", "yes"), question_length=3)


def test_questions_are_cut_and_padded() -> None:
    assert VOCABULARY.encode("red").tolist() == [4, 0, 0]
    assert VOCABULARY.encode("is is is red").tolist() == [3, 3, 3]


def test_an_unknown_word_is_id_one() -> None:
    assert VOCABULARY.encode("is Zeus red?").tolist() == [3, 1, 4]


@pytest.mark.parametrize("question", ["", "?!", "quo vadis"])
def test_a_question_without_any_known_word_is_refused(question: str) -> None:
    with pytest.raises(InputError, match=r"no word of the question .* it knows color, is, red"):
        VOCABULARY.encode(question)


def test_british_spelling_is_the_same_word() -> None:
    assert words_of("What COLOUR, grey?") == words_of("what color gray")


def test_build_sorts_words_and_answers() -> None:
    built = Vocabulary.build("x", ["Is it red?", "it is"], ["yes", "no", "yes"], 4)
    assert built.words == ("is", "it", "red")
    assert built.answers == ("no", "yes")
    assert built.size == 5


def test_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    VOCABULARY.save(tmp_path)
    assert Vocabulary.load(tmp_path) == VOCABULARY


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "not of format 1"),
        ({"words": 7}, "malformed"),
        ({"question_length": "many"}, "malformed"),
        ({"extra": 1}, "malformed"),
    ],
)
def test_a_malformed_file_is_one_clear_error(tmp_path: Path, change: dict[str, object], message: str) -> None:
    (tmp_path / "vocabulary.json").write_text(json.dumps({**VOCABULARY.to_json(), **change}))
    with pytest.raises(InputError, match=message):
        Vocabulary.load(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"vocabulary .*vocabulary\.json does not exist"):
        Vocabulary.load(tmp_path)
