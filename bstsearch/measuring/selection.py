"""Which submodels of a space are measured, so that the latency of every other one can be composed (no torch)."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Iterator
from fractions import Fraction
from typing import Final, Literal

from bstsearch.model.layer_costs import choices
from bstsearch.space import Space, Submodel

# Random submodels; docs/log.md tells how the error falls with their number (1.1 % with 30, 0.8 % with 60).
FITTED = 30
CHECKED = 16  # enough for a 90th percentile with one or two beyond it

FIT: Final = "fit"
CHECK: Final = "check"
Role = Literal["fit", "check"]


def measured_space(space: Space, *, is_layerwise: bool) -> Space:
    """The space whose submodels can all be composed: an elastic one itself.

    Of another one, with `is_layerwise` its layers may differ, which costs little more to measure.
    """
    return space.layerwise if is_layerwise and not space.is_elastic else space


def choose(space: Space, *, is_layerwise: bool, seed: int) -> dict[Submodel, Role]:
    """Submodels and their roles: the grid, and where more is free uniform and random ones; some of those check.

    Random ones go through the cells of the grid in turn, so that every width and depth is among them. Where the number
    of tokens is free, twice as many are fitted.
    """
    free = measured_space(space, is_layerwise=is_layerwise)
    chosen: dict[Submodel, Role] = dict.fromkeys(space.grid(), FIT)
    if not free.is_elastic:
        return chosen
    chosen.update(dict.fromkeys(uniform(free).values(), FIT))
    random_ones = _random(free, seed)
    parts: list[tuple[Role, int]] = [(FIT, FITTED * min(2, len(free.tokens))), (CHECK, CHECKED)]
    for role, count in parts:
        wanted = min(free.size, len(chosen) + count)
        while len(chosen) < wanted:
            chosen.setdefault(next(random_ones), role)
    return chosen


def uniform(space: Space) -> dict[tuple[Fraction, Fraction, Fraction], Submodel]:
    """(width, share, tokens) -> the shallowest submodel whose layers all have that share of heads and FFN units."""
    found = {}
    for width, tokens in itertools.product(space.widths, space.tokens):
        for share in sorted({share for row in choices(space, width) for share in row}):
            found[width, share, tokens] = alike(space, width, share, tokens)
    return found


def alike(space: Space, width: Fraction, share: Fraction, tokens: Fraction) -> Submodel:
    """The shallowest submodel of that width whose layers all have `share`, or the next one below that they may have."""
    depth, precision = space.depths_of(width)[0], space.precisions[-1]
    cell = Submodel(width=width, depth=depth, tokens=tokens, precision=precision)
    layers = space.kept_layers(cell)
    heads, ffn = (
        (max((one for one in row if one <= share), default=row[0]),) * layers if row else ()
        for row in (space.layer_heads, space.layer_ffn)
    )
    return dataclasses.replace(cell, heads=heads, ffn=ffn)


def _random(space: Space, seed: int) -> Iterator[Submodel]:
    draw, cells = random.Random(seed).choice, list(space.cells())
    while True:
        for cell in cells:
            one = cell
            if space.has_own_depths:
                one = dataclasses.replace(one, depths=tuple(draw(space.depths_of(cell.width)) for _ in space.stacks))
            if len(space.tokens) > 1:
                one = dataclasses.replace(one, tokens=draw(space.tokens))
            layers = range(space.kept_layers(one))
            heads, ffn = (tuple(draw(row) for _ in layers if row) for row in (space.layer_heads, space.layer_ffn))
            yield dataclasses.replace(one, heads=heads, ffn=ffn)
