from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from bstsearch.errors import InputError
from bstsearch.inputs.clip_images import MEAN, STD, clip_normalised, read_clip_image

BLACK = -torch.tensor(MEAN) / torch.tensor(STD)
WHITE = (1 - torch.tensor(MEAN)) / torch.tensor(STD)


def white(path: Path, width: int, height: int) -> Path:
    Image.new("RGB", (width, height), "white").save(path)
    return path


def is_filled(image_3HW: Tensor, colour_3: Tensor) -> bool:
    return torch.allclose(image_3HW, colour_3[:, None, None].expand_as(image_3HW), atol=1e-5)


def test_channels_come_first_and_are_normalised_one_by_one() -> None:
    image = torch.tensor([[[[0, 128, 255]]]], dtype=torch.uint8)
    expected = [(value / 255 - mean) / std for value, mean, std in zip((0, 128, 255), MEAN, STD, strict=True)]
    torch.testing.assert_close(clip_normalised(image).flatten(), torch.tensor(expected))


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
def test_an_image_lies_in_the_middle_of_a_black_canvas(
    tmp_path: Path, size: tuple[int, int], shape: tuple[int, int], inside: tuple[slice, slice]
) -> None:
    image = read_clip_image(white(tmp_path / "a.png", *size), 384, 640)
    assert image.shape == (3, *shape)
    assert image.dtype == torch.float32
    assert is_filled(image[:, inside[0], inside[1]], WHITE)
    rows, columns = inside
    for border in (
        image[:, : rows.start],
        image[:, rows.stop :],
        image[:, :, : columns.start],
        image[:, :, columns.stop :],
    ):
        assert is_filled(border, BLACK)


def test_an_odd_border_is_wider_at_the_left_and_the_top(tmp_path: Path) -> None:
    image = read_clip_image(white(tmp_path / "a.png", 5, 4), 4, 8)
    assert is_filled(image[:, :, 2:7], WHITE)
    assert is_filled(image[:, :, :2], BLACK)
    assert is_filled(image[:, :, 7:], BLACK)


@pytest.mark.parametrize("sides", [(384, 640), (640, 384)])
def test_the_order_of_the_sides_does_not_matter(tmp_path: Path, sides: tuple[int, int]) -> None:
    assert read_clip_image(white(tmp_path / "a.png", 64, 48), *sides).shape == (3, 384, 640)


@pytest.mark.parametrize("size", [(37, 100), (1000, 999), (639, 641), (333, 500), (2, 3)])
def test_no_size_leaves_the_canvas(tmp_path: Path, size: tuple[int, int]) -> None:
    image = read_clip_image(white(tmp_path / "a.png", *size), 96, 160)
    assert image.shape == ((3, 96, 160) if size[0] > size[1] else (3, 160, 96))
    is_white = torch.isclose(image[0], WHITE[0], atol=1e-5)
    rows, columns = is_white.any(1).sum().item(), is_white.any(0).sum().item()
    assert abs(rows / columns - size[1] / size[0]) <= 1.5 / min(rows, columns) * max(rows / columns, 1)


def test_pixels_of_the_right_size_are_read_as_they_are(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    expected = clip_normalised(torch.from_numpy(pixels)[None])[0]
    assert torch.equal(read_clip_image(tmp_path / "a.png", 64, 64), expected)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA"])
def test_other_modes_are_converted(tmp_path: Path, mode: str) -> None:
    Image.new("RGB", (8, 4), "white").convert(mode).save(tmp_path / "a.png")
    assert is_filled(read_clip_image(tmp_path / "a.png", 4, 8), WHITE)


def test_what_is_no_image_is_one_clear_error(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder.png").mkdir()
    for name in ("truncated", "text", "empty", "folder"):
        with pytest.raises(InputError, match=rf"{name}\.png cannot be read as an image"):
            read_clip_image(tmp_path / f"{name}.png", 4, 8)
    with pytest.raises(InputError, match="does not exist"):
        read_clip_image(tmp_path / "missing.png", 4, 8)


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30)
    with pytest.raises(InputError, match="cannot be read as an image"):
        read_clip_image(white(tmp_path / "a.png", 8, 8), 4, 8)
