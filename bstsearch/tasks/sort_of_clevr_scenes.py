"""The scenes of Sort-of-CLEVR, their pictures, and what is true of them (no torch).

Santoro et al., 2017 (arXiv 1706.01427): six objects, one of each colour, each a square or a circle. Sizes
and colour values are those of the widely used public generator (kimhc6028/relational-networks). Stricter
than there, so that every answer can be seen: no two objects touch, none lies on a middle line, and none
is equally far from its two closest or its two furthest objects.

Letters in array names: N scenes, O objects in the order of COLOURS, S picture side.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

COLOURS = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "orange": (255, 156, 0),
    "gray": (128, 128, 128),
    "yellow": (255, 255, 0),
}
SHAPES = ("square", "circle")
BACKGROUND = 255
SIDE = 75
RADIUS = 5  # an object covers 11 x 11 pixels
LEAST_GAP = 1  # pixels of background between two objects
DRAWN_AT_ONCE = 20_000  # about one scene in seven is kept

Ints = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scenes:
    """Centres (N, O, 2; pixels from the left and from the top) and shapes (N, O; places in SHAPES)."""

    centres: Ints
    shapes: Ints

    def __len__(self) -> int:
        return len(self.shapes)


def draw_scenes(count: int, random: np.random.Generator) -> Scenes:
    """`count` scenes, every allowed one equally likely: whole scenes are drawn until enough are allowed."""
    kept: list[Ints] = []
    while sum(map(len, kept)) < count:
        # Only `random()` is called: its stream is the one least likely to differ between versions of NumPy.
        uniform = random.random((DRAWN_AT_ONCE, len(COLOURS), 2))
        centres = RADIUS + np.floor(uniform * (SIDE - 2 * RADIUS)).astype(np.int64)
        kept.append(centres[_is_allowed(centres)])
    shapes = np.floor(random.random((count, len(COLOURS))) * len(SHAPES)).astype(np.int64)
    return Scenes(centres=np.concatenate(kept)[:count], shapes=shapes)


def paint(scenes: Scenes) -> NDArray[np.uint8]:
    """Pictures (N, S, S, 3)."""
    offsets = np.arange(-RADIUS, RADIUS + 1)
    is_disc = offsets[:, None] ** 2 + offsets**2 <= (RADIUS + 0.5) ** 2
    masks = np.stack([np.ones_like(is_disc), is_disc])
    images = np.full((len(scenes), SIDE, SIDE, 3), BACKGROUND, dtype=np.uint8)
    row = np.arange(len(scenes))[:, None, None]
    for index, colour in enumerate(COLOURS.values()):
        x, y = (scenes.centres[:, index, axis, None, None] for axis in (0, 1))
        # The corners around a disc are repainted in the background's colour: no other object is there.
        stamp = np.where(masks[scenes.shapes[:, index], :, :, None], colour, BACKGROUND)
        images[row, y + offsets[:, None], x + offsets] = stamp
    return images


def detected(scenes: Scenes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Each object as a perfect detector reports it: features (N, O, F), its colour and shape as one-hot codes, and
    its box (N, O, 4), x1, y1, x2, y2 as shares of the picture.
    """
    colours = np.broadcast_to(np.eye(len(COLOURS)), (len(scenes), len(COLOURS), len(COLOURS)))
    features = np.concatenate([colours, np.eye(len(SHAPES))[scenes.shapes]], -1)
    corners = np.concatenate([scenes.centres - RADIUS, scenes.centres + RADIUS + 1], -1) / SIDE
    return features.astype(np.float32), corners.astype(np.float32)


def is_left_of_middle(scenes: Scenes) -> NDArray[np.bool_]:
    """Whether each object lies in the left half (N, O)."""
    return scenes.centres[:, :, 0] < SIDE // 2


def is_above_middle(scenes: Scenes) -> NDArray[np.bool_]:
    """Whether each object lies in the upper half (N, O)."""
    return scenes.centres[:, :, 1] < SIDE // 2


def closest(scenes: Scenes) -> Ints:
    """The object closest to each object (N, O), by the distance of centres."""
    objects: Ints = _squared_distances(scenes.centres, to_itself=4 * SIDE**2).argmin(-1)
    return objects


def furthest(scenes: Scenes) -> Ints:
    """The object furthest from each object (N, O)."""
    objects: Ints = _squared_distances(scenes.centres, to_itself=0).argmax(-1)
    return objects


def alike(scenes: Scenes) -> Ints:
    """How many objects have the shape of each object, itself counted (N, O)."""
    counts: Ints = (scenes.shapes[:, :, None] == scenes.shapes[:, None, :]).sum(-1)
    return counts


def _is_allowed(centres: Ints) -> NDArray[np.bool_]:
    gaps = np.abs(centres[:, :, None] - centres[:, None, :]).max(-1)
    first, second = np.triu_indices(len(COLOURS), k=1)
    is_apart = (gaps[:, first, second] > 2 * RADIUS + LEAST_GAP).all(-1)
    is_off_middle = (centres != SIDE // 2).all((1, 2))
    ranked = np.sort(_squared_distances(centres, to_itself=0), axis=-1)
    is_clear = (ranked[:, :, 1] < ranked[:, :, 2]).all(-1) & (ranked[:, :, -2] < ranked[:, :, -1]).all(-1)
    allowed: NDArray[np.bool_] = is_apart & is_off_middle & is_clear
    return allowed


def _squared_distances(centres: Ints, *, to_itself: int) -> Ints:
    distances: Ints = ((centres[:, :, None] - centres[:, None, :]) ** 2).sum(-1)
    diagonal = np.arange(centres.shape[1])
    distances[:, diagonal, diagonal] = to_itself
    return distances
