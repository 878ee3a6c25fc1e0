"""How a picture becomes the numbers that a model reads, as plain data say it; needs numpy and Pillow (no torch).

Exported folders hold a copy of this file, and the data in `preprocessor.json`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import operator
import os
import stat
import sys
import threading
import warnings
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bstsearch.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

SQUASH, LETTERBOX = "squash", "letterbox"
BILINEAR, FILTERS = 2, (0, 1, 2, 3, 4, 5)  # Pillow's numbers
MOST_SIDE = 1 << 14  # of what a model reads
MOST_BYTES = 1 << 30  # of a picture's file
ORIENTATION = 0x0112  # the EXIF tag
# What turns a picture of that orientation upright, by the names of Pillow.
TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
LIES_ON_ITS_SIDE = (5, 6, 7, 8)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PictureReader:
    """How a picture becomes the model's input of the name `input`.

    - `fit`: "squash" makes a picture exactly `height` by `width`. "letterbox" keeps its proportions, in the middle of
      a black canvas of that size, which is turned so that it lies where the picture is wider than high, and else
      stands.
    - `mean`, `std`: of red, green and blue between 0 and 1. Where they are given, the input is (3, H, W), float32,
      normalised; else it is (H, W, 3), uint8.
    - `resample`: Pillow's number of the filter that resizes.
    """

    input: str = "image"
    height: int
    width: int
    fit: str = SQUASH
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    resample: int = BILINEAR

    def __post_init__(self) -> None:
        if self.fit not in (SQUASH, LETTERBOX):
            raise InputError(f"pictures are fitted by {SQUASH!r} or {LETTERBOX!r}, not {self.fit!r}")
        if not (0 < self.height <= MOST_SIDE and 0 < self.width <= MOST_SIDE):
            raise InputError(f"pictures have sides of 1 to {MOST_SIDE:,}, not {self.height} x {self.width}")
        if self.resample not in FILTERS:
            raise InputError(f"pictures are resized by a filter of {FILTERS}, not {self.resample}")
        if len(self.mean) != len(self.std) or len(self.mean) not in (0, 3):
            raise InputError(f"mean and std are three numbers each, or none, not {self.mean} and {self.std}")
        if not np.isfinite([*self.mean, *self.std]).all() or not all(one > 0 for one in self.std):
            raise InputError(f"mean and std are finite, std above 0, not {self.mean} and {self.std}")

    @property
    def has_two_ways(self) -> bool:
        """Whether pictures that lie and that stand become inputs of two shapes."""
        return self.fit == LETTERBOX and self.height != self.width

    def read(self, path: Path) -> NDArray[Any]:
        """The picture in `path` as the model reads it, without batch axis; errors as `open_rgb`'s."""
        (values,) = self.values(self.pixels(open_rgb(path))[None])
        return np.asarray(values)

    def pixels(self, rgb: Image.Image) -> NDArray[np.uint8]:
        """The values (H, W, 3) of an RGB picture once it fits."""
        fitted = self._squashed(rgb) if self.fit == SQUASH else self._letterboxed(rgb)
        return np.asarray(fitted, dtype=np.uint8)

    def values(self, pixels_BHW3: NDArray[np.uint8]) -> NDArray[Any]:
        """What the model reads of pictures that fit: they themselves, or (B, 3, H, W; float32), normalised."""
        if not self.mean:
            return pixels_BHW3
        mean, std = np.array(self.mean, dtype=np.float32), np.array(self.std, dtype=np.float32)
        normalised_BHW3: NDArray[Any] = (pixels_BHW3.astype(np.float32) / 255 - mean) / std
        return normalised_BHW3.transpose(0, 3, 1, 2)

    def _squashed(self, rgb: Image.Image) -> Image.Image:
        size = (self.width, self.height)
        return rgb if rgb.size == size else rgb.resize(size, self.resample)

    def _letterboxed(self, rgb: Image.Image) -> Image.Image:
        from PIL import Image

        short, long = sorted((self.height, self.width))
        canvas = Image.new("RGB", (long, short) if rgb.width > rgb.height else (short, long))
        inside = rgb.resize(_fitting(rgb.size, short, long), self.resample)
        # An odd border is wider at the left and the top.
        canvas.paste(inside, (-((inside.width - canvas.width) // 2), -((inside.height - canvas.height) // 2)))
        return canvas

    def to_json(self) -> dict[str, Any]:
        """Plain data, under the names of Hugging Face's preprocessor_config.json where it has one."""
        return {
            "input": self.input,
            "dtype": "float32" if self.mean else "uint8",
            "data_format": "channels_first" if self.mean else "channels_last",
            "do_convert_rgb": True,
            "do_resize": True,
            "size": {"height": self.height, "width": self.width},
            "fit": self.fit,
            "resample": self.resample,
            "do_rescale": bool(self.mean),
            "rescale_factor": 1 / 255,
            "do_normalize": bool(self.mean),
            "image_mean": list(self.mean),
            "image_std": list(self.std),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PictureReader:
        """The reader that `to_json` wrote; InputError where the data are malformed."""
        try:
            return cls(
                input=str(data["input"]),
                height=operator.index(data["size"]["height"]),
                width=operator.index(data["size"]["width"]),
                fit=str(data["fit"])[:40],
                mean=tuple(map(float, data["image_mean"][:4])),
                std=tuple(map(float, data["image_std"][:4])),
                resample=operator.index(data["resample"]),
            )
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise InputError(f"how pictures are read is malformed: {_said(error)}") from error


def _fitting(size: tuple[int, int], short: int, long: int) -> tuple[int, int]:
    """The size of a picture once its shorter side is `short`, or less, where the longer would exceed `long`.

    >>> _fitting((640, 480), 384, 640), _fitting((500, 1000), 384, 640)
    ((512, 384), (320, 640))
    """
    shorter, longer = sorted(size)
    new_shorter = max(1, min(short, round(long * shorter / longer)))
    new_longer = min(long, int(new_shorter * longer / shorter))
    return (new_longer, new_shorter) if size[0] > size[1] else (new_shorter, new_longer)


def open_rgb(path: Path) -> Image.Image:
    """The picture in `path` as people see it, in RGB; see `rgb_of`. Of several pictures in a file it is the first.

    InputError, one line that begins with the path, where the file is missing, no picture, truncated, or of a size that
    is no honest picture's.
    """
    with _opened(path) as picture:
        return rgb_of(picture)


def decoded_rgb(content: bytes, where: str) -> Image.Image:
    """The picture in the bytes of a file, as `open_rgb`; InputError begins with `where`."""
    try:
        with _QUIET, _identified(io.BytesIO(content)) as picture:
            return rgb_of(picture)
    except Exception as error:  # damaged bytes can make Pillow raise anything
        raise InputError(f"{where}: cannot be read as an image: {_said(error)}") from error


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height of the picture in `path` as people see it; its pixels are not read. Errors as `open_rgb`'s."""
    with _opened(path) as picture:
        return seen_size(picture)


def decode_rgb(content: bytes, *, most_pixels: int, kinds: Collection[str]) -> Image.Image:
    """The picture whose file is `content`, likewise, where it is of Pillow's `kinds` and of `most_pixels` at most."""
    with _reading("the picture"), _QUIET, _identified(io.BytesIO(content), most_pixels, kinds) as picture:
        return rgb_of(picture)


def encoded_size(content: bytes, *, most_pixels: int, kinds: Collection[str]) -> tuple[int, int]:
    """Width and height of that picture as it is stored; its pixels are not read. Errors as `decode_rgb`'s."""
    with _reading("the picture"), _QUIET, _identified(io.BytesIO(content), most_pixels, kinds) as picture:
        width, height = picture.size
    return width, height


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    with _reading(path):
        _check_file(path)
        with _QUIET, open(path, "rb") as file, _identified(file) as picture:
            yield picture


@contextlib.contextmanager
def _reading(where: Path | str) -> Iterator[None]:
    """Turns whatever is raised in the block into one InputError that begins with `where`."""
    try:
        import PIL  # noqa: F401
    except ImportError as error:
        raise InputError("pictures need Pillow; run 'pip install pillow'") from error
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{where} does not exist") from None
    except Exception as error:  # a damaged file can make Pillow raise anything
        raise InputError(f"{where} cannot be read as an image: {_said(error)}") from error


def _check_file(path: Path) -> None:
    # Not as the rest of the package checks files: an exported folder holds this file alone.
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise ValueError("it is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is a device, pipe or socket")
    if not 0 < status.st_size <= MOST_BYTES:
        raise ValueError(f"it has {status.st_size:,} bytes; expected 1 to {MOST_BYTES:,}")


def _identified(file: IO[bytes], most_pixels: int | None = None, kinds: Collection[str] | None = None) -> Image.Image:
    from PIL import Image

    picture = Image.open(file, formats=None if kinds is None else tuple(kinds))
    width, height = picture.size
    # Where Pillow itself refuses; telephones go beyond the half.
    most = most_pixels or 2 * (Image.MAX_IMAGE_PIXELS or sys.maxsize)
    if not 0 < width * height <= most:
        raise ValueError(f"it has {width} x {height} pixels; expected {most:,} at most")
    if picture.format == "EPS":
        raise ValueError("EPS is a program, which is not run; save it as PNG")
    return picture


class _Quiet:
    """Keeps Pillow's warnings to itself while any thread is in the block: what to show is one setting for them all."""

    def __init__(self) -> None:
        self._turn, self._inside = threading.Lock(), 0

    def __enter__(self) -> None:
        with self._turn:
            if not self._inside:
                self._before = warnings.catch_warnings()
                self._before.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._turn:
            self._inside -= 1
            if not self._inside:
                self._before.__exit__(None, None, None)


_QUIET = _Quiet()


def _said(error: Exception) -> str:
    """What Pillow says, on one line of bounded length."""
    if type(error).__name__ == "UnidentifiedImageError":  # its text is a Python object's
        return "Pillow knows no such kind of picture"
    text = str(getattr(error, "strerror", None) or error) or type(error).__name__
    return "".join(letter if letter.isprintable() else " " for letter in text[:140])


def rgb_of(picture: Image.Image) -> Image.Image:
    """A picture as people see it, in RGB: turned as its camera says, deep grey scaled, transparency laid on white."""
    from PIL import Image

    picture.load()  # some kinds of files are turned here already
    if turn := TURNS.get(_orientation(picture)):
        picture = picture.transpose(Image.Transpose[turn])
    if picture.mode == "F" or picture.mode.startswith("I"):
        return _grey(picture).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    seen = (picture.convert("LA") if picture.mode == "La" else picture).convert("RGBA")
    white = Image.new("RGBA", seen.size, "white")
    return Image.alpha_composite(white, seen).convert("RGB")


def seen_size(picture: Image.Image) -> tuple[int, int]:
    """Width and height of a picture as people see it; its pixels need not be read."""
    width, height = picture.size
    return (height, width) if _orientation(picture) in LIES_ON_ITS_SIDE else (width, height)


def _orientation(picture: Image.Image) -> int:
    """How the camera was held, 1 to 8; 1, upright, where nothing readable says it."""
    try:
        return int(picture.getexif().get(ORIENTATION, 1))
    except Exception:  # whatever a camera wrote; it must not make the picture unreadable
        return 1


def _grey(picture: Image.Image) -> Image.Image:
    """Grey values of 8 bits, from floats up to 255 (mode F) or whole numbers up to 65,535, which Pillow would clip."""
    from PIL import Image

    white = 255 if picture.mode == "F" else 65_535
    values = np.nan_to_num(np.asarray(picture, dtype=np.float64)).clip(0, white)
    return Image.fromarray(np.round(values * 255 / white).astype(np.uint8))
