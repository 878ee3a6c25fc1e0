"""A space as choices: rows of whole numbers that are drawn, crossed and changed by thousands (no torch)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bstsearch.space import FLOAT32, Precision, Space, Submodel, nearest

Array = NDArray[np.float64]
Rows = NDArray[np.int64]  # N submodels, C choices: the places of what is chosen among its options

WIDTH, DEPTH, HEADS, FFN, TOKENS, PRECISION = "width", "depth", "heads", "ffn", "tokens", "precision"
BITS: dict[Precision, Fraction] = {"int8": Fraction(1, 4), "float16": Fraction(1, 2), FLOAT32: Fraction(1)}  # of 32
OF_BITS = {share: precision for precision, share in BITS.items()}
STEPS = 0.75  # of all changes go one option up or down, the rest anywhere


@dataclass(frozen=True)
class Choice:
    """What is chosen among which shares, in rising order; `stack` and `layer` where it is for one of them."""

    kind: str
    options: tuple[Fraction, ...]
    stack: int | None = None
    layer: int | None = None

    @property
    def name(self) -> str:
        """A name that no other choice of the space has."""
        return "_".join(str(part) for part in (self.kind, self.stack, self.layer) if part is not None)


class Choices:
    """A space as choices. A row makes all of them; those for layers that its submodel does not keep are 0.

    A submodel's layers are taken for its stack's first and last ones, as `kept_places` has them, so that a choice means
    the same layer at most depths.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self.all = tuple(_choices(space))
        self._sizes = np.array([len(one.options) for one in self.all])
        self._values = np.zeros((len(self.all), int(self._sizes.max())))
        for place, one in enumerate(self.all):
            self._values[place, : len(one.options)] = [float(share) for share in one.options]
        self._columns = {kind: self._places(kind) for kind in (DEPTH, HEADS, FFN, TOKENS, PRECISION)}
        self._settled_widths = np.array(
            [[_settled(space, depth, width) for width in space.widths] for depth in space.depths]
        )
        self._least = np.array([space.depths.index(depth) for depth in space.least_depths])
        self._kept = []  # for each stack, for each depth, which of its layers are kept
        for layers in space.stacks:
            kept = [kept_places(nearest(depth, layers), layers) for depth in space.depths]
            self._kept.append(np.array([[layer in places for layer in range(layers)] for places in kept]))

    def row(self, submodel: Submodel) -> Rows:
        """The choices, C of them, that make a submodel of the space."""
        found = {(kind, stack, layer): share for kind, stack, layer, share in _shares(submodel, self._space.stacks)}
        row = np.zeros(len(self.all), dtype=np.int64)
        for place, one in enumerate(self.all):
            share = found.get((one.kind, one.stack or 0, one.layer or 0))
            row[place] = 0 if share is None else one.options.index(share)
        return row

    def submodels(self, rows: Rows) -> list[Submodel]:
        """The submodels that settled rows make."""
        is_kept_NC = self.is_kept(rows).tolist()
        return [self._submodel(row, is_kept) for row, is_kept in zip(rows.tolist(), is_kept_NC, strict=True)]

    def shares(self, rows: Rows) -> Array:
        """As the function `shares`, of each row."""
        values_NC = self._values[np.arange(len(self.all)), rows]
        depths_NS = values_NC[:, self._columns[DEPTH]]
        width_N1, is_kept_NL = values_NC[:, :1], self._kept_layers(rows)
        layers = [
            np.where(is_kept_NL, values_NC[:, self._columns[kind]] if len(self._columns[kind]) else width_N1, 0.0)
            for kind in (HEADS, FFN)
        ]
        tokens_N1 = values_NC[:, self._columns[TOKENS]]
        if not tokens_N1.shape[1]:
            tokens_N1 = np.full((len(rows), 1), float(self._space.tokens[0]))
        depths_NS = np.broadcast_to(depths_NS, (len(rows), len(self._space.stacks)))
        others = [rows[:, self._columns[PRECISION]] == place for place in range(len(self._space.precisions) - 1)]
        return np.hstack([width_N1, tokens_N1, depths_NS, *layers, *others])

    def is_kept(self, rows: Rows) -> NDArray[np.bool_]:
        """Which choices matter: all but those for layers that a row's submodel does not keep."""
        is_kept_NC, layers_NL = np.ones(rows.shape, dtype=bool), self._kept_layers(rows)
        for kind in (HEADS, FFN):
            if len(self._columns[kind]):
                is_kept_NC[:, self._columns[kind]] = layers_NL
        return is_kept_NC

    def settled(self, rows: Rows) -> Rows:
        """`rows`, thinner where their width does not go with their depths, deeper where no width does."""
        rows, places = rows.copy(), self._columns[DEPTH]
        rows[:, 0] = self._settled_widths[rows[:, places].min(axis=1), rows[:, 0]]
        rows[:, places] = np.maximum(rows[:, places], self._least[rows[:, 0]][:, None])
        return np.where(self.is_kept(rows), rows, 0)

    def drawn(self, draw: np.random.Generator, count: int) -> Rows:
        """`count` rows at random, each around a size of its own, so that there are small and large ones."""
        size_N1, noise_NC = draw.random((count, 1)), draw.normal(0, 0.35, (count, len(self.all)))
        places_NC = np.clip(size_N1 + noise_NC, 0, 1 - 1e-9) * self._sizes
        return self.settled(places_NC.astype(np.int64))

    def crossed(self, draw: np.random.Generator, one: Rows, other: Rows) -> Rows:
        """Of each two rows beside each other, either one's choices."""
        one, other = self._filled(draw, one), self._filled(draw, other)
        return np.where(draw.random(one.shape) < 0.5, one, other)

    def changed(self, draw: np.random.Generator, rows: Rows, changes: float) -> Rows:
        """`rows` with about so many of the choices that matter changed, most by one option."""
        rows = self._filled(draw, rows)
        chance_N1 = changes / self.is_kept(rows).sum(axis=1, keepdims=True)
        stepped = np.clip(rows + draw.choice((-1, 1), rows.shape), 0, self._sizes - 1)
        anew = np.where(draw.random(rows.shape) < STEPS, stepped, draw.integers(0, self._sizes, rows.shape))
        return self.settled(np.where(draw.random(rows.shape) < chance_N1, anew, rows))

    def descent(self, draw: np.random.Generator, row: Rows) -> Rows:
        """From `row` to the smallest submodel, one choice one option smaller at a time, in random order."""
        steps = draw.permutation(np.repeat(np.arange(len(row)), row))
        path = np.repeat(row[None], len(steps) + 1, axis=0)
        for number, place in enumerate(steps.tolist()):
            path[number + 1 :, place] -= 1
        return self.settled(path)

    def grown(self, row: Rows) -> Rows:
        """All that have one choice one option larger than `row`."""
        taller = np.flatnonzero(row + 1 < self._sizes)
        rows = np.repeat(row[None], len(taller), axis=0)
        rows[np.arange(len(taller)), taller] += 1
        return self.settled(rows)

    def _submodel(self, row: list[int], is_kept: list[bool]) -> Submodel:
        chosen: dict[str, list[Fraction]] = {WIDTH: [], DEPTH: [], HEADS: [], FFN: [], TOKENS: [], PRECISION: []}
        for one, place, matters in zip(self.all, row, is_kept, strict=True):
            if matters:
                chosen[one.kind].append(one.options[place])
        depths = chosen[DEPTH]
        return Submodel(
            width=chosen[WIDTH][0],
            depth=depths[0],
            depths=tuple(depths) if len(depths) > 1 else (),
            heads=tuple(chosen[HEADS]),
            ffn=tuple(chosen[FFN]),
            tokens=(chosen[TOKENS] or self._space.tokens)[0],
            precision=OF_BITS[chosen[PRECISION][0]] if chosen[PRECISION] else self._space.precisions[0],
        )

    def _places(self, kind: str) -> Rows:
        return np.array([place for place, one in enumerate(self.all) if one.kind == kind], dtype=np.int64)

    def _kept_layers(self, rows: Rows) -> NDArray[np.bool_]:
        depths = rows[:, self._columns[DEPTH]]
        return np.hstack([kept[depths[:, min(stack, depths.shape[1] - 1)]] for stack, kept in enumerate(self._kept)])

    def _filled(self, draw: np.random.Generator, rows: Rows) -> Rows:
        """`rows` with random choices for the layers that they do not keep, which their children may."""
        return np.where(self.is_kept(rows), rows, draw.integers(0, self._sizes, rows.shape))


