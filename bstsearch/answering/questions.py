"""How a folder's model reads a question and the picture it is about (no torch where preprocessor.json says it)."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from numpy.typing import NDArray

from bstsearch.answering.exported_folder import PREPROCESSOR
from bstsearch.inputs.pictures import PictureReader
from bstsearch.model.supernet_folder import CONFIG, SupernetFolder
from bstsearch.reading import parsing, read_json
from bstsearch.tasks.vocabulary import Vocabulary

if TYPE_CHECKING:
    from PIL import Image

    from bstsearch.inputs.reader import Pictures, Processor, Reader

Inputs = Mapping[str, NDArray[Any]]


class _Preprocessor(msgspec.Struct):
    """What is read of a `preprocessor.json`: `picture` says how pictures are read, `processor` where files say it."""

    picture: dict[str, Any] | None = None
    processor: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuestionReader:
    """Reads questions about pictures, for a model that knows the words and answers of `vocabulary`; of many threads."""

    vocabulary: Vocabulary
    pictures: Pictures
    texts: Callable[[str], Inputs]

    @classmethod
    def of(cls, folder: SupernetFolder) -> QuestionReader | None:
        """What reads for the folder's model, None where that reads no pictures; InputError for a bad or missing file.

        An exported folder says it itself. Others ask the family, which loads torch, and so do those whose model came
        with a tokenizer and an image processor of its own.
        """
        path = folder.path / PREPROCESSOR
        stored = read_json(path, _Preprocessor) if path.is_file() else None
        if stored is not None and stored.picture is not None:
            with parsing(path):
                pictures = PictureReader.from_json(stored.picture)
            return cls._by_words(folder, pictures)
        if stored is not None and stored.processor is None:
            return None
        reader = _family_reader(folder)
        if reader.processor is not None:
            return cls._by_processor(folder, reader.processor)
        return None if reader.picture is None else cls._by_words(folder, reader.picture)

    @classmethod
    def _by_words(cls, folder: SupernetFolder, pictures: PictureReader) -> QuestionReader:
        vocabulary = Vocabulary.load(folder.path)
        return cls(
            vocabulary=vocabulary, pictures=pictures, texts=lambda text: {"question": vocabulary.encode(text)[None]}
        )

    @classmethod
    def _by_processor(cls, folder: SupernetFolder, processor: Processor) -> QuestionReader | None:
        turn = threading.Lock()  # tokenizers fail where two threads use one

        def texts(text: str) -> Inputs:
            with turn:
                return {name: ids.numpy() for name, ids in processor.texts([text]).items()}

        if not processor.reads_pictures:
            return None
        texts("what")  # so that a bad file is told of now
        return cls(vocabulary=Vocabulary.load(folder.path), pictures=processor.needed_pictures(), texts=texts)

    def inputs(self, text: str, rgb: Image.Image) -> Inputs:
        """The model's inputs, a batch of one; InputError where it knows no word of the question."""
        return {
            **self.texts(text),
            self.pictures.input: self.pictures.values(self.pictures.pixels(rgb)[None]),
        }


def _family_reader(folder: SupernetFolder) -> Reader:
    """What the folder's family says of its inputs."""
    from bstsearch.model.lookup import restored

    with parsing(folder.path / CONFIG):
        family, config = restored(folder.family, folder.config)
        return family.reader(config, folder.path)
