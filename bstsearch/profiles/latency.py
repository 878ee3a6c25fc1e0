"""A submodel's latency and memory on a measured device: its own row, or the sum of its blocks' (no torch)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from bstsearch.errors import InputError
from bstsearch.model.phase import WHOLE, Phase
from bstsearch.space import FLOAT32, Precision, Submodel

if TYPE_CHECKING:
    from bstsearch.profiles.profile import BlockRow, DeviceProfile, MeasuredModel

Source = Literal["measured", "composed", "calibrated", "estimated"]
Ratio = tuple[int, int]  # a share as numerator and denominator, which hash faster than a Fraction

BASE = "base"  # the block that is in no stack
NARROW = 0.05  # neighbouring submodels differ by 10 % and more: a range as narrow as this cannot change their order


def half_width(ms: float, low_ms: float, high_ms: float) -> float:
    """How far an interval reaches from its value, as a share of the value: of its sides the wider one.

    >>> round(half_width(10.0, 8.0, 11.0), 3)
    0.25
    """
    return max(high_ms / ms, ms / low_ms) - 1


def typical(half_widths: Iterable[float]) -> float:
    """The half-width that nine of ten do not exceed, interpolated between neighbours.

    >>> round(typical([0.01, 0.02]), 3)
    0.019
    """
    ordered = sorted(half_widths)
    place = 0.9 * (len(ordered) - 1)
    below, above = ordered[math.floor(place)], ordered[math.ceil(place)]
    return below + (place - math.floor(place)) * (above - below)


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Milliseconds for one example, with a range.

    Measured: the 95 % interval of the value. Composed (a sum of measured blocks), calibrated (a model fitted to
    published rows of that device) and estimated (from specifications): the range that the profile's error leaves.
    """

    ms: float
    source: Source
    low_ms: float
    high_ms: float

    @property
    def safe_ms(self) -> float:
        """What to hold against a budget: the upper end of the range."""
        return self.high_ms

    @property
    def has_range(self) -> bool:
        """Whether the range belongs beside the value: it was not measured, or not to 5 %."""
        return self.source != "measured" or half_width(self.ms, self.low_ms, self.high_ms) > NARROW

    def __str__(self) -> str:
        """The value and what it is, with its range where that says more: "41 ms (29.3-57.4) estimated"."""
        if not self.has_range:
            return f"{_number(self.ms)} ms measured"
        return f"{_number(self.ms)} ms ({_number(self.low_ms)}-{_number(self.high_ms)}) {self.source}"


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Peak bytes while loading and running one submodel; a range as in `Latency`."""

    bytes: int
    source: Source
    low_bytes: int
    high_bytes: int

    @property
    def safe_bytes(self) -> int:
        """What to hold against a budget, as in `Latency`."""
        return self.bytes if self.source == "measured" else self.high_bytes


def around(ms: float, source: Source, interval: float) -> Latency:
    """A latency from ms / (1 + interval) to ms x (1 + interval).

    >>> print(around(41.0, "estimated", 0.4))
    41 ms (29.3-57.4) estimated
    """
    return Latency(ms=ms, source=source, low_ms=ms / (1 + interval), high_ms=round(ms * (1 + interval), 9))


def range_text(latency: Latency) -> str:
    """Its milliseconds, and where it says more their range: "2.31 (2.1-2.8)"."""
    ms = digits(latency.ms)
    return f"{ms} ({ends_text(latency.low_ms, latency.high_ms)})" if latency.has_range else ms


def ends_text(low: float, high: float) -> str:
    """Both ends of a range in two digits, or in three where they look the same in two.

    >>> ends_text(2.14, 2.79), ends_text(0.212, 0.214)
    ('2.1-2.8', '0.212-0.214')
    """
    texts = [(digits(low, significant), digits(high, significant)) for significant in (2, 3)]
    return "-".join(texts[0] if texts[0][0] != texts[0][1] else texts[1])


def digits(value: float, significant: int = 3) -> str:
    """`value` with that many significant digits, and never an exponent.

    >>> digits(0.012345), digits(12.345), digits(12345.0), digits(0.012345, 2)
    ('0.0123', '12.3', '12345', '0.012')
    """
    decimals = significant - 1 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:.{max(0, decimals)}f}"


def option_words(precision: Precision, phase: Phase) -> str:
    """The options of `bstsearch profile` that measure in that precision at that phase, each behind a space."""
    found = "" if precision == FLOAT32 else f" --precision {precision}"
    return found if phase == WHOLE else f"{found} --phase {phase}"


class Table(Protocol):
    """Latency and memory of any submodel of one supernet on one device."""

    def latency(self, submodel: Submodel) -> Latency:
        """Milliseconds, where they come from, and their range."""

    def phases(self, submodel: Submodel) -> Mapping[Phase, Latency]:
        """The same of each other part of its work that was measured."""

    def memory(self, submodel: Submodel) -> Memory:
        """Peak bytes, likewise."""

    def weight_bytes(self, submodel: Submodel) -> int:
        """Bytes of the weights in the submodel's precision."""


