"""Image files to arrays (no torch)."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bstsearch.errors import InputError


def read_image(path: Path, side: int) -> NDArray[np.uint8]:
    """RGB values (side, side, 3) of the image in `path`, resized where it has another size; errors as `open_rgb`'s."""
    rgb = open_rgb(path)
    if rgb.size != (side, side):
        rgb = rgb.resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(rgb, dtype=np.uint8)


def open_rgb(path: Path) -> Image.Image:
    """The image in `path`, in RGB.

    InputError where the file is missing, no image, truncated, or of a size that is no honest picture's.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return image.convert("RGB")
    except FileNotFoundError:
        raise InputError(f"image {path} does not exist") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{path} cannot be read as an image: {error}") from error
