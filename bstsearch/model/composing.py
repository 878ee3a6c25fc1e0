"""Finds the costs of which those of all submodels of a space are sums, by counting few of them."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction

from bstsearch.listener import SILENT, Listener
from bstsearch.model.cost import Amounts, Cost
from bstsearch.model.counting import Parts, count_parts, say_unnamed
from bstsearch.model.family import Config, Family, Stack
from bstsearch.model.layer_costs import Cell, LayerCosts, StackKinds, choices
from bstsearch.space import Space, Submodel

Corners = tuple[Parts, Parts, Parts]  # one model with the fewest heads and FFN units, most heads, most FFN units
Place = tuple[Fraction, Fraction]  # a width, and a share of the image's tokens


def compose(family: Family, config: Config, space: Space, listener: Listener = SILENT) -> LayerCosts | None:
    """The costs that those of `space` are sums of; None where they are no sums, of which `listener` hears.

    Three full-depth models are counted for each width and number of tokens, and one at random of whose costs the sums
    must be true. InputError where one cannot be counted.
    """
    known = functools.cache(functools.partial(count_parts, family, config))
    places = list(itertools.product(space.widths, space.tokens))
    corners = {}
    for done, place in enumerate(places):
        listener.progress("counting", done, len(places))
        corners[place] = _corners(known, space, place)
    say_unnamed(family, corners[places[0]][0], listener)
    found = _layer_costs(family.stacks(config), space, corners)
    if all(found.cost(one) == known(one).total for one in _checked(space, places)):
        return found
    listener.note(f"{family.name}: costs are no sums over layers here, so each submodel is counted by itself")
    return None


def _corners(known: Callable[[Submodel], Parts], space: Space, place: Place) -> Corners:
    width, tokens = place
    layers = sum(space.stacks)

    def parts(heads: Fraction, ffn: Fraction) -> Parts:
        return known(Submodel(width=width, heads=(heads,) * layers, ffn=(ffn,) * layers, tokens=tokens))

    heads, ffn = choices(space, width)
    return parts(heads[0], ffn[0]), parts(heads[-1], ffn[0]), parts(heads[0], ffn[-1])


def _layer_costs(stacks: Sequence[Stack], space: Space, corners: Mapping[Place, Corners]) -> LayerCosts:
    """With layers that cost the same everywhere as one kind."""
    kinds: dict[tuple[Cost, ...], int] = {}

    def kind(stack: int, layer: int) -> int:
        costs = tuple(parts.layers[stack][layer] for found in corners.values() for parts in found)
        return kinds.setdefault(costs, len(kinds))

    named = tuple(
        StackKinds(keep_order=one.keep_order, kinds=tuple(kind(index, layer) for layer in range(len(one.keep_order))))
        for index, one in enumerate(stacks)
    )
    cells = tuple(
        Cell(width=width, tokens=tokens, base=found[0].base.amounts, kinds=tuple(_three(row, index) for row in kinds))
        for index, ((width, tokens), found) in enumerate(corners.items())
    )
    return LayerCosts(space=space, stacks=named, cells=cells)


def _three(costs: Sequence[Cost], index: int) -> tuple[Amounts, Amounts, Amounts]:
    """Those of the place of that index."""
    least, most_heads, most_ffn = costs[3 * index : 3 * index + 3]
    return least.amounts, most_heads.amounts, most_ffn.amounts


def _checked(space: Space, places: Sequence[Place]) -> Iterator[Submodel]:
    """One submodel of each width and number of tokens, of depths, heads and FFN units at random."""
    draw = random.Random(0).choice
    for width, tokens in places:
        depths = [draw(space.depths) for _ in space.stacks]
        row = depths if space.has_own_depths else depths[:1] * len(depths)
        one = Submodel(width=width, depths=tuple(row), tokens=tokens)
        layers = space.kept_layers(one)
        heads, ffn = (tuple(draw(row) for _ in range(layers)) for row in choices(space, width))
        yield dataclasses.replace(one, heads=heads, ffn=ffn)
