from __future__ import annotations

import contextlib
import os
import struct
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin

from bstsearch.errors import InputError
from bstsearch.inputs.pictures import LETTERBOX, ORIENTATION, PictureReader, open_rgb, picture_size, rgb_of

MEAN, STD = (0.5, 0.25, 0.75), (0.25, 0.5, 0.125)
NORMALISED: dict[str, Any] = {"mean": MEAN, "std": STD}


def random_pixels(width: int, height: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def saved(path: Path, width: int, height: int) -> Path:
    Image.fromarray(random_pixels(width, height)).save(path)
    return path


def white(path: Path, width: int, height: int) -> Path:
    Image.new("RGB", (width, height), "white").save(path)
    return path


def letterbox(height: int, width: int, **kind: Any) -> PictureReader:
    return PictureReader(height=height, width=width, fit=LETTERBOX, **kind)


# How a picture fits


def test_pixels_of_the_right_size_are_read_as_they_are(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", 8, 6)
    for reader in (PictureReader(height=6, width=8), letterbox(6, 8)):
        np.testing.assert_array_equal(reader.read(path), random_pixels(8, 6))


@pytest.mark.parametrize("size", [(100, 60), (60, 100), (1, 500), (64, 64)])
def test_a_squashed_picture_has_one_size(tmp_path: Path, size: tuple[int, int]) -> None:
    image = PictureReader(height=16, width=24).read(saved(tmp_path / "a.png", *size))
    assert (image.shape, image.dtype) == ((16, 24, 3), np.uint8)
    expected = Image.open(tmp_path / "a.png").resize((24, 16), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(image, np.asarray(expected))


@pytest.mark.parametrize(
    ("size", "shape", "inside"),
    [
        ((640, 480), (384, 640), (slice(0, 384), slice(64, 576))),  # the usual photograph
        ((480, 640), (640, 384), (slice(64, 576), slice(0, 384))),  # the same, upright
        ((1000, 400), (384, 640), (slice(64, 320), slice(0, 640))),  # the longer side would be 960
        ((400, 1000), (640, 384), (slice(0, 640), slice(64, 320))),
        ((500, 500), (640, 384), (slice(128, 512), slice(0, 384))),  # a square stands
        ((100, 75), (384, 640), (slice(0, 384), slice(64, 576))),  # small ones are enlarged
        ((5000, 1), (384, 640), (slice(192, 193), slice(0, 640))),
    ],
)
def test_a_letterboxed_picture_lies_in_the_middle_of_a_black_canvas(
    tmp_path: Path, size: tuple[int, int], shape: tuple[int, int], inside: tuple[slice, slice]
) -> None:
    image = letterbox(384, 640).read(white(tmp_path / "a.png", *size))
    assert image.shape == (*shape, 3)
    assert (image[inside] == 255).all()
    assert image.sum() == image[inside].sum()


def test_an_odd_border_is_wider_at_the_left_and_the_top(tmp_path: Path) -> None:
    image = letterbox(4, 8).read(white(tmp_path / "a.png", 5, 4))
    assert image[0, :, 0].tolist() == [0, 0, *[255] * 5, 0]


@pytest.mark.parametrize("sides", [(384, 640), (640, 384)])
def test_the_order_of_a_letterbox_s_sides_does_not_matter(tmp_path: Path, sides: tuple[int, int]) -> None:
    assert letterbox(*sides).read(white(tmp_path / "a.png", 64, 48)).shape == (384, 640, 3)


@pytest.mark.parametrize("size", [(37, 100), (1000, 999), (639, 641), (333, 500), (2, 3)])
def test_no_size_leaves_the_canvas(tmp_path: Path, size: tuple[int, int]) -> None:
    image = letterbox(96, 160).read(white(tmp_path / "a.png", *size))
    assert image.shape == ((96, 160, 3) if size[0] > size[1] else (160, 96, 3))
    is_white = image[:, :, 0] > 128
    rows, columns = is_white.any(1).sum().item(), is_white.any(0).sum().item()
    assert abs(rows / columns - size[1] / size[0]) <= 1.5 / min(rows, columns) * max(rows / columns, 1)


def test_only_oblong_letterboxes_have_two_ways() -> None:
    readers = [letterbox(4, 8), letterbox(4, 4), PictureReader(height=4, width=8)]
    assert [reader.has_two_ways for reader in readers] == [True, False, False]


def test_channels_come_first_and_are_normalised_one_by_one(tmp_path: Path) -> None:
    Image.new("RGB", (2, 1), (0, 128, 255)).save(tmp_path / "a.png")
    image = PictureReader(height=1, width=2, **NORMALISED).read(tmp_path / "a.png")
    expected = [(value / 255 - mean) / std for value, mean, std in zip((0, 128, 255), MEAN, STD, strict=True)]
    assert (image.shape, image.dtype) == ((3, 1, 2), np.float32)
    np.testing.assert_allclose(image[:, 0, 0], expected, rtol=1e-6)


# As plain data


@pytest.mark.parametrize("reader", [PictureReader(input="photo", height=6, width=8), letterbox(6, 8, **NORMALISED)])
def test_a_reader_is_plain_data_and_back(reader: PictureReader) -> None:
    assert PictureReader.from_json(reader.to_json()) == reader


def test_the_data_name_what_they_say_as_hugging_face_does() -> None:
    assert letterbox(6, 8, **NORMALISED).to_json() == {
        "input": "image",
        "dtype": "float32",
        "data_format": "channels_first",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": 6, "width": 8},
        "fit": "letterbox",
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.25, 0.75],
        "image_std": [0.25, 0.5, 0.125],
    }


@pytest.mark.parametrize(
    "change",
    [
        *({"fit": fit} for fit in ("crop", None, "x" * 300_000)),
        *({"image_mean": mean} for mean in ([1, 2], 1, None, "1" * 300_000, [0.5, 0.5, np.nan], [10**400] * 3)),
        *({"image_std": std} for std in ([0.5, 0.5, 0], [-1, 1, 1], [np.inf, 1, 1], [[]] * 3, {"a": 1})),
        *({"size": size} for size in (3, {"height": 3}, [], None)),
        *({"size": {"height": 3, "width": width}} for width in (0, -1, 10**12, 2.5, "3", None)),
        *({"resample": number} for number in ("soft", -1, 6, 1.0)),
    ],
)
def test_data_that_say_nothing_known_are_one_clear_error(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"^[^\n]{1,200}$"):
        PictureReader.from_json(letterbox(6, 8, **NORMALISED).to_json() | change)


# As people see it

Make = Callable[[Image.Image], Image.Image]
COLOURS = np.stack([np.tile(np.arange(0, 252, 36), (5, 1)), np.tile(np.arange(0, 250, 50)[:, None], (1, 7))], -1)
RGB = Image.fromarray(np.concatenate([COLOURS, np.full((5, 7, 1), 90)], -1).astype(np.uint8))
GREY = RGB.convert("L")


def deep(kind: str, scale: float) -> Make:
    return lambda picture: Image.fromarray((np.asarray(picture.convert("L")) * np.float64(scale)).astype(kind))


def cie_lab(picture: Image.Image) -> Image.Image:
    profiles = (ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"))
    return ImageCms.profileToProfile(picture, *profiles, outputMode="LAB")


def of_mode(mode: str) -> Make:
    return lambda picture: picture.convert(mode)


# Mode -> the picture in it, whether it is grey then, and by how much a channel may be off.
MODES: dict[str, tuple[Make, bool, int]] = {
    "1": (lambda picture: picture.convert("L").point(lambda grey: 255 * (grey > 99)).convert("1"), True, 255),
    "L": (of_mode("L"), True, 0),
    "P": (lambda picture: picture.quantize(64), False, 0),
    "RGB": (of_mode("RGB"), False, 0),
    "RGBA": (of_mode("RGBA"), False, 0),
    "RGBX": (of_mode("RGBX"), False, 0),
    "RGBa": (lambda picture: picture.convert("RGBA").convert("RGBa"), False, 0),
    "CMYK": (of_mode("CMYK"), False, 0),
    "YCbCr": (of_mode("YCbCr"), False, 3),
    "HSV": (of_mode("HSV"), False, 8),
    "LAB": (cie_lab, False, 40),  # of few shades, and no room for the strongest colours
    "LA": (of_mode("LA"), True, 0),
    "La": (lambda picture: picture.convert("LA").convert("La"), True, 0),
    "PA": (lambda picture: picture.quantize(64).convert("PA"), False, 0),
    "I": (deep("int32", 257), True, 0),
    "F": (deep("float32", 1), True, 0),
    "I;16": (deep("<u2", 257), True, 0),
    "I;16B": (deep(">u2", 257), True, 0),
}


def off(one: Image.Image, other: Image.Image) -> int:
    assert one.mode == other.mode == "RGB"
    return int(np.abs(np.asarray(one, dtype=int) - np.asarray(other, dtype=int)).max())


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_shows_what_the_plain_picture_shows(mode: str) -> None:
    make, is_grey, tolerance = MODES[mode]
    picture = make(RGB)
    assert picture.mode == mode
    assert off(rgb_of(picture), (GREY if is_grey else RGB).convert("RGB")) <= tolerance


def test_black_and_white_stays_so() -> None:
    picture = MODES["1"][0](RGB)
    np.testing.assert_array_equal(np.asarray(rgb_of(picture))[:, :, 1], 255 * np.asarray(picture))


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        *[(mode, "a.png") for mode in ("L", "P", "RGB", "RGBA", "LA", "I;16")],
        *[(mode, "a.tiff") for mode in ("CMYK", "YCbCr", "LAB", "I", "F", "I;16", "I;16B")],
        ("I", "a.pgm"),
        ("RGB", "a.bmp"),
    ],
)
def test_every_mode_that_files_have_is_read_from_them(tmp_path: Path, mode: str, name: str) -> None:
    make, is_grey, tolerance = MODES[mode]
    make(RGB).save(tmp_path / name)
    (GREY if is_grey else RGB).convert("RGB").save(tmp_path / "plain.png")
    assert off(open_rgb(tmp_path / name), open_rgb(tmp_path / "plain.png")) <= tolerance


def test_deep_grey_is_scaled_and_not_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 128, 129, 257, 32_768, 65_535]], dtype=np.uint16)).save(tmp_path / "a.png")
    assert np.asarray(open_rgb(tmp_path / "a.png"))[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P", "RGBa", "La"])
def test_transparency_lies_on_white(tmp_path: Path, mode: str) -> None:
    picture = Image.new("RGBA", (3, 1), (0, 0, 0, 0))  # nothing of black, half of it, all of it
    picture.putpixel((1, 0), (0, 0, 0, 128))
    picture.putpixel((2, 0), (0, 0, 0, 255))
    if mode == "P":  # one alpha for each colour of the palette
        picture = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8), "L").convert("P")
        picture.putpalette([0] * 9)
        picture.save(tmp_path / "a.png", transparency=bytes([0, 128, 255]))
        picture = Image.open(tmp_path / "a.png")
    elif mode == "PA":
        alpha, picture = picture.getchannel("A"), Image.new("P", (3, 1)).convert("PA")
        picture.putalpha(alpha)
    else:
        picture = picture.convert({"La": "LA"}.get(mode, mode)).convert(mode)
    assert picture.mode == mode
    assert np.asarray(rgb_of(picture)).tolist() == [[[255] * 3, [127] * 3, [0] * 3]]


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1"])
def test_a_colour_that_stands_for_nothing_is_white(tmp_path: Path, mode: str) -> None:
    picture = Image.new(mode, (2, 1), 0)
    picture.putpixel((1, 0), {"RGB": (0, 0, 9), "L": 9}.get(mode, 1))
    picture.save(tmp_path / "a.png", transparency=(0, 0, 0) if mode == "RGB" else 0)
    seen = np.asarray(open_rgb(tmp_path / "a.png"))
    assert seen[0, 0].tolist() == [255, 255, 255]
    assert seen[0, 1].tolist() == np.asarray(picture.convert("RGB"))[0, 1].tolist()


