"""The texts that are kept beside a model, and the tokenizer that cuts them (no torch)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from bstsearch.errors import InputError, UsageError
from bstsearch.reading import read_format, read_text
from bstsearch.tasks.text_lines import HELD_OUT, Parts, read_parts
from bstsearch.writing import write_json, write_text

TOKENIZER, TEXTS = "tokenizer.json", "text.json"
FORMAT = 1


class _Written(msgspec.Struct):
    """What is in a text.json, beside its format: the texts that were kept out of training."""

    validation: Annotated[list[str], msgspec.Meta(min_length=1)]
    test: Annotated[list[str], msgspec.Meta(min_length=1)]


def load_texts(saved: Path, data_dir: Path | None) -> tuple[str, Parts]:
    """The tokenizer of the model in `saved`, and the texts in `data_dir`, or where that is None those kept in `saved`.

    InputError or UsageError where there are none.
    """
    if not (saved / TOKENIZER).exists():
        raise InputError(f"{saved} has no {TOKENIZER}, by which its model reads text; copy the model's there")
    tokenizer = read_text(saved / TOKENIZER)
    if data_dir is not None:
        return tokenizer, read_parts(data_dir)
    if not (saved / TEXTS).exists():
        raise UsageError(f"{saved} keeps no texts; give some with --data FILE or FOLDER, one text a line")
    written = read_format(saved / TEXTS, _Written, FORMAT)
    return tokenizer, {"validation": written.validation, "test": written.test}


def save_texts(folder: Path, tokenizer: str, parts: Parts) -> None:
    """Writes the tokenizer, and the texts that are kept out of training."""
    write_text(folder / TOKENIZER, tokenizer)
    write_json(folder / TEXTS, {"format": FORMAT, **{part: parts[part] for part in HELD_OUT}})


def texts_of(name: str, parts: Parts, folder: Path) -> list[str]:
    """The texts of that part; UsageError where `folder` keeps others only."""
    if name not in parts:
        raise UsageError(f"{folder} keeps the texts of validation and test only; give others with --data")
    return parts[name]
