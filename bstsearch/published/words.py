"""The words and answers of an imported checkpoint, from the files that belong to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bstsearch.errors import InputError, UsageError
from bstsearch.formats.gqa_questions import DICTS, matches, own_words, parse_dicts, read_dicts
from bstsearch.formats.openvqa import names_of
from bstsearch.inputs.tokenizers import CASED, OPENVQA, UNCASED
from bstsearch.published.checkpoint import NO_DATA, Imported
from bstsearch.reading import read_text
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
    elif answers is not None:
        raise UsageError("--answers goes with --vocabulary; give both, or --data-dir")
    elif folder is not None:
        words = _of_data(found.data, folder)
    else:
        return None
    _check_sizes(words, found)
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
        return Vocabulary.from_wordpiece_file(vocabulary, found.data, names, length, tokenizer)
    names, words, length = _openvqa(vocabulary, answers, length)
    return Vocabulary(data=found.data, words=words, answers=names, question_length=length, tokenizer=OPENVQA)


def _openvqa(vocabulary: Path, answers: Path | None, length: int) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    """Answers, words and question length: all of GQA's dicts.json, or the words of a mapping from words to ids."""
    data = _json(vocabulary)
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
    data = _json(path)
    if isinstance(data, list) and data and isinstance(data[0], Mapping):
        data = data[0]
    if isinstance(data, Mapping):
        return names_of(data, path)
    if not isinstance(data, list) or not all(isinstance(answer, str) for answer in data):
        raise InputError(f"answers {path} must map answers to class ids, or list them")
    return tuple(data)


def _json(path: Path) -> Any:
    text = read_text(path)
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{path} is no valid JSON ({error}); is the file truncated?") from error


def _check_sizes(words: Vocabulary, found: Imported) -> None:
    config = found.supernet.config
    sizes = (
        ("token ids", config.vocab, words.size),
        ("answers", config.answers, len(words.answers)),
        ("tokens of a question", config.question_length, words.question_length),
    )
    for what, own, given in sizes:
        if own != given:
            raise InputError(
                f"the checkpoint has {own:,} {what}, the vocabulary {given:,}; give the files that it was trained with"
            )
