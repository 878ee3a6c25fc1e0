"""What is fitted to the measured rows of a model, to tell latency and memory of every other submodel.

Blocks are fitted to the rows of role "fit", and their error is taken on those of role "check". What the runtime needs
beside weights and activations is fitted to the peaks that were measured.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

import numpy as np

from bstsearch.measuring.selection import CHECK, FIT
from bstsearch.model.layer_costs import choices
from bstsearch.profiles import composition
from bstsearch.profiles.composition import Block, BlockCosts, Blocks
from bstsearch.profiles.latency import BASE, blocks_of
from bstsearch.profiles.profile import BlockRow, LatencyError, MeasuredRow, MemoryFit
from bstsearch.profiles.robust import median, p90, rank_correlation
from bstsearch.space import Shares, Space, Submodel

COMPUTED_ON = "whole submodels, measured in the same rounds, that the blocks were not fitted to"


def fit_blocks(
    rows: Sequence[MeasuredRow], stacks: Mapping[str, int], space: Space
) -> tuple[tuple[BlockRow, ...], LatencyError | None]:
    """A row for every block of the space's submodels, and the error of their sums; nothing where nothing checks."""
    fitted, checked = ([row for row in rows if row.role == role] for role in (FIT, CHECK))
    if not checked:
        return (), None
    powers = _powers(space)
    models = [_count(row, stacks, powers) for row in fitted]
    latency = composition.fit(models, [row.latency_ms for row in fitted])
    weights = composition.fit(models, [row.weight_bytes for row in fitted])
    error = latency_error(
        latency, [_count(row, stacks, powers) for row in checked], [row.latency_ms for row in checked]
    )
    return tuple(_rows(latency, weights, stacks, space)), error


def latency_error(costs: BlockCosts, models: Sequence[Blocks], actual_ms: Sequence[float]) -> LatencyError:
    """How far the sums over `models` lie from what was measured of them."""
    composed_ms = [costs.total(model) for model in models]
    errors = [abs(actual / composed - 1) for actual, composed in zip(actual_ms, composed_ms, strict=True)]
    return LatencyError(
        median=median(errors),
        p90=p90(errors),
        worst=max(errors),
        interval=max(errors),
        rank_correlation=rank_correlation(composed_ms, actual_ms) if len(models) > 1 else None,  # one has no order
        rows=len(models),
        computed_on=COMPUTED_ON,
    )


def fit_memory(rows: Sequence[MeasuredRow]) -> MemoryFit:
    """The runtime's own bytes and how often it holds the weights, by least squares of relative errors."""
    known = [row for row in rows if row.peak_memory_bytes and row.activation_bytes]
    if len(known) < 3:
        return MemoryFit(runtime_bytes=0, weight_copies=1.0, median=0.0, worst=0.0, rows=0)
    peaks = np.array([row.peak_memory_bytes for row in known], float)
    weights = np.array([row.weight_bytes for row in known], float)
    live = np.array([row.activation_bytes for row in known], float)
    parts = np.stack([np.ones_like(weights), weights], axis=1)
    runtime, copies = np.linalg.lstsq(parts / peaks[:, None], (peaks - live) / peaks)[0]
    runtime, copies = max(0, round(runtime)), max(0.0, float(copies))
    errors = np.abs(peaks / (runtime + copies * weights + live) - 1)
    return MemoryFit(
        runtime_bytes=runtime,
        weight_copies=copies,
        median=median(errors),
        worst=float(errors.max()),
        rows=len(known),
    )


def _count(row: MeasuredRow, stacks: Mapping[str, int], powers: int) -> Blocks:
    submodel, found = Submodel.from_id(row.id), dict[Block, float]()
    for block in blocks_of(submodel, stacks):
        for part, times in _parts(block, submodel.tokens, powers).items():
            found[part] = found.get(part, 0.0) + times
    return found


def _parts(block: tuple[str, Shares], tokens: Fraction, powers: int) -> Blocks:
    """A block as what is fitted: a part that it always has, one for each token, and one for each pair of them."""
    kind, shape = block
    return {(f"{kind} {power}", tuple(map(float, shape))): float(tokens) ** power for power in range(powers)}


def _rows(latency: BlockCosts, weights: BlockCosts, stacks: Mapping[str, int], space: Space) -> Iterator[BlockRow]:
    powers = _powers(space)
    for (kind, shape), tokens in itertools.product(_blocks(stacks, space), space.tokens):
        parts = _parts((kind, shape), tokens, powers)
        width, heads, ffn = map(str, shape) if kind != BASE else (str(shape[0]), None, None)
        yield BlockRow(
            block=kind,
            width=width,
            heads=heads,
            ffn=ffn,
            latency_ms=float(f"{latency.total(parts):.6g}"),
            weight_bytes=max(0, round(weights.total(parts))),
            tokens=None if tokens == 1 else str(tokens),
        )


def _powers(space: Space) -> int:
    """How many powers of the number of tokens a block's cost is made of: three with pairs, one where it is fixed."""
    return min(3, len(space.tokens))


def _blocks(stacks: Mapping[str, int], space: Space) -> Iterator[tuple[str, Shares]]:
    """Every block of the space's submodels, whatever the number of tokens."""
    yield from ((BASE, (width,)) for width in space.widths)
    for stack, width in itertools.product(stacks, space.widths):
        yield from ((stack, (width, *shares)) for shares in itertools.product(*choices(space, width)))
