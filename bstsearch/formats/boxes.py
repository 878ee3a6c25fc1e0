"""Boxes of regions: x1, y1, x2, y2 in pixels or as shares of their image, held against what an image can have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bstsearch.errors import InputError

# Published boxes leave their image by what rounding its size made of them: up to a pixel, or of a photograph that was
# scaled down for the detector a few. Boxes on another scale are off by much more.
SLACK = 0.01


def shares_of(boxes: NDArray[Any], width: float, height: float) -> NDArray[np.float32]:
    """Boxes (n, 4) in pixels as shares; InputError where they are none of such an image, naming the first."""
    if not (0 < width < np.inf and 0 < height < np.inf):
        raise InputError(f"the image's size is {width:g} x {height:g}")
    if len(boxes) and boxes.max() <= 1 + SLACK:
        raise InputError("all boxes lie within one pixel; expected pixels, not shares of the image")
    size = np.array([width, height, width, height])
    with np.errstate(all="ignore"):  # what is not finite afterwards is refused
        shares = boxes / size
    _check(boxes, shares, np.maximum(SLACK, 1 / size), f"in an image of {width:g} x {height:g}")
    found: NDArray[np.float32] = shares.astype(np.float32)
    return found


def check_shares(boxes: NDArray[Any]) -> None:
    """Passes where boxes (n, 6) are x1, y1, x2, y2, width and height as shares of an image; else InputError."""
    _check(boxes, boxes[:, :4], np.full(4, SLACK), "as shares of the image")
    is_off = (np.abs(boxes[:, 2:4] - boxes[:, :2] - boxes[:, 4:]) > SLACK).any(1)
    if is_off.any():
        raise InputError(f"box {is_off.argmax()} ends elsewhere than its width and height say; copy it again")


def _check(boxes: NDArray[Any], shares: NDArray[Any], slack: NDArray[np.float64], what: str) -> None:
    is_inside = (shares >= -slack) & (shares <= 1 + slack)
    is_ordered = shares[:, :2] <= shares[:, 2:]
    is_sound = is_inside.all(1) & is_ordered.all(1)
    if not is_sound.all():
        place = int(is_sound.argmin())
        numbers = ", ".join(f"{number:.6g}" for number in boxes[place, :4].tolist())
        wrong = "lies outside it" if is_ordered[place].all() else "ends before it begins"
        raise InputError(f"box {place} ({numbers}) {what} {wrong}; expected x1, y1, x2, y2")