def kept_places(count: int, layers: int) -> list[int]:
    """Where `count` kept layers of `layers` stand: the first half at the start, the rest at the end.

    Families keep the ends of a stack longest; where one does not, a layer is only called by another's name.

    >>> kept_places(3, 6)
    [0, 1, 5]
    """
    return [*range((count + 1) // 2), *range(layers - count // 2, layers)]


def shares(submodel: Submodel, stacks: Sequence[int], precisions: Sequence[Precision] = (FLOAT32,)) -> list[float]:
    """The submodel in numbers: width, tokens, the depth of each stack, each layer's heads, each layer's FFN units.

    Layers that are not kept have 0 of both. At the end, for each of the space's `precisions` but the last, is 1 where
    it is the submodel's, else 0.
    """
    found = {(kind, stack, layer): share for kind, stack, layer, share in _shares(submodel, stacks)}
    layers = [(stack, layer) for stack, count in enumerate(stacks) for layer in range(count)]
    keys = [(WIDTH, 0, 0), (TOKENS, 0, 0), *((DEPTH, stack, 0) for stack in range(len(stacks)))]
    keys += [(kind, *layer) for kind in (HEADS, FFN) for layer in layers]
    return [float(found.get(key, 0)) for key in keys] + [float(submodel.precision == one) for one in precisions[:-1]]


def share_groups(stacks: Sequence[int], precisions: Sequence[Precision] = (FLOAT32,)) -> list[list[int]]:
    """The columns of `shares` that are of one kind, kind by kind."""
    ends = [0, 1, 2, *(2 + count for count in (len(stacks), len(stacks) + sum(stacks), len(stacks) + 2 * sum(stacks)))]
    ends += [ends[-1] + count for count in range(1, len(precisions))]
    return [list(range(start, end)) for start, end in pairwise(ends)]


def _choices(space: Space) -> Iterator[Choice]:
    yield Choice(WIDTH, space.widths)
    for stack in range(len(space.stacks)) if space.has_own_depths else (None,):
        yield Choice(DEPTH, space.depths, stack)
    for kind, options in ((HEADS, space.layer_heads), (FFN, space.layer_ffn)):
        for stack, layers in enumerate(space.stacks) if options else ():
            yield from (Choice(kind, options, stack, layer) for layer in range(layers))
    if len(space.tokens) > 1:
        yield Choice(TOKENS, space.tokens)
    if len(space.precisions) > 1:
        yield Choice(PRECISION, tuple(BITS[precision] for precision in space.precisions))


def _settled(space: Space, depth: Fraction, width: Fraction) -> int:
    """The place of the widest width up to `width` that goes with `depth`; the narrowest one's where none does."""
    fitting = [place for place, one in enumerate(space.widths) if one <= width and depth in space.depths_of(one)]
    return max(fitting, default=0)


def _shares(submodel: Submodel, stacks: Sequence[int]) -> Iterator[tuple[str, int, int, Fraction]]:
    """Kind, stack, layer and share of all that a submodel is made of."""
    yield WIDTH, 0, 0, submodel.width
    yield TOKENS, 0, 0, submodel.tokens
    yield PRECISION, 0, 0, BITS[submodel.precision]
    kept = [nearest(submodel.depth_of(stack), layers) for stack, layers in enumerate(stacks)]
    for stack in range(len(stacks)):
        yield DEPTH, stack, 0, submodel.depth_of(stack)
    layers = [(stack, place) for stack, count in enumerate(kept) for place in kept_places(count, stacks[stack])]
    for kind, row in ((HEADS, submodel.heads), (FFN, submodel.ffn)):
        for (stack, place), share in zip(layers, row or (submodel.width,) * len(layers), strict=True):
            yield kind, stack, place, share
