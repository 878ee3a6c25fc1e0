"""Training a supernet: first a teacher, the full model alone; then the sandwich, taught by that teacher.

Every random draw of a step depends on the seed, the stage and the step's number alone, so a run resumed from any
checkpoint goes on exactly as an uninterrupted one would. Several processes draw the same submodels, and each takes
its share of every batch; the gradients are those of one process with the whole batch, up to rounding.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bstsearch.errors import InputError, UsageError
from bstsearch.model.supernet import Supernet
from bstsearch.space import Submodel
from bstsearch.tasks.task import Batch, Split, Task
from bstsearch.training.batches import Parts, cut_batches
from bstsearch.training.checkpoint import load_checkpoint
from bstsearch.training.distributed import ALONE, Processes
from bstsearch.training.kept import SANDWICH, TEACHER, Kept, made_by
from bstsearch.training.layers import LayerMatch
from bstsearch.training.optimizers import Stepper
from bstsearch.training.precision import in_precision
from bstsearch.training.recipes import LAYERS, Recipe, StageRecipe
from bstsearch.training.sandwich import draw_sandwich, sandwich_step
from bstsearch.training.schedules import Position


@dataclasses.dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a stage stands after a step; `running` are running means of `Split.right` on the training batches.

    Its keys are those of smallest, middle and largest that have been trained so far; none where the split tells none.
    """

    stage: str
    step: int
    steps: int
    learning_rate: float
    losses: Mapping[str, float]
    running: Mapping[str, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective:
    """What a stage trains: which submodels a part of a batch gets, and what their outputs are held against.

    `match`, where it is given, holds their layers against the teacher's.
    """

    name: str
    draw: Callable[[random.Random], list[Submodel]]
    target: Callable[[Batch], Tensor]
    match: LayerMatch | None = None


def first_position(settings: StageRecipe, rows: int, processes: Processes) -> Position:
    """The position of a stage's first step on that many rows; UsageError or InputError where no batch can be made."""
    size, parts = settings.batch_size, settings.accumulate * processes.count
    if size % parts:
        raise UsageError(
            f"a batch of {size} examples does not fall into {settings.accumulate} parts for each of "
            f"{processes.count} processes; change --batch-size or --accumulate"
        )
    per_epoch = rows // size if settings.drops_last else math.ceil(rows / size)
    if not per_epoch:
        raise InputError(f"{rows} training examples make no batch of {size}; give a smaller --batch-size")
    steps = settings.steps or settings.epochs * per_epoch
    return Position(step=0, steps=steps, per_epoch=per_epoch, batches_per_epoch=rows / size)


class Stage:
    """One run over the training data with one objective, resumable from its folder.

    `identity` is what a checkpoint must have been made with, beside the recipe; `task` may be left out where the
    recipe's loss is not the task's, and batches are trained on as they are.
    """

    def __init__(
        self,
        objective: Objective,
        supernet: Supernet,
        recipe: Recipe,
        settings: StageRecipe,
        folder: Path,
        *,
        processes: Processes = ALONE,
        task: Task | None = None,
        identity: Mapping[str, Any] | None = None,
    ) -> None:
        self.objective, self.supernet, self.recipe, self.settings = objective, supernet, recipe, settings
        self.processes, self.task = processes, task
        self.kept = Kept(folder=folder, stage=objective.name, made_by=made_by(recipe, identity or {}))
        self.reads = supernet.family.example_inputs(supernet.config, 1).keys()
        space = supernet.space
        self.watched = {space.smallest: "smallest", space.middle: "middle", space.largest: "largest"}
        tower = () if settings.tower is None else (settings.tower,)
        self.stepper = Stepper(supernet.model, (*tower, settings.optimizer))

    def run(self, split: Split) -> Iterator[Progress]:
        """Trains to the end, from the checkpoint if there is one, yielding after every step."""
        start = first_position(self.settings, len(split), self.processes)
        done, log, running = self.kept.read()
        if done:
            load_checkpoint(self.kept.checkpoint, self.supernet.model, self.stepper)
        self.processes.copy_first(self.supernet.model)
        self.supernet.train()
        while done < start.steps:
            for parts, rows in self._batches(split, done // start.per_epoch, done % start.per_epoch):
                progress = self._one_step(split, parts, rows, dataclasses.replace(start, step=done), running)
                done += 1
                log.append(log_row(progress))
                is_due = done % self.recipe.checkpoint_every == 0 or done == start.steps
                if is_due and self.processes.is_first:
                    self.kept.write(done, log, running, self.supernet.model, self.stepper)
                yield progress
                if done == start.steps:
                    break
        self.supernet.eval()

    def _batches(self, split: Split, epoch: int, skip: int) -> Iterator[tuple[Parts, int]]:
        key = f"{self.recipe.seed}/{self.objective.name}/{epoch}"
        source = torch.Generator().manual_seed(random.Random(key).getrandbits(63))
        size, accumulate = self.settings.batch_size, self.settings.accumulate
        order = torch.randperm(len(split), generator=source)
        led = round(len(order) * min(1.0, max(0.0, (self.settings.lead_in or 0) - epoch)))
        if led:
            simple = split.first_lesson()
            order[:led] = simple[order[:led] % len(simple)]  # each about as often as the others
        rows = split.grouped(order, max(1, size // accumulate // self.processes.count))
        drops_last = self.settings.drops_last
        return cut_batches(split, rows[skip * size :], size, accumulate, self.processes, drops_last=drops_last)

    def _one_step(
        self, split: Split, parts: Parts, rows: int, position: Position, running: dict[str, float]
    ) -> Progress:
        key = f"{self.recipe.seed}/{self.objective.name}/{position.step}"
        source = random.Random(key)
        of_process = key if self.processes.is_first else f"{key}/{self.processes.rank}"
        torch.manual_seed(random.Random(of_process).getrandbits(63))
        seen = _Seen(next(self.supernet.parameters()).device)
        for part in parts:
            self._add_gradients(split, part, self.objective.draw(source), rows, seen)
        self.processes.add_gradients(self.supernet.model)
        self.processes.average_buffers(self.supernet.model)
        if self.settings.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.supernet.parameters(), self.settings.clip_norm)
        rate = self.stepper.step(position)
        losses, rights = seen.means(rows, self.processes)
        check_losses(losses, position, rate)
        for submodel, right in rights.items():
            if (name := self.watched.get(submodel)) and not math.isnan(right):
                running[name] = 0.98 * running.get(name, right) + 0.02 * right
        return Progress(
            stage=self.objective.name,
            step=position.step + 1,
            steps=position.steps,
            learning_rate=rate,
            losses={submodel.id: loss for submodel, loss in losses.items()},
            running=dict(running),
        )

    def _add_gradients(
        self, split: Split, part: Batch | None, submodels: list[Submodel], rows: int, seen: _Seen
    ) -> None:
        if part is None:  # fewer rows than processes; the others' gradients still have to be met
            for submodel in submodels:
                seen.add(submodel, torch.zeros(3))
            return
        batch = part if self.task is None else self.task.augmented(part, self.settings.unknown_rate)
        if batch.inputs.keys() != self.reads:
            raise InputError(f"the data give {', '.join(batch.inputs)}, but the model reads {', '.join(self.reads)}")
        batch = batch.to(seen.device)
        results = sandwich_step(
            self.supernet,
            submodels,
            batch.inputs,
            self.objective.target(batch),
            functools.partial(self.settings.loss, task=self.task),
            rows=rows,
            precision=self.recipe.precision,
            match=self.objective.match,
        )
        for submodel, (loss, outputs) in results.items():
            right_B = None if batch.targets is None else split.right(outputs, batch.targets)
            right = loss.new_tensor(math.nan) if right_B is None else right_B.sum()
            seen.add(submodel, torch.stack([loss.float(), right.float(), right.new_tensor(len(outputs)).float()]))


class _Seen:
    """Losses, how right outputs were, and rows of each submodel, added up over the parts of a batch."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.sums: dict[Submodel, Tensor] = {}

    def add(self, submodel: Submodel, values: Tensor) -> None:
        values = values.to(self.device)
        self.sums[submodel] = self.sums[submodel] + values if submodel in self.sums else values

    def means(self, rows: int, processes: Processes) -> tuple[dict[Submodel, float], dict[Submodel, float]]:
        """Each submodel's loss, as of a whole batch, and how right it was in the mean; NaN where that is not known."""
        table = processes.add(torch.stack(list(self.sums.values())))
        losses, rights = (table[:, 0] * (rows / table[:, 2])).tolist(), (table[:, 1] / table[:, 2]).tolist()
        # A last batch may be smaller than the number of its parts: what was drawn for an empty one was not trained.
        trained = [(index, submodel) for index, submodel in enumerate(self.sums) if table[index, 2] > 0]
        return {submodel: losses[i] for i, submodel in trained}, {submodel: rights[i] for i, submodel in trained}


def teacher_stage(supernet: Supernet, recipe: Recipe, folder: Path, **options: Any) -> Stage:
    """The full model alone, on the targets; `options` are those of `Stage`."""

    def target(batch: Batch) -> Tensor:
        assert batch.targets is not None
        return batch.targets

    objective = Objective(name=TEACHER, draw=lambda _: [supernet.space.largest], target=target)
    return Stage(objective, supernet, recipe, recipe.teacher, folder, **options)


def sandwich_stage(supernet: Supernet, teacher: Supernet, recipe: Recipe, folder: Path, **options: Any) -> Stage:
    """BST's stage: five submodels a step, all taught by the frozen teacher, which the supernet starts from."""
    supernet.load_state_dict(teacher.state_dict())
    teacher.eval().requires_grad_(False)
    match = LayerMatch(teacher) if recipe.match == LAYERS else None

    def target(batch: Batch) -> Tensor:
        watching = contextlib.nullcontext() if match is None else match.teaching(teacher.model, batch.inputs)
        with torch.no_grad(), in_precision(recipe.precision, next(teacher.parameters()).device), watching:
            outputs: Tensor = teacher.model(**batch.inputs)
        return outputs

    objective = Objective(
        name=SANDWICH, draw=lambda source: draw_sandwich(supernet.space, source), target=target, match=match
    )
    return Stage(objective, supernet, recipe, recipe.sandwich, folder, **options)


def check_losses(losses: Mapping[Submodel, float], position: Position, rate: float) -> None:
    """Passes where every loss is finite; else InputError, before a checkpoint holds what came of it."""
    for submodel, loss in losses.items():
        if not math.isfinite(loss):
            raise InputError(
                f"training diverged at step {position.step + 1} of {position.steps}: the loss of {submodel.id} is "
                f"{loss} at a learning rate of {rate:.3g}; change the recipe, the batch size or the precision, or "
                "check the targets"
            )


def log_row(progress: Progress) -> dict[str, Any]:
    """The line of the log for that step, by column."""
    losses = progress.losses.values()
    return {
        "step": progress.step,
        "learning_rate": f"{progress.learning_rate:.3g}",
        "mean_loss": f"{sum(losses) / len(losses):.5f}",
        **{name: f"{progress.running.get(name, math.nan):.4f}" for name in ("smallest", "middle", "largest")},
    }
