"""Text and image classification: labelled examples from the user's disk, for stock models of classifiers."""

from __future__ import annotations

import abc
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Self

import msgspec

from bstsearch.errors import InputError
from bstsearch.formats.labelled import Labelled
from bstsearch.inputs.reader import Reader
from bstsearch.model.lookup import restored
from bstsearch.model.supernet_folder import CONFIG, read_folder
from bstsearch.reading import Line, parsing, read_format
from bstsearch.stock.configuration import StockConfig, class_names
from bstsearch.stock.processing import Processor
from bstsearch.tasks.class_names import Names, classes_of
from bstsearch.tasks.classes import ClassTask
from bstsearch.tasks.labelled_parts import read_pictures, read_texts
from bstsearch.tasks.labelled_split import LabelledSplit, of_pictures, of_texts
from bstsearch.writing import write_json

FILE = "classes.json"
FORMAT = 1


class _Written(msgspec.Struct):
    """What is in a classes.json, beside its format: what the model's outputs are, in order."""

    classes: Annotated[list[Line], msgspec.Meta(min_length=2)]


class LabelledTask(ClassTask):
    """Examples of classes, read from `data_dir` as `bstsearch.formats.labelled` says, as the model's own files say.

    `names` are the classes in the order of the model's outputs; without them they are those of the examples to train
    on, which the model must have, too.
    """

    recipes = ("distil",)
    head: ClassVar[str]  # what classes of transformers with such outputs are called

    def __init__(self, processor: Processor, data_dir: Path | None, names: Names = ()) -> None:
        self._processor, self._data_dir = processor, data_dir
        config = processor.config
        if self.head not in config.architecture:
            raise InputError(f"{config.architecture} gives no classes; give a model of a class named ...{self.head}")
        self.names = names or classes_of(self._part("train"), class_names(config))

    @classmethod
    def load(cls, saved: Path, data_dir: Path | None) -> Self:
        """As `Task.load`; the classes of a model that was trained for such a task are kept in its folder."""
        on_disk = read_folder(saved)
        with parsing(saved / CONFIG):
            _, config = restored(on_disk.family, on_disk.config)
            if not isinstance(config, StockConfig):
                raise InputError(f"{cls.name} is for models of transformers, not {on_disk.family}; choose another task")
        names = read_format(saved / FILE, _Written, FORMAT).classes if (saved / FILE).exists() else []
        with parsing(saved):
            return cls(Processor.beside(config, saved), data_dir, tuple(names))

    def save(self, folder: Path) -> None:
        """Writes the names of the classes."""
        write_json(folder / FILE, {"format": FORMAT, "classes": list(self.names)})

    @functools.cached_property
    def _parts(self) -> Mapping[str, Labelled]:
        return self._read(self._data_dir)

    def _part(self, name: str) -> Labelled:
        if name not in self._parts:
            raise InputError(f"{self._data_dir} has no part {name!r}, but {', '.join(self._parts)}; add one")
        return self._parts[name]

    @classmethod
    @abc.abstractmethod
    def _read(cls, data_dir: Path | None) -> Mapping[str, Labelled]:
        """The parts that are there."""


class TextClassification(LabelledTask):
    """Texts, each of a class, in the words of the model's own tokenizer."""

    name = "text-classification"
    head = "ForSequenceClassification"

    def split(self, name: str, reader: Reader) -> LabelledSplit:  # noqa: ARG002
        """As `Task.split`."""
        return of_texts(self._part(name), self.names, self._processor.texts)

    @classmethod
    def _read(cls, data_dir: Path | None) -> Mapping[str, Labelled]:
        return read_texts(data_dir)


class ImageClassification(LabelledTask):
    """Pictures, each of a class, as the model's own image processor makes them."""

    name = "image-classification"
    head = "ForImageClassification"

    def split(self, name: str, reader: Reader) -> LabelledSplit:  # noqa: ARG002
        """As `Task.split`; the pictures are opened when they are asked for."""
        return of_pictures(self._part(name), self.names, self._processor.pictures)

    @classmethod
    def _read(cls, data_dir: Path | None) -> Mapping[str, Labelled]:
        return read_pictures(data_dir)
