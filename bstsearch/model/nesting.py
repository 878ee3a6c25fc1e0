"""Which submodels lie within which: no larger in any direction, layer by layer of the full model (no torch)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from bstsearch.space import Submodel

KeepOrders = Sequence[Sequence[int]]  # of each stack: its layers, the one kept longest first
Extent = tuple[Fraction, ...]
NONE = Fraction(0)


def extent(submodel: Submodel, keep_orders: KeepOrders) -> Extent:
    """How far `submodel` reaches in each direction: width, tokens, then each layer's shares of heads and FFN units.

    Both are 0 of a layer that is not kept.

    >>> half = Submodel(width=Fraction(1, 2), depth=Fraction(1, 2))
    >>> [str(share) for share in extent(half, [(1, 0)])]
    ['1/2', '1', '0', '0', '1/2', '1/2']
    """
    reach, place = [submodel.width, submodel.tokens], 0
    for stack, order in enumerate(keep_orders):
        kept = set(order[: int(submodel.depth_of(stack) * len(order))])
        for layer in range(len(order)):
            rows = (submodel.heads, submodel.ffn)
            reach += [row[place] if row else submodel.width for row in rows] if layer in kept else [NONE, NONE]
            place += layer in kept
    return tuple(reach)


def is_within(smaller: Extent, larger: Extent) -> bool:
    """Whether one is no larger than the other in any direction."""
    return all(mine <= other for mine, other in zip(smaller, larger, strict=True))


def of_extent(reach: Extent, keep_orders: KeepOrders) -> Submodel:
    """The submodel that reaches so far; it keeps the layers whose shares are not 0."""
    width, tokens, *shares = reach
    pairs, depths, rows = iter(zip(shares[::2], shares[1::2], strict=True)), [], []
    for order in keep_orders:
        kept = [pair for pair in (next(pairs) for _ in order) if pair[0]]
        depths.append(Fraction(len(kept), len(order)))
        rows += kept
    heads, ffn = zip(*rows, strict=True)
    return Submodel(width=width, depths=tuple(depths), heads=heads, ffn=ffn, tokens=tokens)


def overlap(one: Extent, other: Extent) -> Extent:
    """What lies within both."""
    return tuple(map(min, one, other))


def union(one: Extent, other: Extent) -> Extent:
    """The least that both lie within."""
    return tuple(map(max, one, other))
