"""Text and image classification: labelled examples from the user's disk, read as the model's own files say."""

from __future__ import annotations

import abc
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

import msgspec

from bstsearch.errors import InputError
from bstsearch.formats.labelled import Labelled
from bstsearch.inputs.reader import Reader
from bstsearch.model.lookup import restored
from bstsearch.model.supernet_folder import CONFIG, read_folder
from bstsearch.reading import Line, parsing, read_format
from bstsearch.stock.configuration import StockConfig, class_names
from bstsearch.stock.labels import check_output
from bstsearch.tasks.class_names import Names, classes_of
from bstsearch.tasks.classes import ClassTask
from bstsearch.tasks.labelled_parts import read_pictures, read_texts
from bstsearch.tasks.labelled_split import LabelledSplit, of_pictures, of_texts
from bstsearch.writing import write_json

FILE = "classes.json"
FORMAT = 1


class _Written(msgspec.Struct):
    """What is in a classes.json, beside its format: the names of classes by the data, and by the model."""

    data: Annotated[tuple[Line, ...], msgspec.Meta(min_length=2)]
    model: Annotated[tuple[Line, ...], msgspec.Meta(min_length=2)]


class LabelledTask(ClassTask):
    """Examples of classes in `data_dir`, in whatever way `bstsearch.formats.labelled` says.

    `names` are the classes in the order of the model's outputs, by default those of the examples to train on; `own` is
    what a model calls them that is there already.
    """

    recipes = ("distil",)

    def __init__(self, data_dir: Path | None, own: Names = (), names: Names = ()) -> None:
        self._data_dir, self._own = data_dir, own
        self.names = names or classes_of(self._part("train"), own)

    @classmethod
    def build(cls, data_dir: Path | None) -> Self:
        """As `Task.build`; the model is given the classes of the data."""
        return cls(data_dir)

    @classmethod
    def load(cls, saved: Path, data_dir: Path | None) -> Self:
        """As `Task.load`; InputError where the model there gives no classes, or others than the data have."""
        if (saved / FILE).exists():
            written = read_format(saved / FILE, _Written, FORMAT)
            return cls(data_dir, written.model, written.data)
        return cls(data_dir, _own_classes(saved))

    def save(self, folder: Path) -> None:
        """Writes what the classes are called."""
        write_json(folder / FILE, {"format": FORMAT, "data": list(self.names), "model": list(self.classes)})

    def sizes(self) -> dict[str, int]:
        """How many classes there are, for models that have as many answers."""
        return {"answers": len(self.names)}

    @property
    def classes(self) -> Names:
        """The classes, as the model calls them."""
        return self._own or self.names

    def _part(self, name: str) -> Labelled:
        if name not in self._parts:
            raise InputError(f"{self._data_dir} has no part {name!r}, but {', '.join(self._parts)}; add one")
        return self._parts[name]

    @functools.cached_property
    def _parts(self) -> Mapping[str, Labelled]:
        return self._read(self._data_dir)

    @staticmethod
    @abc.abstractmethod
    def _read(data_dir: Path | None) -> Mapping[str, Labelled]:
        """The parts that are there."""


class TextClassification(LabelledTask):
    """Texts, each of a class."""

    name = "text-classification"

    def split(self, name: str, reader: Reader) -> LabelledSplit:
        """As `Task.split`; InputError where the model comes with no tokenizer."""
        if reader.processor is None:
            raise InputError(
                f"{self.name} is read by a model's own tokenizer, and this one has none; "
                "give a supernet of a Hugging Face model, see docs/transformers.md"
            )
        return of_texts(self._part(name), self.names, reader.processor.texts)

    @staticmethod
    def _read(data_dir: Path | None) -> Mapping[str, Labelled]:
        return read_texts(data_dir)


class ImageClassification(LabelledTask):
    """Pictures, each of a class; they are opened when they are asked for."""

    name = "image-classification"

    def split(self, name: str, reader: Reader) -> LabelledSplit:
        """As `Task.split`."""
        return of_pictures(self._part(name), self.names, reader.needed_picture(f"{self.name} has pictures"))

    @staticmethod
    def _read(data_dir: Path | None) -> Mapping[str, Labelled]:
        return read_pictures(data_dir)


def _own_classes(saved: Path) -> Names:
    """What the stock model in `saved` calls its classes, none of another; InputError where it gives none."""
    on_disk = read_folder(saved)
    with parsing(saved / CONFIG):
        _, config = restored(on_disk.family, on_disk.config)
        if not isinstance(config, StockConfig):
            return ()
        own = class_names(config)
        check_output(config, len(own))
    return own
