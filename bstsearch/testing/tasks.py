"""What every task must pass: subclass TaskContract once per task, with a model for it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bstsearch.model.family import Config, Family
from bstsearch.model.supernet import Supernet
from bstsearch.tasks import SPLITS, get_task, save_task
from bstsearch.tasks.evaluation import evaluate, outputs_of
from bstsearch.tasks.task import Batch, Split, Task
from bstsearch.training.loop import teacher_stage
from bstsearch.training.recipes import check_recipe, recipe_for


class TaskContract:
    """A subclass sets `task` and, with a small `config` of a `family`, the model that it is for."""

    task: type[Task]
    family: Family
    config: Config
    data_dir: Path | None = None

    @classmethod
    def read(cls, task: Task, name: str, config: Config) -> Split:
        """That part as the model reads it; a subclass may shorten a long one."""
        return task.split(name, cls.family.reader(config))

    @pytest.fixture(scope="class")
    @classmethod
    def opened(cls) -> Task:
        """The task as a new model is trained for it."""
        return get_task(cls.task).build(cls.data_dir)

    @pytest.fixture(scope="class")
    @classmethod
    def supernet(cls, opened: Task) -> Supernet:
        """A model of the data's sizes, with seeded random weights."""
        torch.manual_seed(0)
        return Supernet(cls.family, dataclasses.replace(cls.config, **opened.other_sizes(cls.config))).eval()

    @pytest.fixture(scope="class")
    @classmethod
    def splits(cls, opened: Task, supernet: Supernet) -> dict[str, Split]:
        """Every part, by name."""
        return {name: cls.read(opened, name, supernet.config) for name in SPLITS}

    def test_every_part_has_rows_and_its_batches_hold_each_once(self, splits: dict[str, Split]) -> None:
        for split in splits.values():
            sizes = [len(_first(batch)) for batch in split.batches(100)]
            assert 0 < max(sizes) <= 100
            assert sum(sizes) == len(split) > 0

    def test_batches_follow_the_order_asked_for(self, splits: dict[str, Split]) -> None:
        for split in splits.values():
            order = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))[:5]
            alone = [next(iter(split.batches(1, row[None]))) for row in order]
            together = list(split.batches(2, order))
            assert [len(_first(batch)) for batch in together] == [2] * (len(order) // 2) + [1] * (len(order) % 2)
            expected, found = ([row for batch in batches for row in _first(batch)] for batches in (alone, together))
            assert all(_are_alike(one, other) for one, other in zip(found, expected, strict=True))

    def test_grouping_and_the_first_lesson_keep_to_the_rows(self, splits: dict[str, Split]) -> None:
        for split in splits.values():
            order = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))
            assert torch.equal(split.grouped(order, 4).sort().values, torch.arange(len(split)))
            assert set(split.first_lesson().tolist()) <= set(range(len(split)))

    def test_the_same_numbers_come_out_every_time(
        self, opened: Task, supernet: Supernet, splits: dict[str, Split]
    ) -> None:
        again = self.read(opened, "validation", supernet.config)
        _assert_same(*(next(iter(split.batches(4))) for split in (again, splits["validation"])))

    def test_what_is_saved_beside_a_model_opens_the_same_task(
        self, opened: Task, supernet: Supernet, splits: dict[str, Split], tmp_path: Path
    ) -> None:
        save_task(opened, tmp_path)
        loaded = get_task(self.task).load(tmp_path, self.data_dir)
        assert dict(loaded.sizes()) == dict(opened.sizes())
        split = self.read(loaded, "validation", supernet.config)
        _assert_same(*(next(iter(part.batches(4))) for part in (split, splits["validation"])))

    def test_loss_and_distance_are_numbers_per_row_that_can_be_learnt(
        self, opened: Task, supernet: Supernet, splits: dict[str, Split]
    ) -> None:
        batch = next(iter(splits["train"].batches(4)))
        outputs = supernet.model(**batch.inputs).detach().requires_grad_()
        teacher = outputs.detach() + torch.linspace(0, 1, outputs.numel()).view_as(outputs)
        targets = [("distance", teacher)] + [("loss", target) for target in [batch.targets] if target is not None]
        for name, target in targets:
            values_B = getattr(opened, name)(outputs, target)
            assert values_B.shape == (len(outputs),), name
            (gradient,) = torch.autograd.grad(values_B.sum(), outputs)
            assert torch.isfinite(values_B).all(), name
            assert torch.isfinite(gradient).all(), name
            assert gradient.any(), name
        nothing = opened.distance(outputs, outputs.detach())
        torch.testing.assert_close(nothing, torch.zeros(len(outputs)), rtol=0, atol=1e-5)

    def test_a_score_lies_in_its_interval_and_in_the_metrics_range(
        self, opened: Task, supernet: Supernet, splits: dict[str, Split]
    ) -> None:
        for split in splits.values():
            if split.has_targets:
                score = evaluate(supernet, supernet.space.smallest, split)
                low, high = score.interval
                assert low <= score.value <= high
                assert 0 < score.total <= len(split)
                loss, metric = opened.metric.loss, opened.metric
                assert metric.best is None or loss(metric.best) <= loss(score.value)
                assert metric.worst is None or loss(score.value) <= loss(metric.worst)

    def test_a_score_is_the_mean_of_the_rows_values_which_do_not_depend_on_other_rows(
        self, supernet: Supernet, splits: dict[str, Split]
    ) -> None:
        for split in splits.values():
            kept = outputs_of(supernet, supernet.space.smallest, split)
            values = split.values(kept) if split.has_targets else None
            if values is not None:
                assert values.shape == (len(split),)
                score = split.score(kept)
                assert abs(float(values.double().mean()) - score.value) <= 1e-6 * max(1.0, abs(score.value))
                half = torch.arange(len(split)) % 2 == 0
                known = kept.masked_fill(~half.view(-1, *[1] * (kept.ndim - 1)), 0)
                torch.testing.assert_close(split.values(known)[half], values[half])  # type: ignore[index]

    def test_rows_that_are_alike_are_all_rows_in_their_order(self, splits: dict[str, Split]) -> None:
        for split in splits.values():
            rows = torch.arange(len(split))[::3]
            groups = split.alike(rows)
            assert all(len(group) and group.diff().gt(0).all() for group in groups)
            assert torch.equal(torch.cat(list(groups)).sort().values, rows)

    def test_what_training_shows_is_a_number_per_row(self, supernet: Supernet, splits: dict[str, Split]) -> None:
        batch = next(iter(splits["train"].batches(4)))
        if batch.targets is not None:
            right_B = splits["train"].right(supernet.model(**batch.inputs).detach(), batch.targets)
            assert right_B is None or right_B.shape == (4,)

    def test_a_step_of_its_own_recipe_can_be_made(
        self, opened: Task, supernet: Supernet, splits: dict[str, Split], tmp_path: Path
    ) -> None:
        if splits["train"].has_targets:
            recipe = recipe_for(self.family.name, self.task)
            check_recipe(recipe, self.task)
            small = dataclasses.replace(recipe.teacher, batch_size=4, accumulate=1, steps=1)
            pupil = Supernet(self.family, supernet.config)
            stage = teacher_stage(pupil, dataclasses.replace(recipe, teacher=small), tmp_path, task=opened)
            (progress,) = stage.run(splits["train"])
            assert all(loss == loss for loss in progress.losses.values())  # no NaN


def _first(batch: Batch) -> Tensor:
    """The first input of a batch."""
    return next(iter(batch.inputs.values()))


def _are_alike(one: Tensor, other: Tensor) -> bool:
    """Whether two rows are the same where both have numbers: in batches that differ, padding may, too."""
    both = tuple(slice(min(sizes)) for sizes in zip(one.shape, other.shape, strict=True))
    return torch.equal(one[both], other[both])


def _assert_same(one: Batch, other: Batch) -> None:
    assert one.inputs.keys() == other.inputs.keys()
    pairs: list[tuple[Any, Any]] = [(one.inputs[name], other.inputs[name]) for name in one.inputs]
    for first, second in [*pairs, (one.targets, other.targets)]:
        assert (first is None and second is None) or torch.equal(first, second)