# Orientation -> what a camera that was held so stored, of the picture that people see.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tiff", "a.jpg"])
def test_a_picture_is_turned_as_its_camera_says(tmp_path: Path, orientation: int, name: str) -> None:
    upright = RGB.resize((56, 40), Image.Resampling.NEAREST)  # in the blocks of JPEG
    how = STORED[orientation]
    stored, exif = upright if how is None else upright.transpose(how), Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"quality": 100, "subsampling": 0} if name == "a.jpg" else {}
    stored.save(tmp_path / name, exif=exif, lossless=True, **options)
    seen = open_rgb(tmp_path / name)
    assert seen.size == upright.size
    assert off(seen, upright) <= (6 if name == "a.jpg" else 0)


@pytest.mark.parametrize("orientation", STORED)
def test_the_size_is_told_without_reading_pixels(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    RGB.save(tmp_path / "a.jpg", exif=exif)
    assert picture_size(tmp_path / "a.jpg") == open_rgb(tmp_path / "a.jpg").size


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0nonsense", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12", b""])
@pytest.mark.parametrize("name", ["a.png", "a.webp"])
def test_a_camera_that_wrote_nonsense_leaves_the_picture_as_it_is(tmp_path: Path, exif: bytes, name: str) -> None:
    RGB.save(tmp_path / name, exif=exif, lossless=True)
    assert off(open_rgb(tmp_path / name), RGB) == 0


