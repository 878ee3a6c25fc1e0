"""How a model reads what people have: declared once by its family, used by training, answering and exports."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor

from bstsearch.errors import InputError
from bstsearch.inputs.pictures import PictureReader

if TYPE_CHECKING:
    from PIL import Image

Encode = Callable[[Sequence[str]], NDArray[Any]]  # texts to token ids (N, T)


class Pictures(Protocol):
    """How pictures become the model's input of the name `input`: each by itself, then those of a batch.

    A `PictureReader` is one, and so is what comes with a model (see `Processor`).
    """

    @property
    def input(self) -> str:
        """The name of the input."""

    @property
    def height(self) -> int:
        """Of the pictures that the model reads, in pixels."""

    @property
    def width(self) -> int:
        """Likewise."""

    @property
    def has_two_ways(self) -> bool:
        """Whether pictures that lie and that stand become inputs of two shapes."""

    def pixels(self, rgb: Image.Image) -> NDArray[Any]:
        """What is kept of an RGB picture."""

    def values(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """What the model reads of several that were kept (B, ...)."""


class Processor(Protocol):
    """What came with a model to read by, in files of its own."""

    def texts(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """The inputs that hold texts (N, T); InputError where there are none, or what is needed is missing."""

    @property
    def reads_pictures(self) -> bool:
        """Whether the model reads pictures of one size."""

    def needed_pictures(self) -> Pictures:
        """How pictures are read; InputError where the model reads none, or what is needed is missing."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reader:
    """What one model reads.

    `like` are example inputs: names, types and sizes, of one example. `picture` says how a picture becomes an input;
    where it is not given, pictures are squashed into the input "image" (1, H, W, 3; uint8), if there is one. `text` is
    the input that holds the ids of words or word pieces. `free` are the axes of inputs that may have another size at
    each call. Where a model comes with a `processor`, that reads pictures and texts, in place of the two.
    """

    like: Mapping[str, Tensor]
    picture: PictureReader | None = None
    text: str = "question"
    free: Mapping[str, Collection[int]] = dataclasses.field(default_factory=dict)
    processor: Processor | None = None

    def __post_init__(self) -> None:
        image = self.like.get("image")
        if self.picture is None and image is not None and image.dtype == torch.uint8:
            _, height, width, _ = image.shape
            object.__setattr__(self, "picture", PictureReader(height=height, width=width))

    def needed_picture(self, data: str) -> Pictures:
        """How pictures are read; InputError, which begins with the words `data`, where the model reads none."""
        if self.processor is not None:
            return self.processor.needed_pictures()
        if self.picture is None:
            raise InputError(f"{data}, but the model reads {', '.join(self.like)}")
        return self.picture

    def texts(self, texts: Sequence[str], encode: Encode) -> dict[str, Tensor]:
        """The inputs that hold these texts (N, T): as the model's own processor makes them, else as `encode` does."""
        if self.processor is not None:
            return self.processor.texts(texts)
        return {self.text: torch.from_numpy(encode(texts))}


def picture_inputs(picture: Pictures, pixels: Tensor) -> dict[str, Tensor]:
    """The model's input of pictures (B, ...), each as `Pictures.pixels` makes it."""
    return {picture.input: torch.from_numpy(picture.values(pixels.numpy()))}
