from __future__ import annotations

import json
from pathlib import Path

import pytest

from bstsearch.errors import InputError
from bstsearch.inputs.tokenizers import openvqa_words, piece_tokenizer, read_pieces, words_of

GOLDEN = json.loads((Path(__file__).parent / "golden" / "question_words.json").read_text(encoding="utf-8"))
PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "is", "it", "red", "##dish", "?", "Red", "cafe", "'", "s", "日")


def pieces_of(question: str, *, is_cased: bool = False, length: int = 12) -> list[str]:
    pytest.importorskip("tokenizers")
    ids = piece_tokenizer(PIECES, is_cased=is_cased, length=length).encode(question).ids
    return [PIECES[index] for index in ids]


@pytest.mark.parametrize(("question", "words"), GOLDEN)
def test_openvqa_words_are_those_of_the_public_code(question: str, words: list[str]) -> None:
    assert openvqa_words(question) == words


def test_each_way_of_cutting_words_has_its_own_idea_of_punctuation() -> None:
    question = "What's the colour & t-shirt_size?"
    assert words_of(question) == ["what", "s", "the", "color", "t", "shirt", "size"]
    assert openvqa_words(question) == ["whats", "the", "colour", "&", "t", "shirt_size"]


def test_pieces_stand_between_their_marks_and_padding() -> None:
    assert pieces_of("is it reddish?", length=8) == ["[CLS]", "is", "it", "red", "##dish", "?", "[SEP]", "[PAD]"]


def test_a_long_question_is_cut_before_its_last_mark() -> None:
    assert pieces_of("is it reddish?", length=5) == ["[CLS]", "is", "it", "red", "[SEP]"]


def test_uncased_pieces_ignore_case_and_accents() -> None:
    assert pieces_of("IS it a Café", length=7)[1:6] == ["is", "it", "[UNK]", "cafe", "[SEP]"]


def test_cased_pieces_keep_case_and_accents() -> None:
    assert pieces_of("Red IS café", is_cased=True, length=5) == ["[CLS]", "Red", "[UNK]", "[UNK]", "[SEP]"]


def test_punctuation_and_chinese_characters_are_pieces_of_their_own() -> None:
    assert pieces_of("it's日red", length=9)[1:-2] == ["it", "'", "s", "日", "red", "[SEP]"]


def test_names_of_marks_in_a_question_are_only_text() -> None:
    assert "[SEP]" not in pieces_of("[SEP] is", length=5)[:4]


def test_a_file_of_pieces_is_read_in_order(tmp_path: Path) -> None:
    for end in ("\n", "\r\n"):
        (tmp_path / "vocab.txt").write_bytes(end.join([*PIECES, "\u2028", ""]).encode())
        assert read_pieces(tmp_path / "vocab.txt") == (*PIECES, "\u2028")


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        ((), r"must begin with \[PAD\]"),
        (("[UNK]", "[PAD]", "[CLS]", "[SEP]"), r"must begin with \[PAD\], whose id is 0; expected the vocab\.txt"),
        (("[PAD]", "[UNK]", "[SEP]", "is"), r"must hold \[CLS\]; expected the vocab\.txt of a BERT"),
        (("[PAD]", "[UNK]", "[CLS]", "is"), r"must hold \[SEP\]"),
        (("[PAD]", "[CLS]", "[SEP]"), r"must hold \[UNK\]"),
        ((*PIECES, "is"), "must hold 'is' once"),
    ],
)
def test_other_files_are_one_clear_error(tmp_path: Path, pieces: tuple[str, ...], message: str) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(pieces), encoding="utf-8")
    with pytest.raises(InputError, match=rf"vocab\.txt {message}"):
        read_pieces(tmp_path / "vocab.txt")


def test_a_file_that_is_missing_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"vocab\.txt does not exist"):
        read_pieces(tmp_path / "vocab.txt")
    (tmp_path / "vocab.bin").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"vocab\.bin is no text in UTF-8"):
        read_pieces(tmp_path / "vocab.bin")