# What is no picture


def refusal(path: Path, read: Callable[[Path], object] = open_rgb) -> str:
    """What is said of a file, behind its path."""
    with pytest.raises(InputError) as error:
        read(path)
    assert str(error.value).startswith(f"{path} ")
    assert len(str(error.value)) - len(str(path)) < 200
    assert str(error.value).isprintable()
    return str(error.value).removeprefix(f"{path} ")


def test_what_is_no_picture_is_one_line(tmp_path: Path) -> None:
    whole = saved(tmp_path / "whole.png", 64, 64).read_bytes()
    (tmp_path / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    said = {path.name: refusal(path) for path in tmp_path.iterdir() if path.name != "whole.png"}
    assert all(text.startswith("cannot be read as an image: ") for text in said.values())
    assert {name: text.rpartition(": ")[2] for name, text in said.items()} == {
        "truncated.png": "image file is truncated",
        "text.png": "Pillow knows no such kind of picture",
        "empty.png": "it has 0 bytes; expected 1 to 1,073,741,824",
        "folder.png": "it is a folder",
        "pipe.png": "it is a device, pipe or socket",
    }
    assert refusal(tmp_path / "missing.png") == "does not exist"
    assert refusal(Path("/dev/zero")).endswith("it is a device, pipe or socket")


@pytest.mark.parametrize("read", [open_rgb, picture_size])
def test_a_decompression_bomb_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], object]
) -> None:
    path = saved(tmp_path / "a.png", 8, 8)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 31)
    assert refusal(path, read).startswith("cannot be read as an image: ")
    for most in (32, 64):  # at up to twice its limit, Pillow only warns; telephones make such pictures
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
        read(path)


