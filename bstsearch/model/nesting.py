"""Which submodels lie within which: no larger in any direction, layer by layer of the full model (no torch)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from bstsearch.space import ONE, Space, Submodel, nearest

NONE = Fraction(0)

# How far a submodel reaches in each direction: width, tokens, and each layer's shares of heads and FFN units.
Extent = tuple[Fraction, ...]


def is_within(smaller: Extent, larger: Extent) -> bool:
    """Whether one is no larger than the other in any direction."""
    return all(mine <= other for mine, other in zip(smaller, larger, strict=True))


def overlap(one: Extent, other: Extent) -> Extent:
    """What lies within both."""
    return tuple(map(min, one, other))


def union(one: Extent, other: Extent) -> Extent:
    """The least that both lie within."""
    return tuple(map(max, one, other))


@dataclass(frozen=True, kw_only=True)
class Nesting:
    """The extents of the submodels of `space`; `keep_orders` are those of its stacks, the layer kept longest first.

    >>> nesting = Nesting(space=Space.bst(stacks=(4,)).layerwise, keep_orders=[(0, 3, 1, 2)])
    >>> [str(share) for share in nesting.extent(Submodel.from_id("w1of2-d1of4-h3of4"))]
    ['1/2', '1', '3/4', '1/2', '0', '0', '0', '0', '0', '0']
    """

    space: Space
    keep_orders: Sequence[Sequence[int]]

    def extent(self, submodel: Submodel) -> Extent:
        """How far `submodel` reaches: 0 in layers that it does not keep, 1 in those that follow its width."""
        rows = [(row or (submodel.width,) * self.space.kept_layers(submodel)) for row in (submodel.heads, submodel.ffn)]
        pairs = iter(zip(*(self._free(rows)), strict=True))
        reach = [submodel.width, submodel.tokens]
        for stack, order in enumerate(self.keep_orders):
            kept = set(order[: nearest(submodel.depth_of(stack), len(order))])
            for layer in range(len(order)):
                reach += next(pairs) if layer in kept else (NONE, NONE)
        return tuple(reach)

    def submodel(self, extent: Extent) -> Submodel:
        """The submodel that reaches so far; the space need not hold it."""
        width, tokens, *shares = extent
        pairs, depths, rows = iter(zip(shares[::2], shares[1::2], strict=True)), [], []
        for order in self.keep_orders:
            kept = [pair for pair in (next(pairs) for _ in order) if pair[0]]
            depths.append(Fraction(len(kept), len(order)))
            rows += kept
        heads, ffn = zip(*rows, strict=True)
        return Submodel(
            width=width,
            depths=tuple(depths),
            heads=heads if self.space.layer_heads else (),
            ffn=ffn if self.space.layer_ffn else (),
            tokens=tokens,
        )

    def _free(self, rows: Sequence[Sequence[Fraction]]) -> list[Sequence[Fraction]]:
        """The rows of heads and of FFN units as they are where layers choose them, else ones."""
        choices = (self.space.layer_heads, self.space.layer_ffn)
        return [row if free else (ONE,) * len(row) for row, free in zip(rows, choices, strict=True)]
