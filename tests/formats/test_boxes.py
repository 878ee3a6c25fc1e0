from __future__ import annotations

import numpy as np
import pytest

from bstsearch.errors import InputError
from bstsearch.formats.boxes import check_shares, shares_of

WIDTH, HEIGHT = 640, 480
SOUND = (10, 20, 300, 400)


def test_pixels_become_shares() -> None:
    assert shares_of(np.array([[0, 120, 320, 480], [160, 0, 640, 240]], np.float32), WIDTH, HEIGHT).tolist() == [
        [0, 0.25, 0.5, 1],
        [0.25, 0, 1, 0.5],
    ]


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 640, 480),
        (-0.5, -1, 641, 480.9),  # published boxes leave their image by what was rounded
        (-6, 0, 646, 484),  # and of scaled images by a hundredth
        (5, 5, 5, 5),
        (0, 0, 0, 0),
    ],
)
def test_boxes_may_touch_the_border_and_be_empty(box: tuple[float, ...]) -> None:
    assert np.isfinite(shares_of(np.array([SOUND, box]), WIDTH, HEIGHT)).all()


@pytest.mark.parametrize("size", [1, 2, 20])
def test_a_pixel_too_far_is_rounding_in_small_images_too(size: int) -> None:
    assert len(shares_of(np.array([[0, 0, size + 1, size + 1]]), size, size)) == 1


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((10, 20, 660, 400), "lies outside it"),
        ((10, 20, 300, 490), "lies outside it"),
        ((-30, 20, 300, 400), "lies outside it"),
        ((1000, 2000, 30000, 40000), "lies outside it"),  # a hundred times too large
        ((300, 20, 10, 400), "ends before it begins"),
        ((10, 400, 300, 20), "ends before it begins"),
        ((20, 10, 400, 639), "lies outside it"),  # width and height the other way round
    ],
)
def test_boxes_that_no_such_image_has_are_refused(box: tuple[float, ...], message: str) -> None:
    with pytest.raises(InputError, match=rf"box 1 \(.*\) in an image of 640 x 480 {message}"):
        shares_of(np.array([SOUND, box]), WIDTH, HEIGHT)


def test_shares_are_not_divided_again() -> None:
    with pytest.raises(InputError, match="all boxes lie within one pixel; expected pixels, not shares"):
        shares_of(np.array([[0.1, 0.2, 0.5, 1.004], [0, 0, 1, 1]]), WIDTH, HEIGHT)


@pytest.mark.parametrize("size", [(0, 480), (640, -1), (np.nan, 480), (640, np.inf)])
def test_an_image_has_a_size(size: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="the image's size is"):
        shares_of(np.array([SOUND]), *size)


GOOD_SHARES = (0.1, 0.2, 0.5, 1.0, 0.4, 0.8)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((0.5, 0.2, 0.1, 1.0, -0.4, 0.8), r"box 1 \(0.5, .* as shares of the image ends before it begins"),
        ((0.1, 0.2, 0.5, 1.2, 0.4, 1.0), "lies outside it"),
        ((64, 96, 320, 480, 256, 384), "lies outside it"),
        ((0.1, 0.2, 0.4, 0.8, 0.4, 0.8), "box 1 ends elsewhere than its width and height say"),
        ((0.1, 0.2, np.nan, 0.8, 0.4, 0.8), "box 1"),
    ],
)
def test_stored_shares_are_looked_at_too(box: tuple[float, ...], message: str) -> None:
    check_shares(np.array([GOOD_SHARES], np.float16))
    with pytest.raises(InputError, match=message):
        check_shares(np.array([GOOD_SHARES, box], np.float32))
