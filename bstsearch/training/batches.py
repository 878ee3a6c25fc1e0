"""Batches cut into parts: one after the other (gradient accumulation), and one for each process."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from bstsearch.tasks.task import Batch, Split
from bstsearch.training.distributed import Processes

Parts = list[Batch | None]  # None where a small last batch leaves nothing for this process


def cut_batches(
    split: Split, rows: Tensor, size: int, accumulate: int, processes: Processes, *, drops_last: bool
) -> Iterator[tuple[Parts, int]]:
    """For each batch of `size` of these rows: this process's `accumulate` parts, and the whole batch's rows.

    `size` is a multiple of the parts, all processes together; only a smaller last batch is cut unevenly.
    """
    whole = len(rows) // size * size
    if whole:
        # One call for all whole batches, so that a split can read ahead.
        mine = torch.cat([processes.share(part) for part in torch.split(rows[:whole], size // accumulate)])
        parts = split.batches(size // accumulate // processes.count, mine)
        while batch := list(itertools.islice(parts, accumulate)):
            yield [*batch], size
    if whole < len(rows) and not drops_last:
        shares = [processes.share(part) for part in rows[whole:].tensor_split(accumulate)]
        yield [next(split.batches(len(share), share)) if len(share) else None for share in shares], len(rows) - whole
