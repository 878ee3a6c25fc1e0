"""Texts without labels: a model that gives a vector for each is slimmed so that their similarities stay."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from safetensors.torch import load_file, save
from torch import Tensor

from bstsearch.errors import InputError, UsageError
from bstsearch.inputs.reader import Reader
from bstsearch.model.supernet import Supernet
from bstsearch.reading import check_file, parsing
from bstsearch.score import Metric
from bstsearch.space import Submodel
from bstsearch.tasks.evaluation import outputs_of
from bstsearch.tasks.kept_texts import TOKENIZER, load_texts, save_texts, texts_of
from bstsearch.tasks.similarity import relation_distance
from bstsearch.tasks.task import Task
from bstsearch.tasks.text_lines import HELD_OUT, Parts
from bstsearch.tasks.text_split import TextSplit, encoded, tokenizer_of
from bstsearch.writing import writing

REFERENCE = "text.safetensors"


class Text(Task):
    """Texts, one a line, in the words of the model's own tokenizer; `path` is their file or folder.

    Outputs are one vector per text. They are held against those of the model in `folder` at its full size: training
    makes the difference of their similarities small, and the score is the rank correlation of these over all pairs of
    held-out texts. What that model gave for these is kept beside each model that is made of it.
    """

    name = "text"
    metric = Metric(name="rank correlation", worst=-1.0, best=1.0)
    recipes = ("distil",)

    def __init__(self, folder: Path, tokenizer: str, parts: Parts, known: Mapping[str, Tensor]) -> None:
        self._folder, self._tokenizer, self._parts, self._known = folder, tokenizer, parts, dict(known)

    @classmethod
    def build(cls, data_dir: Path | None) -> Self:  # noqa: ARG003
        """UsageError: without labels there has to be a model that teaches."""
        raise UsageError("text has no labels to train a teacher on; give the folder of a pretrained one with --teacher")

    @classmethod
    def load(cls, saved: Path, data_dir: Path | None) -> Self:
        """With `data_dir`, its texts, and the model in `saved` as the one to be like; else what `saved` keeps."""
        tokenizer, parts = load_texts(saved, data_dir)
        return cls(saved, tokenizer, parts, {} if data_dir else _read_known(saved / REFERENCE, parts))

    def save(self, folder: Path) -> None:
        """Writes the tokenizer, the texts that are kept out of training, and what the full model gives for them."""
        known = {part: self._reference(part) for part in HELD_OUT}
        with writing(folder / REFERENCE) as temporary:
            temporary.write_bytes(save(known))
        save_texts(folder, self._tokenizer, self._parts)

    def split(self, name: str, reader: Reader) -> TextSplit:
        """As `Task.split`; the texts of the "train" part have no score."""
        texts = texts_of(name, self._parts, self._folder)
        reference = functools.partial(self._reference, name) if name in HELD_OUT else None
        return encoded(texts, tokenizer_of(self._tokenizer, self._folder / TOKENIZER), reader, reference)

    def distance(self, outputs: Tensor, teacher: Tensor) -> Tensor:
        """How differently the texts of a batch are related, per row (B,)."""
        return relation_distance(outputs, teacher)

    def _reference(self, part: str) -> Tensor:
        """What the model at its full size gives for the texts of that part (N, D)."""
        if part not in self._known:
            supernet = Supernet.load(self._folder)
            split = self.split(part, supernet.family.reader(supernet.config))
            self._known[part] = outputs_of(supernet, Submodel(), split, where=str(self._folder))
        return self._known[part]


def _read_known(path: Path, parts: Parts) -> dict[str, Tensor]:
    check_file(path)
    with parsing(path):
        known = load_file(path)
        for part, texts in parts.items():
            if part not in known or known[part].ndim != 2 or len(known[part]) != len(texts):
                raise InputError(f"holds no vector for each of {len(texts)} texts of {part}; is it another's?")
    return known
