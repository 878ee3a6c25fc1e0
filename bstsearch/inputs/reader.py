"""How a model reads what people have: declared once by its family, used by training, answering and exports."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from bstsearch.errors import InputError
from bstsearch.inputs.pictures import PictureReader


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reader:
    """What one model reads.

    `like` are example inputs: names, types and sizes, of one example. `picture` says how a picture becomes an input;
    where it is not given, pictures are squashed into the input "image" (1, H, W, 3; uint8), if there is one. `text` is
    the input that holds the ids of words or word pieces. `free` are the axes of inputs that may have another size at
    each call.
    """

    like: Mapping[str, Tensor]
    picture: PictureReader | None = None
    text: str = "question"
    free: Mapping[str, Collection[int]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        image = self.like.get("image")
        if self.picture is None and image is not None and image.dtype == torch.uint8:
            _, height, width, _ = image.shape
            object.__setattr__(self, "picture", PictureReader(height=height, width=width))

    def needed_picture(self, data: str) -> PictureReader:
        """`picture`; InputError, which begins with the words `data`, where the model reads no pictures."""
        if self.picture is None:
            raise InputError(f"{data}, but the model reads {', '.join(self.like)}")
        return self.picture


def picture_inputs(picture: PictureReader, pixels_BHW3: Tensor) -> dict[str, Tensor]:
    """The model's input of pictures (B, H, W, 3; uint8) that fit, as `PictureReader.pixels` makes them."""
    return {picture.input: torch.from_numpy(picture.values(pixels_BHW3.numpy()))}
