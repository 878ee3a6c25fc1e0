from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import weights

from bstsearch.errors import InputError, UsageError
from bstsearch.published.checkpoint import Imported, read_checkpoint
from bstsearch.published.words import build_words
from bstsearch.tasks.vocabulary import Vocabulary
from bstsearch.tasks.vqa_v2 import VqaV2

ANSWERS = {f"answer {index}": index for index in range(30)}
WORDS = {name: index for index, name in enumerate(("PAD", "UNK", "CLS", *(f"word{index}" for index in range(47))))}
PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"piece{index}" for index in range(55)))


def imported(tmp_path: Path, family: str, **given: Any) -> Imported:
    torch.save(weights(family), tmp_path / "model.pt")
    return read_checkpoint(tmp_path / "model.pt", family, heads=4, **given)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    reverse = {str(index): name for name, index in ANSWERS.items()}
    for name, content in {
        "dicts.json": [ANSWERS, reverse, WORDS, 14],
        "answer_dict.json": [ANSWERS, reverse],
        "words.json": WORDS,
        "ans2label.json": ANSWERS,
        "label2ans.json": list(ANSWERS),
    }.items():
        (tmp_path / name).write_text(json.dumps(content))
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    return tmp_path


def build(files: Path, family: str, vocabulary: str | None, answers: str | None = None, **given: Any) -> Any:
    return build_words(
        imported(files, family, **given),
        vocabulary=None if vocabulary is None else files / vocabulary,
        answers=None if answers is None else files / answers,
        folder=None,
    )


@pytest.mark.parametrize(
    ("vocabulary", "answers"),
    [("dicts.json", None), ("words.json", "answer_dict.json"), ("words.json", "ans2label.json")],
)
def test_openvqas_files_give_words_and_answers(files: Path, vocabulary: str, answers: str | None) -> None:
    words = build(files, "mcan", vocabulary, answers)
    assert (words.tokenizer, words.size, words.answers) == ("openvqa", 50, tuple(ANSWERS))
    assert words.encode("word0, word46?").tolist()[:3] == [3, 49, 0]


@pytest.mark.parametrize(("family", "tokenizer"), [("uniter", "wordpiece-cased"), ("clip_vil", "wordpiece-uncased")])
@pytest.mark.parametrize("answers", ["ans2label.json", "label2ans.json", "answer_dict.json"])
def test_a_berts_vocab_file_goes_with_a_file_of_answers(files: Path, family: str, tokenizer: str, answers: str) -> None:
    words = build(files, family, "vocab.txt", answers)
    assert (words.tokenizer, words.words, words.answers) == (tokenizer, PIECES, tuple(ANSWERS))


def test_without_files_there_are_no_words(files: Path) -> None:
    assert build(files, "mcan", None) is None


