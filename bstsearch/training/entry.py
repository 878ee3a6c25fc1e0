"""`bstsearch.train`: by a preset into a folder, or a supernet of one's own on any batches."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, overload

from bstsearch.listener import SILENT, Listener
from bstsearch.model.supernet import Supernet
from bstsearch.training.any_batches import AnyBatch, AnyLoss, train_on
from bstsearch.training.run import train as train_into


@overload
def train(
    what: Supernet,
    batches: Iterable[AnyBatch],
    *,
    loss: AnyLoss,
    steps: int | None = None,
    learning_rate: float = 1e-4,
    out: Path | str | None = None,
    seed: int = 0,
    is_forced: bool = False,
    listener: Listener = SILENT,
) -> list[float]: ...


@overload
def train(what: Path | str, **options: Any) -> dict[str, Any]: ...


def train(what: Supernet | Path | str, *batches: Any, **options: Any) -> list[float] | dict[str, Any]:
    """Trains a supernet: `train(out, preset=...)` or `train(supernet, batches, loss=...)`.

    The first does what `bstsearch train` does, with the options of `bstsearch.training.run.train`, and returns what
    `metrics.json` in the folder `out` holds. The second takes any batches and any loss, with the options of
    `bstsearch.training.any_batches.train_on`, and returns the mean loss of each step.
    """
    return train_on(what, *batches, **options) if isinstance(what, Supernet) else train_into(what, *batches, **options)
