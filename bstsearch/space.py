"""Which submodels exist: exact shares of the full model, their ids, and sets of them (no torch)."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from bstsearch.errors import InputError, UsageError
from bstsearch.reading import Count, checked, shown

ONE = Fraction(1)
LAYERS = 1000  # of all stacks together; the deepest published Transformers have about as many
Shares = Annotated[tuple[Fraction, ...], Meta(max_length=100)]
DIGITS = "0123456789abcdeghjkmnpqrstuvwxyz"  # of an id's rows: without f and o, which end them, and i and l
_ID = re.compile(
    r"w([0-9of]+)-d([0-9.of]+)(?:-h([0-9a-z.]+of[0-9]+))?(?:-f([0-9a-z.]+of[0-9]+))?(?:-t([0-9of]+))?"
    r"(?:-(int8|float16))?"
)
Precision = Literal["int8", "float16", "float32"]
FLOAT32: Final = "float32"
PRECISIONS: tuple[Precision, ...] = ("int8", "float16", FLOAT32)  # by the bits of a weight


@dataclass(frozen=True, kw_only=True)
class Submodel:
    """One submodel, as exact fractions of the full model.

    `width` scales the residual stream, and with it heads and FFN units; `depth` is the share of each stack's layers
    that is kept. `depths`, where stacks differ, holds one share per stack, and `depth` is the largest of them. `heads`
    and `ffn`, where given, hold one fraction per kept layer (stacks in order) and replace `width` there. `tokens` is
    the share of the image's tokens that the Transformer sees. Widths are Fractions, as in BST (Yu et al., section III).
    `precision` is what it computes in, once it is an ONNX file; it needs no training.

    >>> Submodel(width=Fraction(1, 2), depth=Fraction(1, 3)).id
    'w1of2-d1of3'
    >>> Submodel.from_id("w1-d1of2-f31of4").ffn
    (Fraction(3, 4), Fraction(1, 4))
    >>> Submodel(width=Fraction(1, 2), precision="int8").id
    'w1of2-d1-int8'
    """

    width: Fraction = ONE
    depth: Fraction = ONE
    depths: tuple[Fraction, ...] = ()
    heads: tuple[Fraction, ...] = ()
    ffn: tuple[Fraction, ...] = ()
    tokens: Fraction = ONE
    precision: Precision = FLOAT32

    def __post_init__(self) -> None:
        # One submodel, one id: what all stacks or layers share is written as none of their own.
        if self.depths:
            object.__setattr__(self, "depth", max(self.depths))
        for name, shared in (("depths", self.depth), ("heads", self.width), ("ffn", self.width)):
            if set(getattr(self, name)) == {shared}:
                object.__setattr__(self, name, ())
        for share in (self.width, self.depth, self.tokens, *self.depths, *self.heads, *self.ffn):
            if not 0 < share.numerator <= share.denominator:
                raise UsageError(f"a width or depth lies in (0, 1], not {share}")

    @property
    def id(self) -> str:
        """The stable, file-safe name of this submodel: short, and it can be read back without a space."""
        text = f"w{_fraction_text(self.width)}-d{_row_text(self.depths) if self.depths else _fraction_text(self.depth)}"
        for letter, row in (("h", self.heads), ("f", self.ffn)):
            if row:
                text += f"-{letter}{_dense_text(row)}"
        text = text if self.tokens == ONE else f"{text}-t{_fraction_text(self.tokens)}"
        return text if self.precision == FLOAT32 else f"{text}-{self.precision}"

    @classmethod
    def from_id(cls, text: str) -> Submodel:
        """The submodel that `text` names; UsageError where it names none.

        In ids of versions before 0.2 dots stand between the layers: "h1.2of2" for "h12of2".
        """
        match = _ID.fullmatch(text)
        try:
            if match is None:
                raise ValueError
            width, depth, heads, ffn, tokens, precision = match.groups()
            is_uniform = "." not in depth
            submodel = cls(
                width=_fraction_from(width),
                depth=_fraction_from(depth) if is_uniform else ONE,
                depths=() if is_uniform else _row_from(depth),
                heads=_dense_from(heads),
                ffn=_dense_from(ffn),
                tokens=_fraction_from(tokens or "1"),
                precision=next((one for one in PRECISIONS if one == precision), FLOAT32),
            )
        except (ValueError, ZeroDivisionError, UsageError):
            raise UsageError(f"{shown(text)} is not a submodel id; ids look like 'w1of2-d1of3' or 'w1-d1'") from None
        if submodel.id != text and ("." not in text or not submodel._is_dotted(text)):
            raise UsageError(f"{shown(text)} is not in lowest terms; write {shown(submodel.id)}")
        return submodel

    def _is_dotted(self, text: str) -> bool:
        rows = "".join(f"-{letter}{_row_text(row)}" for letter, row in (("h", self.heads), ("f", self.ffn)) if row)
        return text == f"w{_fraction_text(self.width)}-d{_fraction_text(self.depth)}{rows}"

    def at(self, precision: Precision) -> Submodel:
        """The same submodel, which computes in that precision."""
        return self if precision == self.precision else dataclasses.replace(self, precision=precision)

    def depth_of(self, stack: int) -> Fraction:
        """The share of the layers of that stack, counted from 0, that is kept."""
        return self.depths[stack] if self.depths else self.depth


@dataclass(frozen=True, kw_only=True)
class Space:
    """A set of submodels of a model whose stacks have `stacks` layers each; the full model may be outside.

    `least_depths` holds for each width the smallest depth that it goes with (none: the smallest of all). By BST's
    triangle filter ("thin and deep", section III-C) the i-th smallest width goes only with the depths from the i-th
    smallest on: ten of sixteen for four widths and four depths. With `has_own_depths` each stack chooses its depth.
    `layer_heads` and `layer_ffn`, where given, let every kept layer choose for itself. `tokens` are the shares of the
    image's tokens. Each submodel is there once for each of the `precisions`, which are kept in the order of their bits.
    A depth is a whole number of layers of each stack; with `has_nearest_depths`, the nearest one (`nearest`).

    >>> space = Space.bst(stacks=(6, 6))
    >>> len(space), space.smallest.id, space.largest.id
    (10, 'w1of4-d1of6', 'w1-d1')
    """

    widths: Shares
    depths: Shares
    stacks: Annotated[tuple[Count, ...], Meta(max_length=LAYERS)]
    least_depths: Shares = ()
    has_own_depths: bool = False
    layer_heads: Shares = ()
    layer_ffn: Shares = ()
    tokens: Shares = (ONE,)
    precisions: tuple[Precision, ...] = (FLOAT32,)
    has_nearest_depths: bool = False

    def __post_init__(self) -> None:
        for name in ("widths", "depths", "layer_heads", "layer_ffn", "tokens"):
            shares = getattr(self, name)
            if list(shares) != sorted(set(shares)) or any(not 0 < share <= 1 for share in shares):
                raise InputError(
                    f"space.{name} must be distinct fractions in (0, 1] in rising order, not {shown(shares)}"
                )
            if not shares and not name.startswith("layer_"):
                raise InputError(f"space.{name} must hold at least one share")
        if not self.precisions or len({*self.precisions} & {*PRECISIONS}) < len(self.precisions):
            raise InputError(f"space.precisions must be one or more of {', '.join(PRECISIONS)}, each once")
        object.__setattr__(self, "precisions", tuple(sorted(self.precisions, key=PRECISIONS.index)))
        if not self.least_depths:
            object.__setattr__(self, "least_depths", self.depths[:1] * len(self.widths))
        if len(self.least_depths) != len(self.widths) or not set(self.least_depths) <= set(self.depths):
            raise InputError(
                f"space.least_depths must be one of space.depths for each width, not {shown(self.least_depths)}"
            )
        if not self.stacks or min(self.stacks) < 1 or sum(self.stacks) > LAYERS:
            expected = f"layer counts of at least 1, {LAYERS} together at most"
            raise InputError(f"space.stacks must be {expected}, not {shown(self.stacks)}")
        for depth, layers in itertools.product(self.depths, self.stacks):
            if (depth * layers).denominator != 1 and not self.has_nearest_depths:
                raise InputError(f"depth {depth} of {layers} layers is not a whole number of layers")

    @classmethod
    def bst(cls, *, stacks: tuple[int, ...], has_triangle_filter: bool = True) -> Space:
        """BST's space: widths 1/4, 1/2, 3/4, 1; depths 1/6, 1/3, 2/3, 1 where they fit, else quarters."""
        sixths = tuple(Fraction(n, 6) for n in (1, 2, 4, 6))
        quarters = tuple(Fraction(n, 4) for n in (1, 2, 3, 4))
        depths = sixths if all(layers % 6 == 0 for layers in stacks) else quarters
        least = triangle(quarters, depths) if has_triangle_filter else ()
        return cls(widths=quarters, depths=depths, stacks=stacks, least_depths=least)

    def kept_layers(self, submodel: Submodel) -> int:
        """How many layers, all stacks together, `submodel` keeps."""
        return sum(nearest(submodel.depth_of(stack), layers) for stack, layers in enumerate(self.stacks))

    def depths_of(self, width: Fraction) -> Shares:
        """The depths that go with one of the widths."""
        least = self.least_depths[self.widths.index(width)]
        return tuple(depth for depth in self.depths if depth >= least)

    def cells(self) -> Iterator[Submodel]:
        """One submodel for each width and depth that go together, width-major, smallest first.

        Its stacks have one depth, its layers follow its width, and it sees as many tokens as there may be, in the
        precision of most bits.
        """
        for width in self.widths:
            for depth in self.depths_of(width):
                yield Submodel(width=width, depth=depth, tokens=self.tokens[-1], precision=self.precisions[-1])

    def grid(self) -> Iterator[Submodel]:
        """The cells that are submodels of this space: layers may be free to take any share but the width."""
        return (cell for cell in self.cells() if cell in self)

    def __iter__(self) -> Iterator[Submodel]:
        """Every submodel once; of an elastic space there may be very many, so look at `size` first."""
        for width, tokens, precision in itertools.product(self.widths, self.tokens, self.precisions):
            for depths in self._depth_rows(width):
                layers = self.kept_layers(Submodel(depths=depths))
                for heads, ffn in itertools.product(
                    *(_rows(row, layers) for row in (self.layer_heads, self.layer_ffn))
                ):
                    yield Submodel(width=width, depths=depths, heads=heads, ffn=ffn, tokens=tokens, precision=precision)

    def __len__(self) -> int:
        return self.size

    @property
    def size(self) -> int:
        """How many submodels there are, also where `len` fails: it stops at sys.maxsize."""
        choices = max(1, len(self.layer_heads)) * max(1, len(self.layer_ffn))
        return len(self.precisions) * len(self.tokens) * sum(self._choices_of(width, choices) for width in self.widths)

    def __contains__(self, submodel: object) -> bool:
        if not isinstance(submodel, Submodel) or submodel.width not in self.widths:
            return False
        if submodel.tokens not in self.tokens or len(submodel.depths) not in (0, len(self.stacks)):
            return False
        if submodel.precision not in self.precisions:
            return False
        if submodel.depths and not self.has_own_depths:
            return False
        if not {submodel.depth, *submodel.depths} <= set(self.depths_of(submodel.width)):
            return False
        layers = self.kept_layers(submodel)
        rows = ((submodel.heads, self.layer_heads), (submodel.ffn, self.layer_ffn))
        return all(_row_fits(row, submodel.width, choices, layers) for row, choices in rows)

    def holds(self, part: Space) -> bool:
        """Whether every submodel of `part` is one of this space."""
        if part.stacks != self.stacks or not (part._has_one_depth or self.has_own_depths or not part.has_own_depths):
            return False
        if not (set(part.widths) <= set(self.widths) and set(part.tokens) <= set(self.tokens)):
            return False
        if not set(part.precisions) <= set(self.precisions):
            return False
        if any(not set(part.depths_of(width)) <= set(self.depths_of(width)) for width in part.widths):
            return False
        rows = ((self.layer_heads, part.layer_heads), (self.layer_ffn, part.layer_ffn))
        return all(_choices_hold(ours, theirs, part.widths) for ours, theirs in rows)

    @property
    def is_elastic(self) -> bool:
        """Whether stacks or layers choose for themselves, or the number of tokens is free."""
        return bool(self.layer_heads or self.layer_ffn or self.has_own_depths or len(self.tokens) > 1)

    @property
    def is_layerwise(self) -> bool:
        """Whether layers choose their own heads or FFN units."""
        return bool(self.layer_heads or self.layer_ffn)

    @property
    def layerwise(self) -> Space:
        """This space with every layer free to take any of the widths as its share of heads and of FFN units."""
        return dataclasses.replace(self, layer_heads=self.widths, layer_ffn=self.widths)

    @property
    def unfiltered(self) -> Space:
        """This space with every width free to go with every depth."""
        return dataclasses.replace(self, least_depths=())

    @property
    def uniform(self) -> Space:
        """The part of this space that BST's paper has: stacks of one depth, layers that follow the width."""
        return dataclasses.replace(self, has_own_depths=False, layer_heads=(), layer_ffn=(), tokens=self.tokens[-1:])

    @property
    def elastic(self) -> Space:
        """This space with every stack free in its depth, and every layer in its shares of heads and of FFN units."""
        return dataclasses.replace(self.layerwise, has_own_depths=len(self.stacks) > 1)

    @property
    def smallest(self) -> Submodel:
        """Smallest in every direction."""
        return self._corner(self.widths[0], self.least_depths[0], 0)

    @property
    def largest(self) -> Submodel:
        """Largest in every direction; the full model, where that is in the space."""
        return self._corner(self.widths[-1], self.depths[-1], -1)

    @property
    def middle(self) -> Submodel:
        """The submodel at the middle of the order of the cells, its layers at the middle of their choices."""
        cells = list(self.cells())
        cell = cells[len(cells) // 2]
        return self._corner(cell.width, cell.depth, None)

    @property
    def _has_one_depth(self) -> bool:
        return len(self.stacks) == 1 or all(len(self.depths_of(width)) == 1 for width in self.widths)

    def _corner(self, width: Fraction, depth: Fraction, index: int | None) -> Submodel:
        """The submodel of that width and depth with the choice at `index` (None: the middle one) everywhere else."""
        layers = self.kept_layers(Submodel(depth=depth))

        def row(choices: Shares) -> Shares:
            place = len(choices) // 2 if index is None else index
            return choices[place:][:1] * layers

        tokens = self.tokens[len(self.tokens) // 2 if index is None else index]
        precision = self.precisions[len(self.precisions) // 2 if index is None else index]
        return Submodel(
            width=width,
            depth=depth,
            heads=row(self.layer_heads),
            ffn=row(self.layer_ffn),
            tokens=tokens,
            precision=precision,
        )

    def _depth_rows(self, width: Fraction) -> Iterator[Shares]:
        """The depths of all stacks that go with one of the widths."""
        depths = self.depths_of(width)
        if self.has_own_depths:
            yield from itertools.product(depths, repeat=len(self.stacks))
        else:
            yield from ((depth,) * len(self.stacks) for depth in depths)

    def _choices_of(self, width: Fraction, choices: int) -> int:
        """How many submodels there are of one width and one number of tokens."""
        by_stack = [[choices ** nearest(depth, layers) for depth in self.depths_of(width)] for layers in self.stacks]
        if self.has_own_depths:
            return math.prod(map(sum, by_stack))
        return sum(map(math.prod, zip(*by_stack, strict=True)))

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` reads it back. What versions before 0.2 lack is told where it is not as usual."""
        data = {field.name: _plain(getattr(self, field.name)) for field in dataclasses.fields(self)}
        usual = {"precisions": [FLOAT32], "has_nearest_depths": False}
        return {name: value for name, value in data.items() if name not in usual or value != usual[name]}

    @classmethod
    def from_json(cls, data: object) -> Space:
        """The space written by `to_json`; InputError where a key is unknown, missing or malformed.

        Versions before 0.2 wrote "has_triangle_filter" in place of "least_depths".
        """
        if not isinstance(data, dict) or "has_triangle_filter" not in data:
            return checked(data, cls, "space")
        has_filter = checked(data["has_triangle_filter"], bool, "space.has_triangle_filter")
        space = checked({key: value for key, value in data.items() if key != "has_triangle_filter"}, cls, "space")
        least = triangle(space.widths, space.depths) if has_filter else ()
        return dataclasses.replace(space, least_depths=least)


def nearest(share: Fraction, count: int) -> int:
    """The whole number of `count` things that comes nearest to that share, one at the least; halves are rounded up.

    >>> [nearest(Fraction(1, 2), layers) for layers in (12, 9, 5, 1)], nearest(Fraction(1, 4), 1)
    ([6, 5, 3, 1], 1)
    """
    return max(1, math.floor(share * count + Fraction(1, 2)))


def triangle(widths: Shares, depths: Shares) -> Shares:
    """For each width the smallest depth by BST's triangle filter.

    Where the two lists differ in length, positions are compared as shares of their list.

    >>> [str(depth) for depth in triangle((Fraction(1, 2), ONE), (Fraction(1, 3), Fraction(2, 3), ONE))]
    ['1/3', '1']
    """
    rows, columns = len(widths) - 1, len(depths) - 1
    return tuple(next(depth for j, depth in enumerate(depths) if j * rows >= i * columns) for i in range(len(widths)))


def _rows(choices: Shares, layers: int) -> Iterable[Shares]:
    return itertools.product(choices, repeat=layers) if choices else [()]


def _plain(value: object) -> object:
    """A field of a space as JSON has it."""
    return [str(one) if isinstance(one, Fraction) else one for one in value] if isinstance(value, tuple) else value


def _row_fits(row: Sequence[Fraction], width: Fraction, choices: Sequence[Fraction], layers: int) -> bool:
    if not row:  # every layer follows the width
        return not choices or width in choices
    return len(row) == layers and set(row) <= set(choices)


def _choices_hold(ours: Shares, theirs: Shares, widths: Shares) -> bool:
    """Whether layers that choose among `theirs` (none: they follow the width) can do so among `ours`."""
    if ours:
        return set(theirs or widths) <= set(ours)
    return all(set(theirs) <= {width} for width in widths)


def _fraction_text(share: Fraction) -> str:
    return str(share).replace("/", "of")


def _fraction_from(text: str) -> Fraction:
    return Fraction(text.replace("of", "/"))


def _numerators(row: Sequence[Fraction]) -> tuple[list[int], int]:
    scale = math.lcm(*(share.denominator for share in row))
    return [share.numerator * (scale // share.denominator) for share in row], scale


def _row_text(row: Sequence[Fraction]) -> str:
    numerators, scale = _numerators(row)
    return f"{'.'.join(map(str, numerators))}of{scale}"


def _row_from(text: str) -> Shares:
    numerators, _, scale = text.partition("of")
    each = {numerator: Fraction(int(numerator), int(scale)) for numerator in set(numerators.split("."))}
    return tuple(each[numerator] for numerator in numerators.split("."))


def _dense_text(row: Sequence[Fraction]) -> str:
    """A row with one digit per layer, where the numerators are digits."""
    numerators, scale = _numerators(row)
    return f"{''.join(DIGITS[one] for one in numerators)}of{scale}" if scale < len(DIGITS) else _row_text(row)


def _dense_from(text: str | None) -> Shares:
    if text is None:
        return ()
    numerators, _, scale = text.partition("of")
    if "." in numerators or int(scale) >= len(DIGITS):
        return _row_from(text)
    each = {digit: Fraction(DIGITS.index(digit), int(scale)) for digit in set(numerators)}
    return tuple(each[digit] for digit in numerators)