def test_a_data_folder_is_read_as_its_data_set_says(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def vocabulary_of(folder: Path) -> Vocabulary:
        asked.append(folder)
        own = tuple(WORDS)[3:]
        return Vocabulary(data="vqa-v2", words=own, answers=tuple(ANSWERS), question_length=14, tokenizer="openvqa")

    monkeypatch.setattr(VqaV2, "build_vocabulary", vocabulary_of)
    found = build_words(imported(files, "mcan"), vocabulary=None, answers=None, folder=files)
    assert found is not None
    assert asked == [files]


@pytest.mark.parametrize(
    ("family", "vocabulary", "answers", "message"),
    [
        ("uniter", "vocab.txt", None, "vocab.txt holds word pieces only; give the answers with --answers"),
        ("mcan", "words.json", None, "words.json holds words only; give the answers with --answers"),
        ("mcan", None, "ans2label.json", "--answers goes with --vocabulary"),
    ],
)
def test_half_of_the_files_asks_for_the_other_half(
    files: Path, family: str, vocabulary: str | None, answers: str | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        build(files, family, vocabulary, answers)


def test_no_data_set_has_no_words(files: Path) -> None:
    assert build(files, "mcan", None, data="none") is None
    with pytest.raises(UsageError, match="leave out --data none"):
        build(files, "mcan", "dicts.json", data="none")


def test_openvqas_answers_alone_ask_for_the_questions(files: Path) -> None:
    with pytest.raises(InputError, match=r"answer_dict.json holds answers only: .* give --data-dir"):
        build(files, "mcan", "answer_dict.json")


def test_words_must_begin_with_openvqas_special_ones(files: Path) -> None:
    (files / "words.json").write_text(json.dumps({f"word{index}": index for index in range(50)}))
    with pytest.raises(InputError, match="must begin with PAD, UNK, CLS"):
        build(files, "mcan", "words.json", "ans2label.json")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("words.json", dict(list(WORDS.items())[:49]), "the checkpoint has 50 token ids, the vocabulary 49"),
        ("ans2label.json", list(ANSWERS)[:29], "the checkpoint has 30 answers, the vocabulary 29"),
        ("ans2label.json", 3, r"ans2label.json holds a int; expected a mapping from answers to ids, or a list$"),
        ("ans2label.json", {"yes": 1}, "must number its 1 answers from 0 on"),
        ("ans2label.json", {"yes": 0, "no": 0}, "must number its 2 answers from 0 on"),
        ("ans2label.json", {"yes": "one"}, "must number its 1 answers from 0 on"),
        ("ans2label.json", {"yes": [0]}, "must number its 1 answers from 0 on"),
        ("ans2label.json", [], "ans2label.json: the checkpoint has 30 answers, the vocabulary 0"),
        ("ans2label.json", {}, "must number its 0 answers from 0 on"),
        ("ans2label.json", ["yes", 3], r"ans2label.json, \[1\]: expected an answer, got 3"),
        (
            "ans2label.json",
            ["yes", "a" * 300, "a" * 300],
            "ans2label.json lists 'aaa.{,40} twice; expected each answer",
        ),
        ("words.json", {"PAD": 1}, "words.json must number its 1"),
        ("words.json", [{}, {}, {}, {}], "words.json"),
        ("words.json", [ANSWERS, {}, WORDS, None], "words.json"),
        ("words.json", "PAD", "words.json"),
    ],
)
def test_files_of_another_checkpoint_are_told(files: Path, name: str, content: object, message: str) -> None:
    (files / name).write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"^/.*{message}") as caught:
        build(files, "mcan", "words.json", "ans2label.json")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ["words.json", "ans2label.json", "vocab.txt"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe", "[é]".encode("latin-1"), b"[" * 200_000, b"\0" * 99, None])
def test_files_that_hold_no_words_are_one_line(files: Path, name: str, content: bytes | None) -> None:
    (files / name).unlink()
    if content is None:
        os.mkfifo(files / name)
    else:
        (files / name).write_bytes(content)
    family, vocabulary = ("uniter", "vocab.txt") if name == "vocab.txt" else ("mcan", "words.json")
    with pytest.raises(InputError, match=rf"{files / name}") as caught:
        build(files, family, vocabulary, "ans2label.json")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ["words.json", "ans2label.json", "vocab.txt"])
def test_a_byte_order_mark_is_no_part_of_a_word(files: Path, name: str) -> None:
    (files / name).write_bytes(b"\xef\xbb\xbf" + (files / name).read_bytes())
    family, vocabulary = ("uniter", "vocab.txt") if name == "vocab.txt" else ("mcan", "words.json")
    assert build(files, family, vocabulary, "ans2label.json").answers == tuple(ANSWERS)


def test_a_truncated_file_is_told(files: Path) -> None:
    (files / "words.json").write_text('{"PAD": 0')
    with pytest.raises(InputError, match=r"^/.*words.json: malformed .* truncated\?"):
        build(files, "mcan", "words.json", "ans2label.json")


def test_gqas_words_are_never_numbered_anew(files: Path) -> None:
    """Its published weights go with dicts.json; the order of a folder's questions may be another one."""
    record = {"question": "word0 word1?", "imageId": "1", "answer": "answer 0"}
    for part in ("train", "val", "testdev"):
        (files / f"{part}_balanced_questions.json").write_text(json.dumps({part: record}))
    checkpoint = imported(files, "mcan", data="gqa", question_length=14)
    found = build_words(checkpoint, vocabulary=None, answers=None, folder=files)
    alone = build_words(checkpoint, vocabulary=files / "dicts.json", answers=None, folder=None)
    assert found is not None
    assert found == alone
    (files / "dicts.json").unlink()
    with pytest.raises(InputError, match=r"dicts\.json, by which published weights number words and answers; copy"):
        build_words(checkpoint, vocabulary=None, answers=None, folder=files)


def test_gqas_list_tells_how_long_questions_are(files: Path) -> None:
    checkpoint = imported(files, "mcan", data="gqa")
    with pytest.raises(InputError, match="the checkpoint has 29 tokens of a question, the vocabulary 14"):
        build_words(checkpoint, vocabulary=files / "dicts.json", answers=None, folder=None)
