"""The costs of submodels as exact sums over their layers, in microseconds each (no torch).

A layer's cost is a sum of products of sizes, and no product is of both its heads and its FFN units: at one width, and
one number of tokens, it grows linearly with each of them by itself. So three costs of a layer tell all of them.
`composing` counts those, and passes a family only whose models are such sums.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from bstsearch.errors import InputError
from bstsearch.model.cost import Amounts, Cost
from bstsearch.reading import Whole
from bstsearch.space import Shares, Space, Submodel, nearest

Ratio = tuple[int, int]  # a share as numerator and denominator, which hash faster than a Fraction
Layer = tuple[int, Ratio, Ratio]  # its kind, and its shares of heads and of FFN units


@dataclasses.dataclass(frozen=True, kw_only=True)
class StackKinds:
    """One stack: the order in which its layers are kept, and each layer's kind. Layers of a kind cost the same."""

    keep_order: tuple[Whole, ...]
    kinds: tuple[Whole, ...]

    def __post_init__(self) -> None:
        if sorted(self.keep_order) != list(range(len(self.kinds))):
            raise InputError("keep_order must name each layer once")

    def kept(self, share: Fraction, *, is_nearest: bool) -> tuple[int, ...] | None:
        """The kinds of the layers that are kept, in running order; None where they are no whole number."""
        is_whole = (share * len(self.kinds)).denominator == 1
        return self._kept[nearest(share, len(self.kinds))] if is_whole or is_nearest else None

    @functools.cached_property
    def _kept(self) -> list[tuple[int, ...]]:
        counts = range(len(self.kinds) + 1)
        return [tuple(self.kinds[layer] for layer in sorted(self.keep_order[:count])) for count in counts]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """What submodels of one width and one number of tokens are made of.

    `base` is all outside their layers. `kinds` holds three costs for each kind of layer: with the fewest heads and FFN
    units that it may have, with the most heads, and with the most FFN units.
    """

    width: Fraction
    tokens: Fraction
    base: Amounts
    kinds: tuple[tuple[Amounts, Amounts, Amounts], ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerCosts:
    """The costs of every submodel of `space`, which `cells` hold once for each width and number of tokens."""

    space: Space
    stacks: tuple[StackKinds, ...]
    cells: tuple[Cell, ...]

    def __post_init__(self) -> None:
        kinds = {kind for stack in self.stacks for kind in stack.kinds}
        if any(len(cell.kinds) <= max(kinds) for cell in self.cells) or len(self.stacks) != len(self.space.stacks):
            raise InputError("layer costs: not of the stacks that they name")

    def cost(self, submodel: Submodel) -> Cost | None:
        """The sum over the submodel's layers and the rest; None where that is not known of it, or it is none."""
        width, tokens = submodel.width.as_integer_ratio(), submodel.tokens.as_integer_ratio()
        cell, kinds = self._cells.get((width, tokens)), self._kinds(submodel)
        if cell is None or kinds is None or {len(submodel.heads), len(submodel.ffn)} - {0, len(kinds)}:
            return None
        heads, ffn = (
            map(Fraction.as_integer_ratio, row) if row else itertools.repeat(width)
            for row in (submodel.heads, submodel.ffn)
        )
        base, layers = cell
        try:
            found = [layers[layer] for layer in zip(kinds, heads, ffn)]  # noqa: B905  # a repetition has no end
        except KeyError:
            return None
        return Cost.of(map(sum, zip(base, *found, strict=True)))

    def to_json(self) -> dict[str, Any]:
        """Plain data, which `reading.checked` reads back."""
        return {
            "space": self.space.to_json(),
            "stacks": [dataclasses.asdict(stack) for stack in self.stacks],
            "cells": [
                {**dataclasses.asdict(cell), "width": str(cell.width), "tokens": str(cell.tokens)}
                for cell in self.cells
            ],
        }

    def _kinds(self, submodel: Submodel) -> list[int] | None:
        """The kinds of its layers, in running order."""
        if submodel.depths and not (self.space.has_own_depths and len(submodel.depths) == len(self.stacks)):
            return None
        kinds, is_nearest = list[int](), self.space.has_nearest_depths
        for index, stack in enumerate(self.stacks):
            if (kept := stack.kept(submodel.depth_of(index), is_nearest=is_nearest)) is None:
                return None
            kinds += kept
        return kinds

    @functools.cached_property
    def _cells(self) -> Mapping[tuple[Ratio, Ratio], tuple[Amounts, Mapping[Layer, Amounts]]]:
        return {
            (cell.width.as_integer_ratio(), cell.tokens.as_integer_ratio()): (cell.base, dict(self._layers(cell)))
            for cell in self.cells
        }

    def _layers(self, cell: Cell) -> Iterator[tuple[Layer, Amounts]]:
        """Every layer of the cell with its cost, where that is a whole number."""
        rows = choices(self.space, cell.width)
        for (kind, corners), heads, ffn in itertools.product(enumerate(cell.kinds), *rows):
            places = [_place(share, row) for share, row in zip((heads, ffn), rows, strict=True)]
            amounts = [_between(*corner, *places) for corner in zip(*corners, strict=True)]
            if all(amount.denominator == 1 for amount in amounts):
                layer = kind, heads.as_integer_ratio(), ffn.as_integer_ratio()
                yield layer, tuple(map(int, amounts))  # type: ignore[misc]  # three, as there were


def choices(space: Space, width: Fraction) -> tuple[Shares, Shares]:
    """The shares of heads, and those of FFN units, that layers of that width may have, in rising order."""
    heads, ffn = (tuple(sorted({*row, width})) for row in (space.layer_heads, space.layer_ffn))
    return heads, ffn


def _place(share: Fraction, row: Sequence[Fraction]) -> Fraction:
    """How far `share` is on the way from the first to the last of `row`."""
    return (share - row[0]) / (row[-1] - row[0]) if row[-1] > row[0] else Fraction(0)


def _between(least: int, most_heads: int, most_ffn: int, heads: Fraction, ffn: Fraction) -> Fraction:
    return least + heads * (most_heads - least) + ffn * (most_ffn - least)
