"""Learning rates, step by step, as the published recipes set them (no torch)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

STAIRS = 3  # below the full rate, whatever the warm-up


@dataclasses.dataclass(frozen=True, kw_only=True)
class Position:
    """Where a stage stands before a step: its number from 0 on, of how many, and how long an epoch is.

    `per_epoch` counts steps; `batches_per_epoch` is all questions divided by the batch size, not rounded.
    """

    step: int
    steps: int
    per_epoch: int
    batches_per_epoch: float

    @property
    def epoch(self) -> int:
        """The epoch of this step, from 0 on."""
        return self.step // self.per_epoch


@dataclasses.dataclass(frozen=True, kw_only=True)
class Schedule:
    """How a learning rate goes up and down.

    - "cosine": `warmup` is the share of a cycle in which it rises; then a cosine down to zero. A cycle
      ends at each epoch of `at`, and at the end (SGDR; Loshchilov and Hutter, 2017).
    - "steps": with W = `warmup` rises from 1/(W + 1) by as much after each (W + 1)/4 epochs, up to three
      times; times `factor` from the start of each epoch of `at` on (public code MILVLG/openvqa and bst).
    - "linear": `warmup` is the share of all steps in which it rises; then it falls to zero in a line.

    Epochs count from 0.

    >>> position = Position(step=10, steps=40, per_epoch=10, batches_per_epoch=10.0)
    >>> Schedule(kind="steps", at=(1,), factor=0.5).rate(1.0, position)
    0.5
    """

    kind: str
    warmup: float = 0.0
    at: tuple[int, ...] = ()
    factor: float = 1.0

    def rate(self, base: float, position: Position) -> float:
        """The learning rate of a step, where `base` is the full one."""
        return _RATES[self.kind](self, base, position)


def _cosine(schedule: Schedule, base: float, position: Position) -> float:
    epochs = position.steps / position.per_epoch
    bounds = [0.0, *(epoch / epochs for epoch in schedule.at if epoch < epochs), 1.0]
    done = position.step / position.steps
    start = max(bound for bound in bounds[:-1] if bound <= done)
    share = (done - start) / (bounds[bounds.index(start) + 1] - start)
    if share < schedule.warmup:
        return base * (share / schedule.warmup)
    return base * (0.5 * (1 + math.cos(math.pi * (share - schedule.warmup) / (1 - schedule.warmup))))


def _steps(schedule: Schedule, base: float, position: Position) -> float:
    for epoch in schedule.at:
        if position.epoch >= epoch:
            base *= schedule.factor
    whole = int(schedule.warmup) + 1
    for stair in range(1, min(STAIRS + 1, whole)):
        # The published code counts steps from 1, and takes the true length of an epoch.
        if position.step + 1 <= int(position.batches_per_epoch * whole * stair / 4):
            return base * stair / whole
    return base


def _linear(schedule: Schedule, base: float, position: Position) -> float:
    # The step about to be taken counts as done, so that the first one is not wasted on a rate of zero.
    warmup, done = int(schedule.warmup * position.steps), position.step + 1
    if done < warmup:
        return base * done / warmup
    return base * (position.steps - done) / max(1, position.steps - warmup)


_RATES: dict[str, Callable[[Schedule, float, Position], float]] = {
    "cosine": _cosine,
    "steps": _steps,
    "linear": _linear,
}
