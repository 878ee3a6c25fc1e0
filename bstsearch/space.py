"""Which submodels exist: exact widths and depths, their ids, the triangle filter (no torch)."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any

from msgspec import Meta

from bstsearch.errors import InputError, UsageError
from bstsearch.reading import Count, checked, shown

ONE = Fraction(1)
LAYERS = 1000  # of all stacks together; the deepest published Transformers have about as many
Shares = Annotated[tuple[Fraction, ...], Meta(max_length=100)]
_ID = re.compile(r"w([0-9of]+)-d([0-9of]+)(?:-h([0-9.of]+))?(?:-f([0-9.of]+))?")


@dataclass(frozen=True, kw_only=True)
class Submodel:
    """One submodel, as exact fractions of the full model.

    `width` scales the residual stream, and with it heads and FFN units; `depth` is the share of each
    stack's layers that is kept. `heads` and `ffn`, where given, hold one fraction per kept layer (stacks
    in order) and replace `width` there. Widths are Fractions, as in BST (Yu et al., section III).

    >>> Submodel(width=Fraction(1, 2), depth=Fraction(1, 3)).id
    'w1of2-d1of3'
    >>> Submodel.from_id("w1-d1of2-f3.1of4").ffn
    (Fraction(3, 4), Fraction(1, 4))
    """

    width: Fraction = ONE
    depth: Fraction = ONE
    heads: tuple[Fraction, ...] = ()
    ffn: tuple[Fraction, ...] = ()

    def __post_init__(self) -> None:
        for share in (self.width, self.depth, *self.heads, *self.ffn):
            if not 0 < share.numerator <= share.denominator:
                raise UsageError(f"a width or depth lies in (0, 1], not {share}")
        for name in ("heads", "ffn"):
            # One submodel, one id: layers that all follow `width` are written as none at all.
            if set(getattr(self, name)) == {self.width}:
                object.__setattr__(self, name, ())

    @property
    def id(self) -> str:
        """The stable, file-safe name of this submodel."""
        text = f"w{_fraction_text(self.width)}-d{_fraction_text(self.depth)}"
        if self.heads:
            text += f"-h{_fractions_text(self.heads)}"
        if self.ffn:
            text += f"-f{_fractions_text(self.ffn)}"
        return text

    @classmethod
    def from_id(cls, text: str) -> Submodel:
        """The submodel that `text` names; UsageError where it names none."""
        match = _ID.fullmatch(text)
        try:
            if match is None:
                raise ValueError
            width, depth, heads, ffn = match.groups()
            submodel = cls(
                width=_fraction_from(width),
                depth=_fraction_from(depth),
                heads=_fractions_from(heads),
                ffn=_fractions_from(ffn),
            )
        except (ValueError, ZeroDivisionError, UsageError):
            raise UsageError(f"{shown(text)} is not a submodel id; ids look like 'w1of2-d1of3' or 'w1-d1'") from None
        if submodel.id != text:
            raise UsageError(f"{shown(text)} is not in lowest terms; write {shown(submodel.id)}")
        return submodel


@dataclass(frozen=True, kw_only=True)
class Space:
    """The set of allowed submodels of a model whose stacks have `stacks` layers each.

    With `has_triangle_filter` the i-th smallest width goes only with the depths from the i-th smallest
    on (BST's "thin and deep" rule, section III-C; ten of sixteen for four widths and four depths). Where
    the two lists differ in length, positions are compared as shares of their list.
    `layer_heads` and `layer_ffn`, where given, let every kept layer choose for itself.

    >>> space = Space.bst(stacks=(6, 6))
    >>> len(space), space.smallest.id, space.largest.id
    (10, 'w1of4-d1of6', 'w1-d1')
    """

    widths: Shares
    depths: Shares
    stacks: Annotated[tuple[Count, ...], Meta(max_length=LAYERS)]
    has_triangle_filter: bool = True
    layer_heads: Shares = ()
    layer_ffn: Shares = ()

    def __post_init__(self) -> None:
        for name in ("widths", "depths", "layer_heads", "layer_ffn"):
            shares = getattr(self, name)
            if list(shares) != sorted(set(shares)) or any(not 0 < share <= 1 for share in shares):
                raise InputError(
                    f"space.{name} must be distinct fractions in (0, 1] in rising order, not {shown(shares)}"
                )
            if shares and ONE not in shares:
                raise InputError(f"space.{name} must contain 1, the full model's share")
        if not self.widths or not self.depths:
            raise InputError("space.widths and space.depths must contain 1, the full model's share")
        if not self.stacks or min(self.stacks) < 1 or sum(self.stacks) > LAYERS:
            expected = f"layer counts of at least 1, {LAYERS} together at most"
            raise InputError(f"space.stacks must be {expected}, not {shown(self.stacks)}")
        for depth, layers in itertools.product(self.depths, self.stacks):
            if (depth * layers).denominator != 1:
                raise InputError(f"depth {depth} of {layers} layers is not a whole number of layers")

    @classmethod
    def bst(cls, *, stacks: tuple[int, ...], has_triangle_filter: bool = True) -> Space:
        """BST's space: widths 1/4, 1/2, 3/4, 1; depths 1/6, 1/3, 2/3, 1 where they fit, else quarters."""
        sixths = tuple(Fraction(n, 6) for n in (1, 2, 4, 6))
        quarters = tuple(Fraction(n, 4) for n in (1, 2, 3, 4))
        depths = sixths if all(layers % 6 == 0 for layers in stacks) else quarters
        return cls(widths=quarters, depths=depths, stacks=stacks, has_triangle_filter=has_triangle_filter)

    def kept_layers(self, depth: Fraction) -> int:
        """How many layers, all stacks together, a submodel of this depth keeps."""
        return sum(int(depth * layers) for layers in self.stacks)

    def grid(self) -> Iterator[Submodel]:
        """The submodels that are uniform over their layers, width-major, smallest first."""
        for i, width in enumerate(self.widths):
            for j, depth in enumerate(self.depths):
                if not self.has_triangle_filter or j * (len(self.widths) - 1) >= i * (len(self.depths) - 1):
                    yield Submodel(width=width, depth=depth)

    def __iter__(self) -> Iterator[Submodel]:
        """Every submodel once; of a layer-wise space there may be very many, so look at `size` first."""
        for cell in self.grid():
            layers = self.kept_layers(cell.depth)
            head_rows = itertools.product(self.layer_heads, repeat=layers) if self.layer_heads else [()]
            for heads in head_rows:
                ffn_rows = itertools.product(self.layer_ffn, repeat=layers) if self.layer_ffn else [()]
                for ffn in ffn_rows:
                    yield Submodel(width=cell.width, depth=cell.depth, heads=heads, ffn=ffn)

    def __len__(self) -> int:
        return self.size

    @property
    def size(self) -> int:
        """How many submodels there are, also where `len` fails: it stops at sys.maxsize."""
        choices = max(1, len(self.layer_heads)) * max(1, len(self.layer_ffn))
        return sum(choices ** self.kept_layers(cell.depth) for cell in self.grid())

    def __contains__(self, submodel: object) -> bool:
        if not isinstance(submodel, Submodel):
            return False
        if Submodel(width=submodel.width, depth=submodel.depth) not in set(self.grid()):
            return False
        layers = self.kept_layers(submodel.depth)
        return _row_fits(submodel.heads, submodel.width, self.layer_heads, layers) and _row_fits(
            submodel.ffn, submodel.width, self.layer_ffn, layers
        )

    @property
    def is_layerwise(self) -> bool:
        """Whether layers choose their own heads or FFN units."""
        return bool(self.layer_heads or self.layer_ffn)

    @property
    def layerwise(self) -> Space:
        """This space with every layer free to take any of the widths as its share of heads and of FFN units."""
        return dataclasses.replace(self, layer_heads=self.widths, layer_ffn=self.widths)

    @property
    def smallest(self) -> Submodel:
        """Smallest in every direction."""
        first = next(self.grid())
        return Submodel(
            width=first.width,
            depth=first.depth,
            heads=self.layer_heads[:1] * self.kept_layers(first.depth),
            ffn=self.layer_ffn[:1] * self.kept_layers(first.depth),
        )

    @property
    def largest(self) -> Submodel:
        """The full model."""
        return Submodel()

    @property
    def middle(self) -> Submodel:
        """The submodel at the middle of the grid's order."""
        cells = list(self.grid())
        cell = cells[len(cells) // 2]
        layers = self.kept_layers(cell.depth)
        return Submodel(
            width=cell.width,
            depth=cell.depth,
            heads=_middle(self.layer_heads) * layers,
            ffn=_middle(self.layer_ffn) * layers,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` reads it back."""
        return {
            "widths": [str(share) for share in self.widths],
            "depths": [str(share) for share in self.depths],
            "stacks": list(self.stacks),
            "has_triangle_filter": self.has_triangle_filter,
            "layer_heads": [str(share) for share in self.layer_heads],
            "layer_ffn": [str(share) for share in self.layer_ffn],
        }

    @classmethod
    def from_json(cls, data: object) -> Space:
        """The space written by `to_json`; InputError where a key is unknown, missing or malformed."""
        return checked(data, cls, "space")


def _row_fits(row: Sequence[Fraction], width: Fraction, choices: Sequence[Fraction], layers: int) -> bool:
    if not row:  # every layer follows the width
        return not choices or width in choices
    return len(row) == layers and set(row) <= set(choices)


def _middle(choices: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    return choices[len(choices) // 2 :][:1]


def _fraction_text(share: Fraction) -> str:
    return str(share).replace("/", "of")


def _fraction_from(text: str) -> Fraction:
    return Fraction(text.replace("of", "/"))


def _fractions_text(row: Sequence[Fraction]) -> str:
    scale = math.lcm(*(share.denominator for share in row))
    return ".".join(str(share.numerator * (scale // share.denominator)) for share in row) + f"of{scale}"


def _fractions_from(text: str | None) -> tuple[Fraction, ...]:
    if text is None:
        return ()
    numerators, _, scale = text.partition("of")
    each = {numerator: Fraction(int(numerator), int(scale)) for numerator in set(numerators.split("."))}
    return tuple(each[numerator] for numerator in numerators.split("."))
