"""Which submodels of a space are measured, so that the latency of every other one can be composed (no torch)."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Iterator
from fractions import Fraction
from typing import Final, Literal

from bstsearch.space import Space, Submodel

# Random submodels; docs/log.md tells how the error falls with their number (1.1 % with 30, 0.8 % with 60).
FITTED = 30
CHECKED = 16  # enough for a 90th percentile with one or two beyond it

FIT: Final = "fit"
CHECK: Final = "check"
Role = Literal["fit", "check"]


def choose(space: Space, *, is_layerwise: bool, seed: int) -> dict[Submodel, Role]:
    """Submodels and their roles: the grid, and where layers may differ uniform and random ones; some of those check.

    Random ones go through the cells of the grid in turn, so that every width and depth is among them.
    """
    chosen: dict[Submodel, Role] = dict.fromkeys(space.grid(), FIT)
    if not is_layerwise:
        return chosen
    chosen.update(dict.fromkeys(uniform(space).values(), FIT))
    random_ones = _random(space, seed)
    parts: list[tuple[Role, int]] = [(FIT, FITTED), (CHECK, CHECKED)]
    for role, count in parts:
        wanted = min(space.layerwise.size, len(chosen) + count)
        while len(chosen) < wanted:
            chosen.setdefault(next(random_ones), role)
    return chosen


def uniform(space: Space) -> dict[tuple[Fraction, Fraction], Submodel]:
    """(width, share) -> the shallowest submodel of that width whose layers all have that share of heads and FFN."""
    shallowest: dict[Fraction, Submodel] = {}
    for cell in space.grid():
        shallowest.setdefault(cell.width, cell)
    found = {}
    for cell, share in itertools.product(shallowest.values(), space.widths):
        row = (share,) * space.kept_layers(cell)
        found[cell.width, share] = dataclasses.replace(cell, heads=row, ffn=row)
    return found


def _random(space: Space, seed: int) -> Iterator[Submodel]:
    draw, cells = random.Random(seed).choice, list(space.grid())
    while True:
        for cell in cells:
            layers = range(space.kept_layers(cell))
            heads, ffn = (tuple(draw(space.widths) for _ in layers) for _ in range(2))
            yield dataclasses.replace(cell, heads=heads, ffn=ffn)
