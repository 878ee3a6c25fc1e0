"""When a submodel need not be scored to its end: a cheaper one is better beyond doubt (no torch).

Submodels are scored on growing parts of a split, which are nested: its rows in one random order. After each part, the
values of the rows so far are held against those of rivals, row by row: submodels that have been scored on all rows and
are no costlier, whatever the cost. A submodel that is worth having is better than each of them on the whole split. What
would then have to happen by chance of the order alone, for a rival to be so far ahead on a part, has a probability that
is at most `ERROR` over all parts and rivals together; where it is less than its share of that, the submodel is dropped.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import math
import struct
import zlib
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from bstsearch.errors import InputError
from bstsearch.reading import parsing
from bstsearch.score import Metric
from bstsearch.searching.costs import known_costs
from bstsearch.searching.pareto import Candidate

ERROR = 1e-4  # of a submodel that belongs on the front, the chance that it is dropped
SMALLEST = 256  # rows of the smallest part, at least
RIVALS = 8  # that a submodel is held against, the best ones: each one more takes a share of the error
SEED = 0  # of the order: the same for every submodel and worker
UNLIKELY = 0.05  # two scores are apart where chance alone would bring about their difference less often

Values = NDArray[np.float64]


def find_rivals(candidate: Candidate, scored: Iterable[Candidate], metric: Metric) -> dict[str, str]:
    """The values by id of those of `scored`, on the whole split, that cost no more than `candidate` in any respect.

    Only the best are taken. All costs count, not only those that are traded now: so a submodel that a rival beats is on
    no front of this device, whatever objectives and budgets are asked for later. InputError where values are damaged.
    """
    whole = [one for one in scored if one.accuracy is not None and one.rights is not None]
    cheaper = [one for one in whole if is_no_costlier(one, candidate)]
    best = sorted(cheaper, key=lambda one: (metric.loss(one.score), one.id))[:RIVALS]
    for one in best:
        values_of(one)  # here it can still be told whose they are
    return {one.id: one.rights or "" for one in best}


def values_of(one: Candidate) -> Values:
    """The value of each row of a scored candidate; InputError where they are damaged."""
    with parsing(one.id):
        return read_rights(one.rights or "", one.accuracy.total if one.accuracy else 0)


def is_no_costlier(one: Candidate, other: Candidate) -> bool:
    """Whether no cost of `one` is more than that of `other`, at any end: a budget may hold against each of them."""
    ends = [(cost.of(one)[:3], cost.of(other)[:3]) for cost in known_costs([one, other])]
    return all(end <= limit for few, many in ends for end, limit in zip(few, many, strict=True))


def order(rows: int) -> NDArray[np.int64]:
    """The rows of a split in the random order in which they are looked at."""
    return np.random.default_rng(SEED).permutation(rows)


def part_ends(rows: int) -> list[int]:
    """Where the growing parts of a split of so many rows end: each has half of the rows of the next one.

    >>> part_ends(4795)
    [300, 600, 1199, 2398, 4795]
    """
    ends = [rows]
    while ends[0] >= 2 * SMALLEST:
        ends.insert(0, -(-ends[0] // 2))
    return ends


@dataclasses.dataclass(frozen=True, kw_only=True)
class Race:
    """Rivals to be held against at so many looks: their values of all rows, by id."""

    metric: Metric
    rivals: Mapping[str, Values]
    looks: int

    @classmethod
    def of(cls, rivals: Mapping[str, str], rows: int, metric: Metric) -> Race:
        """Against these rivals, given as `write_rights` wrote them, on a split of so many rows."""
        values = {name: read_rights(text, rows) for name, text in rivals.items()}
        return cls(metric=metric, rivals=values, looks=len(part_ends(rows)) - 1)

    def winner(self, values: Values, rows: NDArray[np.int64]) -> str | None:
        """The rival that is better beyond doubt than a submodel of these `values` on these `rows`; None if none is."""
        sign = self.metric.loss(1.0)
        for name, rival in self.rivals.items():
            if chance(sign * (values - rival[rows])) < ERROR / (self.looks * len(self.rivals)):
                return name
        return None


def chance(gains: Values) -> float:
    """How likely chance alone makes paired differences add up to as much as `gains`, or is bounded by it.

    Where all that are not 0 have one size, as with right and wrong answers, that is exact (McNemar's test). Else it is
    a bound that holds where, without a difference on the whole, gains were as likely as losses of the same size (Efron,
    1969); it is wider than Student's t allows.
    """
    sizes = np.unique(np.abs(gains[gains != 0]))
    if len(sizes) <= 1:
        return _tail(int((gains > 0).sum()), int((gains != 0).sum()))
    total = float(gains.sum())
    return math.exp(-(total**2) / (2 * float((gains**2).sum()))) if total > 0 else 1.0


def are_apart(one: Values, other: Values) -> bool:
    """Whether the scores of two submodels on the same rows differ by more than chance makes likely, either way."""
    return 2 * min(chance(one - other), chance(other - one)) < UNLIKELY


def _tail(heads: int, throws: int) -> float:
    """How likely a fair coin shows that many heads or more.

    >>> _tail(2, 2), _tail(1, 2)
    (0.25, 0.75)
    """
    if 2 * heads <= throws:
        return 1 - _tail(throws - heads + 1, throws) if heads else 1.0
    logarithm = math.lgamma(throws + 1) - math.lgamma(heads + 1) - math.lgamma(throws - heads + 1)
    term = math.exp(logarithm - throws * math.log(2))
    total = 0.0
    for count in range(heads, throws + 1):
        total += term
        term *= (throws - count) / (count + 1)
    return total


def write_rights(values: Values) -> str:
    """The value of each row as short text: a bit each where there are two values, a byte where there are up to 256.

    Other values are kept as float32.
    """
    levels, codes = np.unique(values, return_inverse=True)
    if len(levels) > 256:
        levels, packed = levels[:0], values.astype("<f4").tobytes()
    else:
        packed = (np.packbits(codes > 0) if len(levels) <= 2 else codes.astype(np.uint8)).tobytes()
    head = struct.pack("<I", len(levels)) + levels.astype("<f8").tobytes()
    return base64.b64encode(zlib.compress(head + packed, 9)).decode()


@functools.lru_cache(maxsize=64)
def read_rights(text: str, rows: int) -> Values:
    """The values of so many rows that `write_rights` wrote; InputError where they are damaged, or of other rows."""
    most = 4 + 8 * 256 + 4 * rows
    try:
        data = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), most + 1)
        (count,) = struct.unpack_from("<I", data)
        levels, packed = np.frombuffer(data, "<f8", count, 4), data[4 + 8 * count :]
        if len(packed) != (-(-rows // 8) if 0 < count <= 2 else rows if count else 4 * rows):
            raise ValueError(f"{len(packed)} bytes for {rows} rows")
        if not count:
            return np.frombuffer(packed, "<f4").astype(np.float64)
        codes = np.frombuffer(packed, np.uint8)
        return levels[np.unpackbits(codes, count=rows) if count <= 2 else codes].astype(np.float64)
    except (ValueError, IndexError, struct.error, zlib.error) as error:
        raise InputError(f"rights of {rows:,} examples are damaged or of other ones ({error})") from error
