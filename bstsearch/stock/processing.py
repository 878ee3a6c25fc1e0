"""A stock model's own tokenizer and image processor: what turns texts and pictures into the inputs that it reads."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bstsearch.errors import InputError
from bstsearch.reading import parsing
from bstsearch.stock.configuration import BESIDE, StockConfig
from bstsearch.stock.inputs import TEXT, example_inputs, free_axes, vocabulary_size
from bstsearch.stock.module import library

if TYPE_CHECKING:
    from PIL import Image

IDS, PIXELS = "input_ids", "pixel_values"
# Any of these holds the words of a tokenizer; without one, transformers makes up a tokenizer that knows none.
OF_TEXTS = ("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model")
OF_PICTURES = ("preprocessor_config.json", "processor_config.json")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Processor:
    """How the model of `config` reads: by the files in `folder`, which are opened when they are needed.

    `folder` is a stock one. No code that comes with a model is run, and nothing is looked for elsewhere.
    """

    folder: Path
    config: StockConfig

    @classmethod
    def beside(cls, config: StockConfig, folder: Path) -> Processor:
        """That of a supernet's folder, which keeps the files that came with its model; or of a stock folder."""
        return cls(folder=folder / BESIDE if (folder / BESIDE).is_dir() else folder, config=config)

    def texts(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """The inputs that hold texts (N, T), in the order of `texts`.

        They have as many tokens as the model was measured with, or where it takes any number, as the longest text here;
        longer texts are cut. InputError where there is no tokenizer, or it is another model's.
        """
        names, like = self.text_names, example_inputs(self.config, 1)
        length = int(like[names[0]].shape[1])
        with parsing(self.folder):
            made = self._tokenizer(
                list(texts),
                max_length=length,
                truncation=True,
                padding="longest" if 1 in free_axes(self.config).get(IDS, ()) else "max_length",
                return_token_type_ids="token_type_ids" in names,
                return_attention_mask="attention_mask" in names,
                return_tensors="pt",
            )
            known = vocabulary_size(self.config.settings)
            if int(made[IDS].max()) >= known:
                raise InputError(f"its tokenizer knows more than the model's {known:,} words; copy the model's own")
        return {name: made[name] for name in names}

    def pictures(self, pictures: Sequence[Image.Image]) -> dict[str, Tensor]:
        """The input that holds pictures in RGB (N, 3, H, W).

        Where the processor keeps the proportions of pictures, they are first made as high and wide as the model's.
        InputError where there is no image processor, or it makes pictures of another size.
        """
        return {PIXELS: self._pixels([self._fitted(one) for one in pictures] if self.is_squashing else pictures)}

    def needed_pictures(self) -> OwnPictures:
        """How pictures are read one by one; InputError as of `pictures`."""
        _ = self.is_squashing, self._image_processor
        return OwnPictures(processor=self)

    @property
    def text_names(self) -> tuple[str, ...]:
        """The inputs that hold texts, ids of tokens first; InputError where the model reads none."""
        names = tuple(name for name in TEXT[:3] if name in self.config.found.reads.names)
        if IDS not in names:
            raise InputError(f"texts come as {IDS}, but {self._reads}")
        return names

    @property
    def reads_pictures(self) -> bool:
        """Whether the model reads pictures of one size."""
        like = example_inputs(self.config, 1)
        return PIXELS in like and like[PIXELS].ndim == 4

    @functools.cached_property
    def picture_shape(self) -> tuple[int, ...]:
        """The shape (3, H, W) of the pictures that the model reads; InputError where it reads none."""
        if not self.reads_pictures:
            raise InputError(f"pictures come as {PIXELS} (3, height, width), but {self._reads}")
        return tuple(example_inputs(self.config, 1)[PIXELS].shape[1:])

    @functools.cached_property
    def is_squashing(self) -> bool:
        """Whether pictures have to be squashed first, since the processor makes them of several sizes."""
        _, height, width = self.picture_shape
        if self._made([_blank(2 * width, height)]) == self.picture_shape:
            return False
        found = self._made([_blank(width, height)])
        if found != self.picture_shape:
            raise InputError(
                f"{self._file_of_pictures} makes pictures of {' x '.join(map(str, found))}, but the model reads "
                f"{' x '.join(map(str, self.picture_shape))}; change the size there"
            )
        return True

    def _made(self, pictures: Sequence[Image.Image]) -> tuple[int, ...]:
        return tuple(self._pixels(pictures).shape[1:])

    def _pixels(self, pictures: Sequence[Image.Image]) -> Tensor:
        with parsing(self._file_of_pictures):
            made: Tensor = self._image_processor(images=list(pictures), return_tensors="pt")[PIXELS]
        return made

    def _fitted(self, picture: Image.Image) -> Image.Image:
        _, height, width = self.picture_shape
        return picture if picture.size == (width, height) else picture.resize((width, height))

    @property
    def _reads(self) -> str:
        return f"{self.config.architecture} reads {', '.join(self.config.found.reads.names)}"

    @property
    def _file_of_pictures(self) -> Path:
        return self.folder / self._needed(OF_PICTURES, "image processor")

    def _needed(self, names: Sequence[str], what: str) -> str:
        """The first of these files that is there; InputError where none is."""
        found = next((name for name in names if (self.folder / name).is_file()), None)
        if found is None:
            raise InputError(f"{self.folder} has no {what}, as {' or '.join(names)}; copy the model's own there")
        return found

    @functools.cached_property
    def _tokenizer(self) -> Any:
        with parsing(self.folder / self._needed(OF_TEXTS, "tokenizer")):
            return library().AutoTokenizer.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False)

    @functools.cached_property
    def _image_processor(self) -> Any:
        with parsing(self._file_of_pictures):
            return library().AutoImageProcessor.from_pretrained(
                self.folder, local_files_only=True, trust_remote_code=False
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class OwnPictures:
    """Pictures as a model's own processor makes them: the `Pictures` that a task reads by."""

    processor: Processor
    input: str = PIXELS
    has_two_ways: bool = False

    @property
    def height(self) -> int:
        """Of the pictures that the model reads, in pixels."""
        return self.processor.picture_shape[1]

    @property
    def width(self) -> int:
        """Likewise."""
        return self.processor.picture_shape[2]

    def pixels(self, rgb: Image.Image) -> NDArray[np.float32]:
        """What the model reads of a picture (3, H, W)."""
        return np.asarray(self.processor.pictures([rgb])[PIXELS][0], dtype=np.float32)

    def values(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same of several (B, 3, H, W)."""
        return pixels


def _blank(width: int, height: int) -> Image.Image:
    from PIL import Image

    return Image.new("RGB", (width, height))
