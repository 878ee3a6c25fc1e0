"""The scenes of `shapes`, their pictures, and what is true of them (no torch).

A picture is a grid of cells, and in some of them lies one object: a shape in a colour, moved by a pixel or two. A
token of a model that sees one cell at a time then holds one object or none.

Letters in array names: N scenes, P phrases, G cells of the grid, row by row from the top left.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

COLOURS = {"red": (214, 39, 40), "green": (44, 160, 44), "blue": (31, 90, 214), "yellow": (245, 205, 40)}
SHAPES = ("circle", "square", "triangle")
BACKGROUND = 235
SIDE = 6  # cells a side
CELL = 8  # pixels a side
OBJECT = 6  # pixels a side
FEWEST, MOST = 2, 9  # objects in a scene
NONE = -1

Ints = NDArray[np.int64]
Truths = NDArray[np.bool_]

# Every way to speak of objects: the place of a colour or None for any, the place of a shape or None for any.
PHRASES: tuple[tuple[int | None, int | None], ...] = tuple(
    itertools.product((None, *range(len(COLOURS))), (None, *range(len(SHAPES))))
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scenes:
    """What lies in each cell (N, G), as places in COLOURS and SHAPES or NONE, and how it is moved (N, G, 2; pixels)."""

    colours: Ints
    shapes: Ints
    moved: Ints

    def __len__(self) -> int:
        return len(self.colours)


def draw_scenes(count: int, random: np.random.Generator) -> Scenes:
    """`count` scenes: a number of objects, cells for them, and their colours and shapes, all equally likely."""
    # Only `random()` is called: its stream is the one least likely to differ between versions of NumPy.
    cells = SIDE * SIDE
    wanted = below(MOST - FEWEST + 1, random.random(count)) + FEWEST
    is_free = random.random((count, cells)).argsort(1, kind="stable").argsort(1, kind="stable") >= wanted[:, None]
    colours = below(len(COLOURS), random.random((count, cells)))
    shapes = below(len(SHAPES), random.random((count, cells)))
    moved = below(CELL - OBJECT + 1, random.random((count, cells, 2)))
    return Scenes(colours=np.where(is_free, NONE, colours), shapes=np.where(is_free, NONE, shapes), moved=moved)


def below(limit: Any, uniform: NDArray[np.float64]) -> Ints:
    """Whole numbers from 0 to below `limit`, from numbers in [0, 1)."""
    numbers: Ints = np.floor(uniform * limit).astype(np.int64)
    return numbers


def paint(scenes: Scenes) -> NDArray[np.uint8]:
    """Pictures (N, S, S, 3)."""
    tiles = _tiles()
    places = (scenes.colours, scenes.shapes, scenes.moved[:, :, 0], scenes.moved[:, :, 1])
    drawn = tiles[places].reshape(len(scenes), SIDE, SIDE, CELL, CELL, 3)
    return drawn.transpose(0, 1, 3, 2, 4, 5).reshape(len(scenes), SIDE * CELL, SIDE * CELL, 3)


def _tiles() -> NDArray[np.uint8]:
    """A cell with each object, moved in each way (colours + 1, shapes + 1, right, down, 8, 8, 3); last, without one."""
    free = CELL - OBJECT + 1
    tiles = np.full((len(COLOURS) + 1, len(SHAPES) + 1, free, free, CELL, CELL, 3), BACKGROUND, dtype=np.uint8)
    for (index, colour), (shape, mask), right, down in itertools.product(
        enumerate(COLOURS.values()), enumerate(_masks()), range(free), range(free)
    ):
        tiles[index, shape, right, down, down : down + OBJECT, right : right + OBJECT][mask] = colour
    return tiles


def _masks() -> tuple[Truths, ...]:
    """The pixels that each of SHAPES covers (O, O)."""
    offsets = np.arange(OBJECT) - (OBJECT - 1) / 2
    circle = offsets[:, None] ** 2 + offsets**2 <= (OBJECT / 2) ** 2
    triangle = np.abs(offsets) <= np.arange(1, OBJECT + 1)[:, None] / 2
    return circle, np.ones_like(circle), triangle


def are_meant(scenes: Scenes) -> Truths:
    """Which cells hold an object that each of PHRASES speaks of (N, P, G)."""
    anything = scenes.colours != NONE
    of_colour = {None: anything} | {index: scenes.colours == index for index in range(len(COLOURS))}
    of_shape = {None: anything} | {index: scenes.shapes == index for index in range(len(SHAPES))}
    return np.stack([of_colour[colour] & of_shape[shape] for colour, shape in PHRASES], 1)
