"""The words and answers of an imported checkpoint, from the files that belong to it."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bstsearch.errors import InputError, UsageError
from bstsearch.formats.gqa_questions import DICTS, matches, own_words, parse_dicts, read_dicts
from bstsearch.formats.openvqa import names_of
from bstsearch.inputs.tokenizers import CASED, OPENVQA, UNCASED
from bstsearch.published.checkpoint import Imported
from bstsearch.published.configurations import NO_DATA
from bstsearch.reading import parsing, read_json, shown
from bstsearch.tasks import get_task
from bstsearch.tasks.vocabulary import Vocabulary
from bstsearch.tasks.vqa import VqaTask

GQA = "gqa"
TOKENIZERS = {"uniter": CASED, "clip_vil": UNCASED}


def build_words(
    found: Imported, *, vocabulary: Path | None, answers: Path | None, folder: Path | None
) -> Vocabulary | None:
    """The vocabulary of the imported model; None where no file is given. InputError where its sizes are others."""
    if found.data == NO_DATA and (vocabulary, answers, folder) != (None,) * 3:
        raise UsageError("words and answers are those of a data set; leave out --data none")
    if vocabulary is not None:
        words = _from_files(found, vocabulary, answers)
        _check_sizes(words, found, vocabulary, answers or vocabulary)
    elif answers is not None:
        raise UsageError("--answers goes with --vocabulary; give both, or --data-dir")
    elif folder is not None:
        words = _of_data(found.data, folder)
        _check_sizes(words, found, folder, folder)
    else:
        return None
    return words


def _of_data(data: str, folder: Path) -> Vocabulary:
    task = get_task(data)
    if not issubclass(task, VqaTask):
        raise InputError(f"{data} has no words and answers; give --vocabulary and --answers")
    if data == GQA and matches(folder) and read_dicts(folder) is None:
        raise InputError(f"{folder} has no {DICTS}, by which published weights number words and answers; copy it there")
    return task.build_vocabulary(folder)


def _from_files(found: Imported, vocabulary: Path, answers: Path | None) -> Vocabulary:
    length = found.supernet.config.question_length
    tokenizer = TOKENIZERS.get(found.supernet.family.name)
    if tokenizer is not None:
        names = _answers(answers, "vocab.txt holds word pieces only")
        with parsing(vocabulary):
            return Vocabulary.from_wordpiece_file(vocabulary, found.data, names, length, tokenizer)
    names, words, length = _openvqa(vocabulary, answers, length)
    return Vocabulary(data=found.data, words=words, answers=names, question_length=length, tokenizer=OPENVQA)


def _openvqa(vocabulary: Path, answers: Path | None, length: int) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    """Answers, words and question length: all of GQA's dicts.json, or the words of a mapping from words to ids."""
    data = read_json(vocabulary, Any)
    if isinstance(data, Mapping):
        return _answers(answers, f"{vocabulary} holds words only"), own_words(data, vocabulary), length
    if isinstance(data, list) and len(data) == 2:
        raise InputError(
            f"{vocabulary} holds answers only: openvqa's words for VQA-v2 are those of its questions; give --data-dir"
        )
    return parse_dicts(vocabulary)


def _answers(path: Path | None, why: str) -> tuple[str, ...]:
    """Answers by class id, of a mapping from answers to ids, a list whose first entry is one, or a list of answers."""
    if path is None:
        raise UsageError(f"{why}; give the answers with --answers ans2label.json")
    data = read_json(path, Any)
    if isinstance(data, list) and data and isinstance(data[0], Mapping):
        data = data[0]
    if isinstance(data, Mapping):
        return _by_id(data, path)
    if not isinstance(data, list):
        raise InputError(f"{path} holds a {type(data).__name__}; expected a mapping from answers to ids, or a list")
    for place, answer in enumerate(data):
        if not isinstance(answer, str):
            raise InputError(f"{path}, [{place}]: expected an answer, got {shown(answer)}")
    if twice := [answer for answer, count in collections.Counter(data).items() if count > 1]:
        raise InputError(f"{path} lists {shown(twice[0])} twice; expected each answer once")
    return tuple(data)


def _by_id(ids: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    with parsing(path):
        return names_of(ids, path)


def _check_sizes(words: Vocabulary, found: Imported, words_from: Path, answers_from: Path) -> None:
    config = found.supernet.config
    sizes = (
        (words_from, "token ids", config.vocab, words.size),
        (answers_from, "answers", config.answers, len(words.answers)),
        (words_from, "tokens of a question", config.question_length, words.question_length),
    )
    for path, what, own, given in sizes:
        if own != given:
            raise InputError(
                f"{path}: the checkpoint has {own:,} {what}, the vocabulary {given:,}; give the files that it was "
                "trained with"
            )
