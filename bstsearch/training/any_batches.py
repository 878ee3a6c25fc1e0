"""The sandwich on any batches and with any loss, for what is neither a task nor one of the recipes."""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bstsearch.errors import InputError, UsageError
from bstsearch.holding import holding
from bstsearch.listener import SILENT, Listener
from bstsearch.model.config import config_to_json
from bstsearch.model.supernet import Supernet
from bstsearch.training.checkpoint import load_checkpoint
from bstsearch.training.kept import SANDWICH, Kept
from bstsearch.training.loop import Progress, check_losses, log_row
from bstsearch.training.optimizers import Optimizer, Stepper
from bstsearch.training.place import WORK
from bstsearch.training.sandwich import draw_sandwich, sandwich_step
from bstsearch.training.schedules import Position, Schedule

AnyBatch = Mapping[str, Any]
AnyLoss = Callable[[Tensor, AnyBatch], Tensor]

CLIP_NORM = 1.0
WARMUP = 0.05  # the share of all steps in which the learning rate rises; then it falls in a cosine
CHECKPOINT_EVERY = 200  # steps


def train_on(
    supernet: Supernet,
    batches: Iterable[AnyBatch],
    *,
    loss: AnyLoss,
    steps: int | None = None,
    learning_rate: float = 1e-4,
    out: Path | str | None = None,
    seed: int = 0,
    is_forced: bool = False,
    listener: Listener = SILENT,
) -> list[float]:
    """Trains all sizes of `supernet` from the weights that it has; returns the mean loss of each step.

    A batch maps names to tensors: the model's inputs, and whatever else `loss(outputs, batch)` needs to give one
    number. At each step the smallest submodel, the largest and three others see the same batch. `steps` is by default
    one for each batch; where there are fewer batches, they are gone through again.

    In the folder `out` the steps are logged, and with the same call training goes on from the last checkpoint there:
    exactly, where the batches come in the same order. `is_forced` starts over. The weights are yours to save.

    UsageError or InputError where something of this cannot be, or training diverges.
    """
    count = _count(batches, steps)
    settings = Optimizer(
        kind="adamw",
        learning_rate=learning_rate,
        schedule=Schedule(kind="cosine", warmup=WARMUP),
        betas=(0.9, 0.999),
        eps=1e-8,
    )
    made_by = {
        "steps": count,
        "learning_rate": learning_rate,
        "seed": seed,
        "model": config_to_json(supernet.config),
        "space": supernet.space.to_json(),
    }
    kept = None if out is None else Kept(folder=Path(out) / WORK, stage=SANDWICH, made_by=made_by)
    stepper = Stepper(supernet.model, (settings,))
    with contextlib.nullcontext() if out is None else holding(Path(out)):
        if kept and is_forced:
            kept.checkpoint.unlink(missing_ok=True)
        done, rows, _ = kept.read() if kept else (0, [], {})
        if kept and done:
            load_checkpoint(kept.checkpoint, supernet.model, stepper)
        supernet.train()
        for batch in itertools.islice(_again(batches, count), done, count):
            position = Position(step=done, steps=count, per_epoch=count, batches_per_epoch=count)
            progress = _one_step(supernet, batch, loss, stepper, position, seed)
            done += 1
            rows.append(log_row(progress))
            if kept and (done % CHECKPOINT_EVERY == 0 or done == count):
                kept.write(done, rows, {}, supernet.model, stepper)
            listener.progress(SANDWICH, done, count, f"mean loss {rows[-1]['mean_loss']}")
    supernet.eval()
    return [float(row["mean_loss"]) for row in rows]


def _one_step(
    supernet: Supernet, batch: AnyBatch, loss: AnyLoss, stepper: Stepper, position: Position, seed: int
) -> Progress:
    device = next(supernet.parameters()).device
    moved = {name: value.to(device) if isinstance(value, Tensor) else value for name, value in batch.items()}
    reads = supernet.family.example_inputs(supernet.config, 1)
    if missing := reads.keys() - moved.keys():
        names = ", ".join(reads)
        raise InputError(f"a batch holds {', '.join(moved)}, but the model reads {names}; add {', '.join(missing)}")
    inputs = {name: moved[name] for name in reads}
    source = random.Random(f"{seed}/{SANDWICH}/{position.step}")
    torch.manual_seed(source.getrandbits(63))

    def of_batch(outputs: Tensor, target: Any, *, rows: int) -> Tensor:  # noqa: ARG001
        return _checked(loss(outputs, target))

    submodels = draw_sandwich(supernet.space, source)
    results = sandwich_step(supernet, submodels, inputs, moved, of_batch, rows=1)
    losses = {submodel: value.item() for submodel, (value, _) in results.items()}
    torch.nn.utils.clip_grad_norm_(supernet.parameters(), CLIP_NORM)
    rate = stepper.step(position)
    check_losses(losses, position, rate)
    return Progress(
        stage=SANDWICH,
        step=position.step + 1,
        steps=position.steps,
        learning_rate=rate,
        losses={submodel.id: value for submodel, value in losses.items()},
        running={},
    )


def _checked(value: Any) -> Tensor:
    """What the loss gave; InputError where it is no number that can be made smaller."""
    if not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
        found = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
        raise InputError(f"the loss is {found}; make it one number, a tensor that depends on the outputs")
    return value


def _count(batches: Iterable[AnyBatch], steps: int | None) -> int:
    """How many steps to take."""
    if steps is None and not isinstance(batches, Sized):
        raise UsageError("these batches have no length, so how long to train is not known; give steps")
    found = len(batches) if steps is None and isinstance(batches, Sized) else steps
    if not found or found < 1:
        raise UsageError(f"there is nothing to train on in {found} steps; give one at least")
    return found


def _again(batches: Iterable[Any], steps: int) -> Iterator[AnyBatch]:
    """The batches, over and over; InputError where that cannot be, or one is no mapping."""
    given = 0
    while True:
        before = given
        for batch in batches:
            if not isinstance(batch, Mapping):
                kind = type(batch).__name__
                raise InputError(f"a batch is a {kind}; make it a dict of tensors with the names of the model's inputs")
            given += 1
            yield batch
        if given == before:
            raise InputError(
                f"the batches ended after {given:,} of {steps:,} steps, and cannot be gone through again; "
                "give a list or a DataLoader, or fewer steps"
            )
