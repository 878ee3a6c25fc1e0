"""Data sets, one file each; `load_split` finds the one that a vocabulary belongs to."""

from __future__ import annotations

import importlib
import typing
from collections.abc import Mapping
from pathlib import Path

from bstsearch.errors import InputError, UsageError

if typing.TYPE_CHECKING:
    from torch import Tensor

    from bstsearch.tasks.split import Split
    from bstsearch.tasks.vocabulary import Vocabulary

SPLITS = ("train", "validation", "test")
NAMES = ("easy-vqa", "gqa", "sort-of-clevr", "vqa-v2")
PACKAGED = ("easy-vqa", "sort-of-clevr")  # that come with a package: nothing to read from disk, and sizes are known


def load_split(
    vocabulary: Vocabulary, split: str, *, like: Mapping[str, Tensor] | None = None, folder: Path | None = None
) -> Split:
    """The "train", "validation" or "test" part of the data set that `vocabulary` was built for.

    `like` are a model's example inputs: batches hold inputs of those names, types and sizes. `folder` is
    where the user's files lie, for a data set that does not come with a package.
    """
    if split not in SPLITS:
        raise UsageError(f"unknown split {split!r}; there are {', '.join(SPLITS)}")
    part: Split = _module(vocabulary.data).load(split, vocabulary, like, folder)
    return part


def build_vocabulary(data: str, folder: Path | None = None) -> Vocabulary:
    """The vocabulary of the data set of that name."""
    vocabulary: Vocabulary = _module(data).build_vocabulary(folder)
    return vocabulary


def data_of_preset(preset: str) -> str | None:
    """The data set that a preset is named after, if it is.

    >>> data_of_preset("mcan-easy-vqa"), data_of_preset("uniter-base")
    ('easy-vqa', None)
    """
    return next((name for name in NAMES if preset.endswith(f"-{name}")), None)


def needed_folder(data: str, folder: Path | None) -> Path:
    """`folder`, which must be given and exist for a data set that is read from the user's disk."""
    if folder is None:
        raise UsageError(f"{data} is read from your disk; say where with --data-dir DIR")
    if not folder.is_dir():
        raise InputError(f"data folder {folder} does not exist; give the folder that holds {data}'s files")
    return folder


def _module(data: str) -> typing.Any:
    if data not in NAMES:
        raise InputError(f"unknown data set {data!r}; this version knows {', '.join(NAMES)}")
    return importlib.import_module(f"bstsearch.tasks.{data.replace('-', '_')}")
