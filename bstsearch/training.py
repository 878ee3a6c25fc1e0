"""Training a supernet: first a teacher, the full model alone; then the sandwich, taught by that teacher.

Every random draw of a step depends on the seed, the stage and the step's number alone, so a run resumed from any
checkpoint goes on exactly as an uninterrupted one would.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bstsearch.checkpoint import load_checkpoint, read_progress, save_checkpoint
from bstsearch.data.split import Batch, Split
from bstsearch.data.vocabulary import UNKNOWN
from bstsearch.errors import InputError
from bstsearch.files import write_text
from bstsearch.sandwich import draw_sandwich, sandwich_step
from bstsearch.space import Submodel
from bstsearch.supernet import Supernet

CHECKPOINT = "checkpoint.safetensors"
LOG = "log.csv"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train; the same recipe, seed, machine and thread count give the same weights."""

    seed: int = 0
    batch_size: int = 64
    teacher_epochs: int = 16
    teacher_restarts: tuple[int, ...] = (10,)  # epochs at which the learning rate rises again
    epochs: int = 9
    restarts: tuple[int, ...] = (7,)
    learning_rate: float = 5e-4
    warmup: float = 0.05  # share of the steps up to a restart or the end; then a cosine down to zero
    unknown_rate: float = 0.02  # words replaced by the unknown word, so that its embedding is trained
    clip_norm: float = 1.0
    checkpoint_every: int = 200  # steps


@dataclasses.dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a stage stands after a step; `accuracies` are running ones on the training batches.

    Its keys are those of smallest, middle and largest that have been trained so far.
    """

    stage: str
    step: int
    steps: int
    learning_rate: float
    losses: Mapping[str, float]
    accuracies: Mapping[str, float]


Step = Callable[[Batch, random.Random], dict[Submodel, tuple[float, Tensor]]]


class Stage:
    """One run over the training data with one objective, resumable from its folder."""

    def __init__(
        self,
        name: str,
        supernet: Supernet,
        step: Step,
        recipe: Recipe,
        folder: Path,
        *,
        epochs: int,
        restarts: tuple[int, ...] = (),
    ) -> None:
        self.name, self.supernet, self.step, self.recipe = name, supernet, step, recipe
        self.epochs, self.restarts = epochs, restarts
        self.checkpoint, self.log = folder / f"{name}-{CHECKPOINT}", folder / f"{name}-{LOG}"
        space = supernet.space
        self.watched = {space.smallest: "smallest", space.middle: "middle", space.largest: "largest"}
        self.optimizer = torch.optim.Adam(supernet.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.98), eps=1e-9)

    def run(self, split: Split) -> Iterator[Progress]:
        """Trains to the end, from the checkpoint if there is one, yielding after every step."""
        per_epoch = math.ceil(len(split) / self.recipe.batch_size)
        steps, done = self.epochs * per_epoch, 0
        identity = {"stage": self.name, **json.loads(json.dumps(dataclasses.asdict(self.recipe)))}
        rows: list[dict[str, Any]] = []
        running: dict[str, float] = {}
        if self.checkpoint.exists():
            done, rows, running = self._resume(identity)
        self.supernet.train()
        while done < steps:
            for batch in self._batches(split, done // per_epoch, done % per_epoch):
                progress = self._one_step(batch, done, steps, running)
                done += 1
                rows.append(_row(progress))
                if done % self.recipe.checkpoint_every == 0 or done == steps:
                    self._save({"done": done, "recipe": identity, "running": running}, rows)
                yield progress
        self.supernet.eval()

    def _one_step(self, batch: Batch, done: int, steps: int, running: dict[str, float]) -> Progress:
        rate = self.recipe.learning_rate * _schedule(self._share_of_cycle(done / steps), self.recipe.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        key = f"{self.recipe.seed}/{self.name}/{done}"
        torch.manual_seed(random.Random(key).getrandbits(63))
        device = next(self.supernet.parameters()).device
        batch = _forget_words(batch, self.recipe.unknown_rate).to(device)
        results = self.step(batch, random.Random(key))
        torch.nn.utils.clip_grad_norm_(self.supernet.parameters(), self.recipe.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=False)
        for submodel, (_, logits) in results.items():
            if name := self.watched.get(submodel):
                hits = (logits.argmax(-1) == batch.answers).float().mean().item()
                running[name] = 0.98 * running.get(name, hits) + 0.02 * hits
        losses = {submodel.id: loss for submodel, (loss, _) in results.items()}
        return Progress(
            stage=self.name, step=done + 1, steps=steps, learning_rate=rate, losses=losses, accuracies=dict(running)
        )

    def _share_of_cycle(self, share: float) -> float:
        """How far the learning rate's present cycle has come, from how far the stage has."""
        bounds = [0.0, *(epoch / self.epochs for epoch in self.restarts if epoch < self.epochs), 1.0]
        start = max(bound for bound in bounds[:-1] if bound <= share)
        end = bounds[bounds.index(start) + 1]
        return (share - start) / (end - start)

    def _batches(self, split: Split, epoch: int, skip: int) -> Iterator[Batch]:
        source = torch.Generator().manual_seed(random.Random(f"{self.recipe.seed}/{self.name}/{epoch}").getrandbits(63))
        order = torch.randperm(len(split), generator=source)
        return split.batches(self.recipe.batch_size, order[skip * self.recipe.batch_size :])

    def _save(self, progress: Mapping[str, Any], rows: list[dict[str, Any]]) -> None:
        lines = [",".join(rows[0]), *(",".join(str(value) for value in row.values()) for row in rows)]
        write_text(self.log, "\n".join(lines) + "\n")
        save_checkpoint(self.checkpoint, self.supernet.model, self.optimizer, progress)

    def _resume(self, identity: Mapping[str, Any]) -> tuple[int, list[dict[str, Any]], dict[str, float]]:
        progress = read_progress(self.checkpoint)
        if progress["recipe"] != identity:
            changed = sorted(key for key in identity if progress["recipe"].get(key) != identity[key])
            raise InputError(f"{self.checkpoint} was trained with another {', '.join(changed)}; --force starts over")
        load_checkpoint(self.checkpoint, self.supernet.model, self.optimizer)
        with self.log.open(newline="", encoding="utf-8") as file:
            rows: list[dict[str, Any]] = list(csv.DictReader(file))[: progress["done"]]
        return progress["done"], rows, progress["running"]


