"""What an exported folder says of a model's inputs and outputs to other programs: plain data, and scripts.

`preprocessor.json` says how pictures and texts become inputs, `sample.json` holds inputs with their outputs. The
scripts are files of this package, with the few lines changed that make them stand alone.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from bstsearch.answering import bundle_script, run_script
from bstsearch.answering.exported_folder import PREPROCESSOR, RUN, SAMPLE, TOKENIZER
from bstsearch.inputs import pictures, texts
from bstsearch.inputs.reader import Reader
from bstsearch.inputs.texts import PieceReader, TextReader
from bstsearch.inputs.tokenizers import CASED, RULES, piece_tokenizer
from bstsearch.reading import read_text
from bstsearch.stock.configuration import BESIDE
from bstsearch.tasks.vocabulary import PAD, UNKNOWN, Vocabulary
from bstsearch.writing import write_json, write_text

FORMAT = 1
LISTED = 1000  # numbers that are written out; of more, the bytes are
SCRIPTS = {RUN: Path(run_script.__file__), "pictures.py": Path(pictures.__file__), "texts.py": Path(texts.__file__)}
BUNDLE_SCRIPTS = {**SCRIPTS, RUN: Path(bundle_script.__file__), "run_script.py": SCRIPTS[RUN]}
# What a script that stands alone has in place of lines of this package.
ALONE = {
    "from bstsearch.errors import InputError": "InputError = ValueError",
    "from bstsearch.inputs.": "from ",
    "from bstsearch.answering.": "from ",
}


def write_preprocessing(
    reader: Reader, vocabulary: Vocabulary | None, folder: Path, scripts: Mapping[str, Path] = SCRIPTS
) -> list[str]:
    """Writes `preprocessor.json` and the `scripts` that follow it; returns the names of all files."""
    has_own = reader.processor is not None
    text = None if vocabulary is None or has_own else _text_reader(reader, vocabulary, folder)
    data = {
        "format": FORMAT,
        "picture": reader.picture and reader.picture.to_json(),
        "text": text and text.to_json(),
        **({"processor": BESIDE} if has_own else {}),
    }
    write_json(folder / PREPROCESSOR, data)
    for name, script in scripts.items():
        write_text(folder / name, standing_alone(script))
    return [PREPROCESSOR, *scripts, *([TOKENIZER] if isinstance(text, PieceReader) else [])]


def _text_reader(reader: Reader, vocabulary: Vocabulary, folder: Path) -> TextReader | PieceReader:
    """How texts are read; word pieces have a file of their own in `folder`, as Hugging Face's libraries read it."""
    length = vocabulary.question_length
    if vocabulary.is_wordpiece:
        pieces = piece_tokenizer(vocabulary.words, is_cased=vocabulary.tokenizer == CASED, length=length)
        write_text(folder / TOKENIZER, pieces.to_str(pretty=True))
        return PieceReader(input=reader.text, file=folder / TOKENIZER)
    return TextReader(
        input=reader.text,
        length=length,
        rules=RULES[vocabulary.tokenizer],
        words=vocabulary.words,
        first_id=vocabulary.first_word,
        unknown_id=UNKNOWN,
        padding_id=PAD,
    )


def standing_alone(script: Path) -> str:
    """The text of a file of this package that runs without it, beside those that it imports."""
    text = read_text(script)
    for ours, alone in ALONE.items():
        text = text.replace(ours, alone)
    return text


def write_sample(inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor], folder: Path) -> None:
    """Writes inputs and what the models give to them, for other programs to hold theirs against."""
    named = {"inputs": inputs, "outputs": outputs}
    data = {key: {name: _tensor(one) for name, one in tensors.items()} for key, tensors in named.items()}
    write_json(folder / SAMPLE, {"format": FORMAT, **data})


def _tensor(tensor: Tensor) -> dict[str, Any]:
    """Type, shape and numbers, the last axis running fastest; many numbers as bytes, little-endian, in base64."""
    array = np.ascontiguousarray(tensor.numpy())
    entry = {"dtype": str(array.dtype), "shape": list(array.shape)}
    if array.size <= LISTED:
        return {**entry, "values": array.ravel().tolist()}
    little = array.astype(array.dtype.newbyteorder("<"))
    return {**entry, "base64": base64.b64encode(little.tobytes()).decode("ascii")}
