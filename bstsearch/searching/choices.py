"""A space as named choices among shares, which samplers and breeding work on (no torch)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from fractions import Fraction

from bstsearch.space import Space, Submodel

Row = dict[str, Fraction]
WIDTH, DEPTH, HEADS, FFN = "width", "depth", "heads", "ffn"


class Choices:
    """A space as named choices, each among fractions in rising order.

    A row makes every choice, those for layers that its submodel does not keep too, so that all rows are of equal length.
    Choices for layers are counted within their stack, from the first one kept.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._widest = {cell.depth: cell.width for cell in space.grid()}  # smallest first, so the widest stays
        self.options: dict[str, tuple[Fraction, ...]] = {WIDTH: space.widths, DEPTH: space.depths}
        for kind, options in ((HEADS, space.layer_heads), (FFN, space.layer_ffn)):
            if options:
                self.options |= dict.fromkeys(self._layer_names(kind, Fraction(1)), options)

    def submodel(self, row: Mapping[str, Fraction]) -> Submodel:
        """The submodel that the choices in `row` make."""
        width, depth = row[WIDTH], row[DEPTH]
        heads = tuple(row[name] for name in self._layer_names(HEADS, depth) if name in row)
        ffn = tuple(row[name] for name in self._layer_names(FFN, depth) if name in row)
        return Submodel(width=width, depth=depth, heads=heads, ffn=ffn)

    def row(self, submodel: Submodel) -> Row:
        """The choices that make `submodel`; the smallest option for layers that it does not keep."""
        row = {name: options[0] for name, options in self.options.items()}
        row |= {WIDTH: submodel.width, DEPTH: submodel.depth}
        for kind, shares in ((HEADS, submodel.heads), (FFN, submodel.ffn)):
            names = [name for name in self._layer_names(kind, submodel.depth) if name in row]
            row |= dict(zip(names, shares or (submodel.width,) * len(names), strict=True))
        return row

    def kept(self, row: Row) -> set[str]:
        """The choices that matter: all but those for layers that the row's submodel does not keep."""
        depth = row[DEPTH]
        return {WIDTH, DEPTH, *self._layer_names(HEADS, depth), *self._layer_names(FFN, depth)} & row.keys()

    def settled(self, row: Row) -> Row:
        """`row`, thinner where its width does not go with its depth."""
        return row | {WIDTH: min(row[WIDTH], self._widest[row[DEPTH]])}

    def random_row(self, draw: random.Random) -> Row:
        """Any row."""
        return {name: draw.choice(options) for name, options in self.options.items()}

    def descent(self, row: Row, draw: random.Random) -> list[Row]:
        """From `row` to the smallest submodel, one choice one step smaller at a time, in random order."""
        position = {name: options.index(row[name]) for name, options in self.options.items()}
        steps = [name for name, index in position.items() for _ in range(index)]
        draw.shuffle(steps)
        path = [self.settled(row)]
        for name in steps:
            position[name] -= 1
            row = row | {name: self.options[name][position[name]]}
            path.append(self.settled(row))
        return path

    def _layer_names(self, kind: str, depth: Fraction) -> list[str]:
        kept = [int(depth * layers) for layers in self._space.stacks]
        return [f"{kind}_{stack}_{layer}" for stack, count in enumerate(kept) for layer in range(count)]


def shares(submodel: Submodel, stacks: Sequence[int]) -> list[float]:
    """The submodel as numbers: its width, each stack's depth, each layer's heads, each layer's FFN units.

    A layer that is not kept has 0 of both. Of the kept ones the first half stands at its stack's start and the rest at
    its end, as in a supernet that keeps the ends longest.
    """
    kept = [int(submodel.depth * layers) for layers in stacks]
    row = [_float(submodel.width), *(count / layers for count, layers in zip(kept, stacks, strict=True))]
    for own in (submodel.heads, submodel.ffn):
        values = [_float(share) for share in own] or [_float(submodel.width)] * sum(kept)
        for count, layers in zip(kept, stacks, strict=True):
            first = (count + 1) // 2
            row += [*values[:first], *[0.0] * (layers - count), *values[first:count]]
            values = values[count:]
    return row


def share_groups(stacks: Sequence[int]) -> list[list[int]]:
    """The columns of `shares` that are of one kind."""
    layers = sum(stacks)
    first = 1 + len(stacks)
    return [[0], [*range(1, first)], [*range(first, first + layers)], [*range(first + layers, first + 2 * layers)]]


def _float(share: Fraction) -> float:
    return share.numerator / share.denominator
