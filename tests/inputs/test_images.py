from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bstsearch.errors import InputError
from bstsearch.inputs.images import read_image


def saved(path: Path, size: tuple[int, int], mode: str = "RGB") -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


def test_pixels_are_read_as_they_are(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", (8, 8))
    np.testing.assert_array_equal(read_image(path, 8), np.asarray(Image.open(path)))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA"])
def test_other_sizes_and_modes_are_converted(tmp_path: Path, mode: str) -> None:
    image = read_image(saved(tmp_path / "a.png", (20, 10), mode), 8)
    assert image.shape == (8, 8, 3)
    assert image.dtype == np.uint8


def test_what_is_no_image_is_one_clear_error(tmp_path: Path) -> None:
    whole = saved(tmp_path / "whole.png", (64, 64)).read_bytes()
    (tmp_path / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder.png").mkdir()
    for name in ("truncated", "text", "empty", "folder"):
        with pytest.raises(InputError, match=rf"{name}\.png cannot be read as an image"):
            read_image(tmp_path / f"{name}.png", 8)
    with pytest.raises(InputError, match="does not exist"):
        read_image(tmp_path / "missing.png", 8)


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30)
    with pytest.raises(InputError, match="cannot be read as an image"):
        read_image(saved(tmp_path / "a.png", (8, 8)), 8)
