"""What a stage keeps as it goes; whole stages are tests/training/test_loop.py's."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from bstsearch.errors import InputError
from bstsearch.training.kept import Kept, Row, made_by
from bstsearch.training.log import COLUMNS
from bstsearch.training.optimizers import Optimizer, Stepper
from bstsearch.training.recipes import get_recipe
from bstsearch.training.schedules import Schedule

ROWS: list[Row] = [dict.fromkeys(COLUMNS, "0.5") | {"step": str(step)} for step in (1, 2)]
RUNNING = {"largest": 0.25}


def write(kept: Kept, done: int = 2) -> None:
    model = nn.Linear(2, 3)
    settings = Optimizer(kind="adam", learning_rate=0.1, schedule=Schedule(kind="cosine"))
    kept.write(done, ROWS[:done], RUNNING, model, Stepper(model, (settings,)))


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(folder=tmp_path / "training", stage="teacher", made_by={"seed": 0, "model": {"sizes": (1, 2)}})


def test_nothing_is_kept_before_the_first_checkpoint(kept: Kept) -> None:
    assert kept.read() == (0, [], {})
    kept.folder.mkdir()
    kept.log.write_text("the log of a run that was killed before its checkpoint was there")
    assert kept.read() == (0, [], {})


def test_what_is_kept_is_read_back(kept: Kept) -> None:
    for done in (1, 2):
        write(kept, done)
        assert kept.read() == (done, ROWS[:done], RUNNING)
    assert sorted(path.name for path in kept.folder.iterdir()) == ["teacher-checkpoint.safetensors", "teacher-log.csv"]


def test_a_log_that_is_ahead_of_its_checkpoint_is_read_as_far_as_that(kept: Kept) -> None:
    write(kept, 2)
    ahead = kept.log.read_text()
    write(kept, 1)
    kept.log.write_text(ahead)
    assert kept.read() == (1, ROWS[:1], RUNNING)


@pytest.mark.parametrize(
    ("change", "named"),
    [({"seed": 1}, "seed"), ({"seed": 0, "model": {}}, "model"), ({"teacher": "a"}, "model, seed, teacher")],
)
def test_another_run_does_not_go_on_from_it(kept: Kept, change: dict[str, Any], named: str) -> None:
    write(kept)
    other = dataclasses.replace(kept, made_by=change if "teacher" in change else {**kept.made_by, **change})
    with pytest.raises(InputError, match=rf"^{kept.checkpoint} was trained with another {named}; --force starts over$"):
        other.read()


def test_stages_are_kept_apart(kept: Kept) -> None:
    write(kept)
    other = dataclasses.replace(kept, stage="sandwich")
    assert other.read() == (0, [], {})
    other.checkpoint.write_bytes(kept.checkpoint.read_bytes())
    with pytest.raises(InputError, match="trained with another stage"):
        other.read()


def test_a_damaged_checkpoint_is_refused_by_its_name(kept: Kept) -> None:
    write(kept)
    kept.checkpoint.write_bytes(kept.checkpoint.read_bytes()[:-1])
    with pytest.raises(InputError, match=f"^{kept.checkpoint}"):
        kept.read()


def test_weights_that_are_not_finite_leave_the_checkpoint_before_them(kept: Kept) -> None:
    write(kept, 1)
    before = kept.checkpoint.read_bytes()
    model = nn.Linear(1, 1)
    with torch.no_grad():
        model.weight.fill_(torch.nan)
    stepper = Stepper(model, (Optimizer(kind="adam", learning_rate=0.1, schedule=Schedule(kind="cosine")),))
    with pytest.raises(InputError, match="training diverged at step 2"):
        kept.write(2, ROWS, RUNNING, model, stepper)
    assert kept.checkpoint.read_bytes() == before
    assert kept.read()[0] == 1


def test_weights_depend_on_the_recipe_and_on_the_rest() -> None:
    recipe = get_recipe("demo")
    found = made_by(recipe, {"model": {"hidden": 16}})
    assert found == {**recipe.settings(), "model": {"hidden": 16}}
