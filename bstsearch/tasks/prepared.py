"""A split made ready for many submodels: what they all compute with fixed parameters is computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bstsearch.errors import InputError
from bstsearch.model.supernet import Supernet
from bstsearch.tasks.evaluation import BATCH_SIZE, Kept, computed
from bstsearch.tasks.task import Split

MOST_BYTES = 2 * 10**9  # of features that a process keeps, and at most
SHARE = 4  # of the memory that is free one in so many


class _Ready(NamedTuple):
    """A batch as the elastic part reads it."""

    features: tuple[Tensor, ...]
    targets: Tensor | None

    @property
    def size(self) -> int:
        """What it holds in memory, in bytes."""
        tensors = self.features if self.targets is None else (*self.features, self.targets)
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


class PreparedSplit:
    """A split in parts, of which `rows` are given, with the outputs of a supernet's fixed part for all their batches.

    They are kept in memory as far as they fit; those of later parts that do not are computed again when they are asked
    for. `limit` is what may be kept, in bytes (None: a quarter of the free memory, 2 GB at most).
    """

    def __init__(
        self,
        supernet: Supernet,
        split: Split,
        parts: Sequence[Tensor],
        *,
        batch_size: int = BATCH_SIZE,
        limit: int | None = None,
        where: str = "the supernet",
    ) -> None:
        self._supernet, self.split, self._batch_size, self._where = supernet, split, batch_size, where
        self._left = min(MOST_BYTES, psutil.virtual_memory().available // SHARE) if limit is None else limit
        self._groups = [split.alike(part.sort().values) for part in parts]
        self._known: dict[tuple[int, int], list[_Ready]] = {}
        self.rows = [torch.cat(list(groups)) for groups in self._groups]

    def run(self, model: nn.Module | Callable[..., Tensor], part: int, kept: Kept) -> None:
        """Adds what the split keeps of the outputs of `model`, a bound submodel, for `rows` of that part."""
        with torch.inference_mode():
            for batch in self._batches(part):
                kept.add(model.elastic(*batch.features), batch.targets)  # type: ignore[union-attr, operator]

    def run_whole(self, model: Callable[..., Tensor], part: int, kept: Kept, batch_size: int) -> None:
        """The same of any function of the split's inputs, which computes all by itself, on so many rows at once."""
        for rows in filter(len, self._groups[part]):
            for batch in self.split.batches(batch_size, rows):
                kept.add(computed(model, batch, self.split, self._where), batch.targets)

    def _batches(self, part: int) -> Iterator[_Ready]:
        for group, rows in enumerate(self._groups[part]):
            known = self._known.setdefault((part, group), [])
            yield from known
            for ready in self._computed(rows[len(known) * self._batch_size :]):
                is_kept = ready.size <= self._left
                self._left = self._left - ready.size if is_kept else 0  # later batches are needed less often
                if is_kept:
                    known.append(ready)
                yield ready

    def _computed(self, rows: Tensor) -> Iterator[_Ready]:
        """The batches of these rows; none of no rows."""
        model = self._supernet.model
        device = next(model.parameters()).device
        fixed: Callable[..., tuple[Tensor, ...]] = model.fixed  # type: ignore[assignment]
        for batch in self.split.batches(self._batch_size, rows) if len(rows) else ():
            on_device = batch.to(device)
            yield _Ready(computed(fixed, on_device, self.split, self._where), on_device.targets)


def placed(kept: Tensor, rows: Tensor, total: int) -> Tensor:
    """What was kept of these rows, each in its place among all (total, ...); zeros for the others."""
    found = torch.zeros(total, *kept.shape[1:], dtype=kept.dtype)
    found[rows] = kept
    return found


def row_values(split: Split, kept: Tensor) -> NDArray[np.float64] | None:
    """What a submodel is worth on each row of `split` (N,), from what it kept of all of them (N, ...).

    None where the split has no such numbers; InputError where they are not one per row.
    """
    found = split.values(kept)
    if found is not None and found.shape != (len(split),):
        name = type(split).__name__
        raise InputError(f"{name}.values gave {tuple(found.shape)} for {len(split):,} rows; check {name}")
    return None if found is None else found.double().numpy()
