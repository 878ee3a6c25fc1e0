from __future__ import annotations

import dataclasses

import pytest

from bstsearch.training.recipes import BST, BST_GQA, UNITER, StageRecipe
from bstsearch.training.schedules import Position, Schedule

# 650 questions in batches of 64, the incomplete last one left out.
POSITION = Position(step=0, steps=150, per_epoch=10, batches_per_epoch=650 / 64)


def rates(schedule: Schedule, position: Position, base: float = 1.0) -> list[float]:
    return [schedule.rate(base, dataclasses.replace(position, step=step)) for step in range(position.steps)]


def rates_of(stage: StageRecipe) -> list[list[float]]:
    """One list per epoch."""
    position = dataclasses.replace(POSITION, steps=10 * stage.epochs)
    flat = rates(stage.optimizer.schedule, position, stage.optimizer.learning_rate)
    return [flat[start : start + 10] for start in range(0, len(flat), 10)]


def test_the_rates_for_vqa_are_the_published_codes_to_the_last_bit() -> None:
    # What the public BST code sets for 650 questions, step by step.
    values = [2.5e-05, 5e-05, 7.500000000000001e-05, *[1e-4] * 7, *[2e-5] * 2, *[4.000000000000001e-06] * 2]
    assert rates_of(BST.sandwich) == [[value] * 10 for value in [*values, 8.000000000000002e-07]]


def test_the_rates_for_gqa_are_the_published_codes_to_the_last_bit() -> None:
    third, two_thirds = 3.3333333333333335e-05, 6.666666666666667e-05
    warmup = [[third] * 7 + [two_thirds] * 3, [two_thirds] * 5 + [1e-4] * 5]
    rest = [[value] * 10 for value in [*[1e-4] * 6, *[2e-5] * 2, 4.000000000000001e-06]]
    assert rates_of(BST_GQA.sandwich) == [*warmup, *rest]


def test_steps_without_warm_up_start_at_the_full_rate() -> None:
    found = rates(Schedule(kind="steps", at=(2,), factor=0.1), dataclasses.replace(POSITION, steps=30))
    assert found == [1.0] * 20 + [0.1] * 10


def test_a_line_rises_to_the_full_rate_and_falls_to_zero() -> None:
    position = Position(step=0, steps=6000, per_epoch=300, batches_per_epoch=300.0)
    found = rates(UNITER.sandwich.optimizer.schedule, position)
    assert found[0] == pytest.approx(1 / 600)
    assert found.index(max(found)) == 599
    assert max(found) == 1
    assert found[3299] == pytest.approx(0.5)
    assert found[-1] == 0


def test_a_cosine_starts_again_at_its_restarts() -> None:
    found = rates(Schedule(kind="cosine", warmup=0.1, at=(10,)), POSITION)
    assert found[0] == found[100] == 0
    assert [found[10], found[105]] == pytest.approx([1, 1])
    assert found[99] < 0.01
    assert found[55] == pytest.approx(0.5)
