"""Data sets, one file each; `load_split` finds the one that a vocabulary belongs to."""

from __future__ import annotations

import importlib
import pkgutil
import typing

from bstsearch.errors import InputError, UsageError

if typing.TYPE_CHECKING:
    from bstsearch.data.split import Split
    from bstsearch.data.vocabulary import Vocabulary

SPLITS = ("train", "validation", "test")


def load_split(vocabulary: Vocabulary, split: str) -> Split:
    """The "train", "validation" or "test" part of the data set that `vocabulary` was built for."""
    if split not in SPLITS:
        raise UsageError(f"unknown split {split!r}; there are {', '.join(SPLITS)}")
    part: Split = _module(vocabulary.data).load(split, vocabulary)
    return part


def build_vocabulary(data: str) -> Vocabulary:
    """The vocabulary of the data set of that name."""
    vocabulary: Vocabulary = _module(data).build_vocabulary()
    return vocabulary


def _module(data: str) -> typing.Any:
    name = data.replace("-", "_")
    if name not in {module.name for module in pkgutil.iter_modules(__path__)}:
        raise InputError(f"unknown data set {data!r}; this version knows easy-vqa")
    return importlib.import_module(f"bstsearch.data.{name}")