def test_what_a_header_says_is_not_believed(tmp_path: Path) -> None:
    """A picture of 60,000 by 60,000 pixels in a hundred bytes."""
    whole = bytearray(saved(tmp_path / "a.png", 8, 8).read_bytes())
    whole[16:24] = struct.pack(">II", 60_000, 60_000)
    whole[29:33] = struct.pack(">I", zlib.crc32(whole[12:29]))
    (tmp_path / "a.png").write_bytes(whole)
    assert "pixels" in refusal(tmp_path / "a.png")


def test_a_picture_that_is_a_program_is_not_run(tmp_path: Path) -> None:
    RGB.save(tmp_path / "a.eps")
    assert "EPS is a program, which is not run; save it as PNG" in refusal(tmp_path / "a.eps")


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.tiff"])
def test_of_several_pictures_in_a_file_the_first_is_seen(tmp_path: Path, name: str) -> None:
    other = Image.new("RGB", RGB.size, "white")
    first = RGB.quantize(64) if name == "a.gif" else RGB
    first.save(tmp_path / name, save_all=True, append_images=[other], lossless=True)
    assert off(open_rgb(tmp_path / name), RGB) == 0


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.webp", "a.tiff", "a.bmp", "a.ppm", "a.tga", "a.ico"])
def test_damaged_pictures_are_seen_or_one_line(tmp_path: Path, name: str) -> None:
    random, path = np.random.default_rng(0), tmp_path / name
    RGB.resize((32, 32)).save(path)
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(20):
        damaged = whole[: random.integers(1, len(whole) + 1)].copy()
        damaged[random.integers(0, len(damaged), 4)] = random.integers(0, 256, 4)
        path.write_bytes(damaged.tobytes())
        for read in (open_rgb, picture_size):
            with contextlib.suppress(InputError):
                read(path)


@pytest.mark.parametrize(
    "error", [RecursionError(), MemoryError(), struct.error("a\nb"), KeyError("x" * 999), Exception()]
)
def test_whatever_pillow_raises_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    path = saved(tmp_path / "a.png", 8, 8)

    def load(self: object) -> None:
        raise error

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", load)
    assert refusal(path).startswith("cannot be read as an image: ")


def test_what_pillow_could_not_make_out_is_not_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    whole = saved(tmp_path / "a.png", 8, 8).read_bytes()
    (tmp_path / "a.png").write_bytes(b"II*\x00" + whole[4:])  # a TIFF of nonsense: Pillow warns
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        refusal(tmp_path / "a.png")
    assert capfd.readouterr() == ("", "")


def test_threads_leave_the_warnings_as_they_were(tmp_path: Path) -> None:
    path, before = saved(tmp_path / "a.png", 8, 8), list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(open_rgb, [path] * 200))
    assert warnings.filters == before
