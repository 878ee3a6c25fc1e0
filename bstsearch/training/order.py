"""How often a larger submodel of a supernet is worse than one that lies within it.

Submodels share their weights, so nothing keeps a larger one from being worse; where that is rare, a search may trust
that more costs buy more. Looked at are the uniform submodels and, of an elastic space, couples drawn at random, each
with what lies within both and the least that both lie within: two drawn by themselves hardly ever lie in one another.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bstsearch.listener import SILENT, Listener
from bstsearch.model.nesting import Nesting, is_within, overlap, union
from bstsearch.model.supernet import Supernet
from bstsearch.score import Z_95, Metric
from bstsearch.space import Submodel
from bstsearch.space_sample import draw_submodel
from bstsearch.tasks.evaluation import Kept, check_finite
from bstsearch.tasks.prepared import PreparedSplit, placed, row_values
from bstsearch.tasks.task import Split

COUPLES = 16  # with what lies within and around them 64 submodels, and 80 pairs at least
ROWS = 4_000  # on which a difference of one point in a hundred is beyond noise
SEED = 0

Values = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
    """Of `pairs` among `submodels`, one within the other, in how many the larger one is `worse` on `rows` rows.

    In `clearly_worse` of them by more than noise, which is a paired difference beyond 1.96 standard errors: of pairs
    that are equally good, chance alone makes that of one in forty. `loss` is by how much the larger ones are worse, in
    the metric, in the mean over all pairs (0 where they are not).
    """

    submodels: int
    pairs: int
    worse: int
    clearly_worse: int
    loss: float
    rows: int

    def to_json(self) -> dict[str, Any]:
        """Plain data, as metrics.json holds it."""
        return dataclasses.asdict(self)

    @property
    def words(self) -> str:
        """The two rates in one line."""
        return (
            f"of {self.pairs:,} pairs of submodels, one within the other, the larger one is worse in "
            f"{_percent(self.worse, self.pairs)}, and beyond noise in {_percent(self.clearly_worse, self.pairs)}"
        )


def measure_order(supernet: Supernet, split: Split, metric: Metric, listener: Listener = SILENT) -> Order | None:
    """The order among some of the supernet's submodels on some rows of `split`, which has targets.

    None where a score is no mean over rows, or no submodel lies within another.
    """
    keep_orders = [stack.keep_order for stack in supernet.family.stacks(supernet.config)]
    nesting = Nesting(space=supernet.space, keep_orders=keep_orders)
    submodels = choose(nesting)
    values = _values(supernet, split, submodels, listener)
    if values is None:
        return None
    sign = -metric.loss(1.0)  # from here on, more is better
    reaches = list(map(nesting.extent, submodels))
    pairs = [
        (smaller, larger)
        for smaller, larger in itertools.permutations(range(len(submodels)), 2)
        if is_within(reaches[smaller], reaches[larger])
    ]
    found = [_fall(sign * values[smaller], sign * values[larger]) for smaller, larger in pairs]
    if not found:
        return None
    return Order(
        submodels=len(submodels),
        pairs=len(pairs),
        worse=sum(fall > 0 for fall, _ in found),
        clearly_worse=sum(fall > Z_95 * error for fall, error in found),
        loss=sum(max(0.0, fall) for fall, _ in found) / len(found),
        rows=values.shape[1],
    )


def choose(nesting: Nesting, seed: int = SEED) -> list[Submodel]:
    """The submodels that are looked at: the uniform ones, and of an elastic space couples with overlap and union."""
    space, source = nesting.space, random.Random(seed)
    chosen = list(space.grid())
    for _ in range(COUPLES if space.is_elastic else 0):
        one, other = (nesting.extent(draw_submodel(space, source)) for _ in range(2))
        chosen += map(nesting.submodel, (one, other, overlap(one, other), union(one, other)))
    return [submodel for submodel in dict.fromkeys(chosen) if submodel in space]


def _values(supernet: Supernet, split: Split, submodels: list[Submodel], listener: Listener) -> Values | None:
    """What each submodel is worth on each of the rows (submodels, rows); None where there is no such number."""
    rows = torch.randperm(len(split), generator=torch.Generator().manual_seed(SEED))[:ROWS]
    prepared, found = PreparedSplit(supernet, split, [rows]), []
    for done, submodel in enumerate(submodels):
        listener.progress("comparing larger with smaller submodels", done, len(submodels))
        where = f"the supernet, submodel {submodel.id}"
        kept = Kept(split, where)
        with supernet.bind(submodel) as model:
            prepared.run(model, 0, kept)
        check_finite(kept.broken, len(prepared.rows[0]), where)
        values = row_values(split, placed(kept.so_far(), prepared.rows[0], len(split)))
        if values is None:
            return None
        found.append(values[prepared.rows[0].numpy()])
    return np.stack(found)


def _fall(smaller: Values, larger: Values) -> tuple[float, float]:
    """By how much the larger one is worse in the mean, and the standard error of that."""
    falls = smaller - larger
    return float(falls.mean()), float(falls.std()) / math.sqrt(len(falls))


def _percent(count: int, total: int) -> str:
    return f"{100 * count / total:.1f} %"