class LatencyTable:
    """The rows of one measured model: whole submodels, and blocks that any other submodel is the sum of.

    All are in one precision, whatever submodels that it is asked for say.
    A submodel is one "base" block and, for every kept layer, one block of its stack. Looking one up takes
    microseconds, since a search asks for many.
    """

    def __init__(self, device: str, model: MeasuredModel) -> None:
        self._device, self._model = device, model
        self._stacks = model.stacks
        self._rows = {_key(Submodel.from_id(row.id)): row for row in model.submodels}
        self._blocks = {_block_key(row): row for row in model.blocks}
        self._ms = {key: row.latency_ms for key, row in self._blocks.items()}
        self._activations = {
            (_ratio(row.width), _ratio(row.share), _ratio(row.tokens or "1")): row.activation_bytes
            for row in model.activations
        }

    @classmethod
    def from_profile(
        cls,
        profile: DeviceProfile,
        architecture: str,
        family: str,
        precision: Precision = FLOAT32,
        phase: Phase = WHOLE,
    ) -> LatencyTable:
        """The table of that architecture in that precision at that phase; InputError where the profile lacks it."""
        return cls(profile.device, profile.get_model(architecture, family, precision, phase))

    def latency(self, submodel: Submodel) -> Latency:
        """Measured where there is a row of this submodel, else composed; InputError names a block that lacks."""
        key = _key(submodel)
        if row := self._rows.get(key):
            return Latency(ms=row.latency_ms, source="measured", low_ms=row.low_ms, high_ms=row.high_ms)
        try:
            ms = sum([self._ms[block] for block in _split(key, self._stacks)])
        except KeyError as error:
            raise self._lacks(submodel, error.args[0]) from None
        return around(ms, "composed", self._model.error.interval if self._model.error else 0.0)

    def memory(self, submodel: Submodel) -> Memory:
        """Peak memory: measured, else runtime + weights + largest live set; InputError where figures lack."""
        key = _key(submodel)
        row, fit = self._rows.get(key), self._model.memory
        if row and row.peak_memory_bytes:
            return _memory(row.peak_memory_bytes, "measured", 0.0)
        if fit is None:
            raise InputError(f"device profile {self._device!r} has no memory figures; {self._remedy}")
        weights = self.weight_bytes(submodel)
        try:
            shares = {key.width, *key.heads, *key.ffn}
            live = max([self._activations[key.width, share, key.tokens] for share in shares])
        except KeyError:
            raise InputError(
                f"device profile {self._device!r} lacks activations of submodel {submodel.id!r}; {self._remedy}"
            ) from None
        size = round(fit.runtime_bytes + fit.weight_copies * weights + live)
        return _memory(size, "composed" if fit.rows else "estimated", fit.worst)

    def weight_bytes(self, submodel: Submodel) -> int:
        """Bytes of its weights: those of its row, else the sum of its blocks'; InputError as of `latency`."""
        key = _key(submodel)
        if row := self._rows.get(key):
            return row.weight_bytes
        try:
            return sum([self._blocks[block].weight_bytes for block in _split(key, self._stacks)])
        except KeyError as error:
            raise self._lacks(submodel, error.args[0]) from None

    def _lacks(self, submodel: Submodel, block: Sequence[object]) -> InputError:
        names = ("", "width", "heads", "ffn", "tokens")
        values = zip(names, block, strict=True)
        words = [f"{name} {_text(value)}" for name, value in values if value not in (None, ONE)]
        return InputError(
            f"device profile {self._device!r} lacks the block '{' '.join(words).strip()}' of submodel {submodel.id!r}; "
            f"{self._remedy}"
        )

    @property
    def _remedy(self) -> str:
        words = option_words(self._model.precision, self._model.phase)
        return f"measure it with 'bstsearch profile --device {self._device}{words} --measure' and the same --supernet"


_Block = tuple[str, Ratio, Ratio | None, Ratio | None, Ratio]  # kind, width, heads, FFN, tokens
ONE: Ratio = (1, 1)


class _Key(NamedTuple):
    """A submodel as what hashes fast."""

    width: Ratio
    depths: tuple[Ratio, ...]  # one for all stacks, or one for each
    heads: tuple[Ratio, ...]
    ffn: tuple[Ratio, ...]
    tokens: Ratio


def blocks_of(submodel: Submodel, stacks: Mapping[str, int]) -> list[tuple[str, tuple[Fraction, ...]]]:
    """The submodel's blocks: its base (width), then every kept layer's stack with (width, heads, ffn).

    >>> blocks_of(Submodel(width=Fraction(1, 2), depth=Fraction(1, 4)), {"encoder": 4})[1][0]
    'encoder'
    """
    blocks = _split(_key(submodel), stacks)
    return [(kind, tuple(Fraction(*share) for share in shape if share)) for kind, *shape, _tokens in blocks]


def _split(key: _Key, stacks: Mapping[str, int]) -> Iterator[_Block]:
    """The submodel's blocks, in running order."""
    width, depths, heads, ffn, tokens = key
    yield (BASE, width, None, None, tokens)
    first = 0
    for index, (stack, layers) in enumerate(stacks.items()):
        numerator, denominator = depths[index % len(depths)]
        kept = max(1, (2 * layers * numerator + denominator) // (2 * denominator))  # the nearest, as Space has it
        for layer in range(first, end := first + kept):
            yield (stack, width, heads[layer] if heads else width, ffn[layer] if ffn else width, tokens)
        first = end


def _key(submodel: Submodel) -> _Key:
    ratio = Fraction.as_integer_ratio
    return _Key(
        ratio(submodel.width),
        tuple(map(ratio, submodel.depths or (submodel.depth,))),
        tuple(map(ratio, submodel.heads)),
        tuple(map(ratio, submodel.ffn)),
        ratio(submodel.tokens),
    )


def _block_key(row: BlockRow) -> _Block:
    heads, ffn = (None if share is None else _ratio(share) for share in (row.heads, row.ffn))
    return row.block, _ratio(row.width), heads, ffn, _ratio(row.tokens or "1")


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _ratio(text: str) -> Ratio:
    return Fraction(text).as_integer_ratio()


def _text(value: object) -> str:
    return f"{Fraction(*value)}" if isinstance(value, tuple) else f"{value}"


def _memory(size: int, source: Source, error: float) -> Memory:
    low, high = round(size / (1 + error)), round(size * (1 + error))
    return Memory(bytes=size, source=source, low_bytes=low, high_bytes=high)
