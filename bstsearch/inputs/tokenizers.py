"""Questions cut into words or word pieces, in each way that a model may have been trained with (no torch)."""

from __future__ import annotations

import collections
import typing
from pathlib import Path

from bstsearch.errors import InputError
from bstsearch.inputs.texts import LETTERS_AND_DIGITS, WordRules
from bstsearch.reading import needing, read_text, shown

if typing.TYPE_CHECKING:
    from tokenizers import Tokenizer

WORDS, OPENVQA, CASED, UNCASED = "words", "openvqa", "wordpiece-cased", "wordpiece-uncased"
TOKENIZERS = (WORDS, OPENVQA, CASED, UNCASED)
WORDPIECE = (CASED, UNCASED)

RULES = {
    # A question may be spelt the British way; the data sets are not.
    WORDS: WordRules(pattern=LETTERS_AND_DIGITS + "+", spellings={"colour": "color", "grey": "gray"}),
    OPENVQA: WordRules(replaced={"-": " ", "/": " "} | dict.fromkeys(".,'!?\"()*#:;", ""), pattern=r"\S+"),
}
PAD_PIECE, UNKNOWN_PIECE, FIRST_PIECE, LAST_PIECE = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
SPECIAL = (PAD_PIECE, UNKNOWN_PIECE, FIRST_PIECE, LAST_PIECE)


def words_of(question: str) -> list[str]:
    """The words of a question, in lower case, without punctuation.

    >>> words_of("What colour is the circle?")
    ['what', 'color', 'is', 'the', 'circle']
    """
    return RULES[WORDS].words(question)


def openvqa_words(question: str) -> list[str]:
    """The words of a question as the public codes MILVLG/openvqa and MILVLG/bst cut it: few characters are deleted.

    >>> openvqa_words("Is it 10:30 a.m./p.m.?")
    ['is', 'it', '1030', 'am', 'pm']
    """
    return RULES[OPENVQA].words(question)


def read_pieces(path: Path) -> tuple[str, ...]:
    """The word pieces in a vocab.txt, one a line, in the order of their ids; InputError where it is none."""
    # Not splitlines(): a piece may be a character that Unicode takes for the end of a line.
    pieces = tuple(line.removesuffix("\r") for line in read_text(path).removesuffix("\n").split("\n"))
    check_pieces(pieces, str(path))
    return pieces


def check_pieces(pieces: tuple[str, ...], where: str) -> None:
    """Passes where a BERT can use these word pieces; else InputError, which begins with `where`."""
    expected = "; expected the vocab.txt of a BERT, with one piece a line"
    if pieces[:1] != (PAD_PIECE,):
        raise InputError(f"{where} must begin with {PAD_PIECE}, whose id is 0{expected}")
    if missing := [piece for piece in SPECIAL if piece not in pieces]:
        raise InputError(f"{where} must hold {missing[0]}{expected}")
    if len(set(pieces)) != len(pieces):
        twice = collections.Counter(pieces).most_common(1)[0][0]
        raise InputError(f"{where} must hold {shown(twice)} once{expected}")


def piece_tokenizer(pieces: tuple[str, ...], *, is_cased: bool, length: int) -> Tokenizer:
    """A tokenizer that gives `length` ids: [CLS], the pieces of a question, cut where they are too many, [SEP], [PAD]s.

    As BERT's own (Devlin et al., 2019); uncased, it drops accents, too. `length` is at least 2.
    """
    with needing("cutting questions into word pieces"):
        import tokenizers
    ids = {piece: index for index, piece in enumerate(pieces)}
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(ids, unk_token=UNKNOWN_PIECE, max_input_chars_per_word=100))
    made.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=not is_cased)
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.post_processor = tokenizers.processors.BertProcessing(
        (LAST_PIECE, ids[LAST_PIECE]), (FIRST_PIECE, ids[FIRST_PIECE])
    )
    made.enable_truncation(length)
    made.enable_padding(length=length, pad_id=ids[PAD_PIECE], pad_token=PAD_PIECE)
    return made