def teacher_stage(supernet: Supernet, recipe: Recipe, folder: Path) -> Stage:
    """The full model alone, on the right answers (cross-entropy)."""

    def step(batch: Batch, _: random.Random) -> dict[Submodel, tuple[float, Tensor]]:
        logits = supernet.model(**batch.inputs)
        loss = F.cross_entropy(logits, batch.answers)
        torch.autograd.backward(loss)
        return {supernet.space.largest: (loss.item(), logits.detach())}

    return Stage(
        "teacher", supernet, step, recipe, folder, epochs=recipe.teacher_epochs, restarts=recipe.teacher_restarts
    )


def sandwich_stage(supernet: Supernet, teacher: Supernet, recipe: Recipe, folder: Path) -> Stage:
    """BST's stage: five submodels a step, all taught by the frozen teacher, which the supernet starts from."""
    supernet.load_state_dict(teacher.state_dict())
    teacher.eval().requires_grad_(False)

    def step(batch: Batch, source: random.Random) -> dict[Submodel, tuple[float, Tensor]]:
        with torch.no_grad():
            target = teacher.model(**batch.inputs)
        return sandwich_step(supernet, draw_sandwich(supernet.space, source), batch.inputs, target)

    return Stage("sandwich", supernet, step, recipe, folder, epochs=recipe.epochs, restarts=recipe.restarts)


def _schedule(share: float, warmup: float) -> float:
    if share < warmup:
        return share / warmup
    return 0.5 * (1 + math.cos(math.pi * (share - warmup) / (1 - warmup)))


def _forget_words(batch: Batch, rate: float) -> Batch:
    question = batch.inputs["question"]
    is_forgotten = (torch.rand(question.shape) < rate) & (question != 0)
    inputs = {**batch.inputs, "question": question.masked_fill(is_forgotten, UNKNOWN)}
    return Batch(inputs=inputs, answers=batch.answers)


def _row(progress: Progress) -> dict[str, Any]:
    losses = progress.losses.values()
    return {
        "step": progress.step,
        "learning_rate": f"{progress.learning_rate:.3g}",
        "mean_loss": f"{sum(losses) / len(losses):.5f}",
        **{name: f"{progress.accuracies.get(name, math.nan):.4f}" for name in ("smallest", "middle", "largest")},
    }
