from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bstsearch.errors import InputError
from bstsearch.tasks.vocabulary import Vocabulary, words_of

VOCABULARY = Vocabulary(data="easy-vqa", words=("color", "is", "red"), answers=("no", "yes"), question_length=3)
OPENVQA = Vocabulary(data="vqa-v2", words=("is", "tshirt"), answers=("yes",), question_length=3, tokenizer="openvqa")
PIECES = ("[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "is", "it", "red", "##dish")
WORDPIECE = Vocabulary(
    data="vqa-v2", words=PIECES, answers=("yes", "no"), question_length=6, tokenizer="wordpiece-uncased"
)
cuts_pieces = pytest.mark.skipif(importlib.util.find_spec("tokenizers") is None, reason="tokenizers is not installed")
EVERY = [VOCABULARY, OPENVQA, pytest.param(WORDPIECE, marks=cuts_pieces)]


def test_questions_are_cut_and_padded() -> None:
    assert VOCABULARY.encode("red").tolist() == [4, 0, 0]
    assert VOCABULARY.encode("is is is red").tolist() == [3, 3, 3]


def test_an_unknown_word_is_id_one() -> None:
    assert VOCABULARY.encode("is Zeus red?").tolist() == [3, 1, 4]


def test_openvqa_words_begin_after_a_mark_that_no_question_holds() -> None:
    assert OPENVQA.encode("Is t'shirt purple").tolist() == [3, 4, 1]
    assert (OPENVQA.first_word, OPENVQA.size, OPENVQA.unknown_id) == (3, 5, 1)


@cuts_pieces
def test_word_pieces_stand_between_their_marks() -> None:
    assert WORDPIECE.encode("is reddish").tolist() == [3, 5, 7, 8, 4, 0]
    assert WORDPIECE.encode("is it it it red").tolist() == [3, 5, 6, 6, 6, 4]
    assert (WORDPIECE.first_word, WORDPIECE.size, WORDPIECE.unknown_id) == (0, len(PIECES), None)


@cuts_pieces
@pytest.mark.parametrize("question", ["", "?!", "quo vadis"])
def test_a_question_without_any_known_word_is_refused(question: str) -> None:
    with pytest.raises(InputError, match=r"no word of the question .* it knows color, is, red"):
        VOCABULARY.encode(question)
    with pytest.raises(InputError, match=r"it knows is, tshirt"):
        OPENVQA.encode(question)
    with pytest.raises(InputError, match=r"it knows is, it, red, \.\.\."):
        WORDPIECE.encode(question)


@pytest.mark.parametrize("vocabulary", EVERY)
def test_many_questions_are_encoded_like_each(vocabulary: Vocabulary) -> None:
    questions = ["is it red", "IS IT REDDISH?", "it is, it is, it is not", "red-is"]
    encoded = vocabulary.encode_many(questions)
    assert (encoded.shape, encoded.dtype) == ((4, vocabulary.question_length), np.int64)
    np.testing.assert_array_equal(encoded, np.stack([vocabulary.encode(question) for question in questions]))


@cuts_pieces
def test_among_many_a_question_may_be_unknown() -> None:
    assert VOCABULARY.encode_many(["quo vadis", ""]).tolist() == [[1, 1, 0], [0, 0, 0]]
    assert WORDPIECE.encode_many(["quo", ""]).tolist() == [[3, 2, 4, 0, 0, 0], [3, 4, 0, 0, 0, 0]]
    assert OPENVQA.encode_many([]).shape == (0, 3)


@cuts_pieces
def test_more_questions_than_are_tokenised_at_once_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    questions = ["is", "it", "red", "is it", "red is"]
    expected = WORDPIECE.encode_many(questions)
    monkeypatch.setattr("bstsearch.tasks.vocabulary.CHUNK", 2)
    np.testing.assert_array_equal(WORDPIECE.encode_many(questions), expected)


def test_british_spelling_is_the_same_word() -> None:
    assert words_of("What COLOUR, grey?") == words_of("what color gray")


def test_build_sorts_words_and_answers() -> None:
    built = Vocabulary.build("x", ["Is it red?", "it is"], ["yes", "no", "yes"], 4)
    assert built.words == ("is", "it", "red")
    assert built.answers == ("no", "yes")
    assert built.size == 5


def test_build_keeps_the_order_of_openvqa() -> None:
    built = Vocabulary.build("x", ["What's it?", "it is"], ["yes", "no", "yes"], 4, "openvqa")
    assert built.words == ("whats", "it", "is")
    assert built.answers == ("yes", "no")


def test_word_pieces_are_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    answers = WORDPIECE.answers
    assert (
        Vocabulary.from_wordpiece_file(tmp_path / "vocab.txt", "vqa-v2", answers, 6, "wordpiece-uncased") == WORDPIECE
    )


@pytest.mark.parametrize("vocabulary", EVERY)
def test_saved_and_loaded_is_the_same(tmp_path: Path, vocabulary: Vocabulary) -> None:
    vocabulary.save(tmp_path)
    loaded = Vocabulary.load(tmp_path)
    assert loaded == vocabulary
    np.testing.assert_array_equal(loaded.encode("is red"), vocabulary.encode("is red"))


def test_files_of_the_first_format_hold_plain_words(tmp_path: Path) -> None:
    first = {name: value for name, value in VOCABULARY.to_json().items() if name != "tokenizer"}
    (tmp_path / "vocabulary.json").write_text(json.dumps({**first, "format": 1}))
    assert Vocabulary.load(tmp_path) == VOCABULARY


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 3}, "has format 3; this version reads formats 1 and 2"),
        ({"format": "2"}, "has format '2'"),
        ({"format": 2.0}, r"has format 2\.0"),
        ({"format": 1}, "unknown field tokenizer"),
        ({"words": 7}, ", words: expected array, got int"),
        ({"answers": ["yes", 7]}, r", answers\[1\]: expected str, got int"),
        ({"answers": ["yes", "no", "yes"]}, "answers hold 'yes' twice"),
        ({"words": ["red", "red"]}, "words hold 'red' twice"),
        ({"question_length": "many"}, ", question_length: expected int, got str"),
        ({"question_length": 10**12}, "question_length is 1000000000000; words needs 1 to 65,536"),
        ({"extra": 1}, "unknown field extra"),
        ({"tokenizer": "letters"}, "unknown tokenizer 'letters'; this version knows words, openvqa, wordpiece-cased"),
        ({"tokenizer": "wordpiece-cased"}, r"must begin with \[PAD\]"),
        ({"question_length": 0}, "question_length is 0; words needs 1 to 65,536"),
    ],
)
def test_a_malformed_file_is_one_clear_error(tmp_path: Path, change: dict[str, object], message: str) -> None:
    (tmp_path / "vocabulary.json").write_text(json.dumps({**VOCABULARY.to_json(), **change}))
    with pytest.raises(InputError, match=message):
        Vocabulary.load(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"vocabulary\.json does not exist"):
        Vocabulary.load(tmp_path)


def test_word_vocabularies_load_no_tokenizers_library() -> None:
    code = "import sys, bstsearch.tasks.vocabulary; print(*{'tokenizers', 'torch'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
