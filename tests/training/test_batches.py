from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from bstsearch.tasks.task import Batch
from bstsearch.training.batches import cut_batches
from bstsearch.training.distributed import Processes


class Rows:
    """A split whose answers are its row numbers."""

    def batches(self, size: int, order: Tensor) -> Iterator[Batch]:
        for rows in order.split(size):
            yield Batch(inputs={"question": rows[:, None]}, targets=rows)


def cut(rows: int, rank: int, count: int, **options: Any) -> list[tuple[list[list[int]], int]]:
    found = cut_batches(Rows(), torch.arange(rows), 8, 2, Processes(rank=rank, count=count), **options)  # type: ignore[arg-type]
    return [([[] if part is None else part.targets.tolist() for part in parts], size) for parts, size in found]


def test_every_process_gets_its_share_of_every_part() -> None:
    assert cut(19, 0, 2, drops_last=False) == [([[0, 1], [4, 5]], 8), ([[8, 9], [12, 13]], 8), ([[16], [18]], 3)]
    assert cut(19, 1, 2, drops_last=False) == [([[2, 3], [6, 7]], 8), ([[10, 11], [14, 15]], 8), ([[17], []], 3)]


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("rows", [1, 8, 13, 24])
def test_all_shares_together_are_the_batches(rows: int, count: int) -> None:
    shares = [cut(rows, rank, count, drops_last=False) for rank in range(count)]
    for batch, first in enumerate(range(0, rows, 8)):
        parts = [part for share in shares for part in share[batch][0]]
        assert sorted(row for part in parts for row in part) == list(range(first, min(first + 8, rows)))
        assert {share[batch][1] for share in shares} == {min(8, rows - first)}


def test_a_smaller_last_batch_can_be_left_out() -> None:
    assert len(cut(19, 0, 1, drops_last=True)) == 2
    assert cut(7, 0, 1, drops_last=True) == []
