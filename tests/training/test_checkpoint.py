from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from bstsearch.errors import InputError
from bstsearch.training.checkpoint import Standing, load_checkpoint, read_progress, save_checkpoint
from bstsearch.training.optimizers import Optimizer, Stepper
from bstsearch.training.schedules import Position, Schedule

STANDING: Standing = {"done": 3, "recipe": {"seed": 0}, "running": {"largest": 0.5}}
OVER = r"; --force starts training over$"
Tensors = dict[str, Tensor]


def trained(steps: int = 1) -> tuple[nn.Module, Stepper]:
    """A little model, and the optimiser that has taken so many steps with it."""
    torch.manual_seed(0)
    model = nn.Linear(2, 3)
    settings = Optimizer(kind="adam", learning_rate=0.1, schedule=Schedule(kind="cosine"))
    stepper = Stepper(model, (settings,))
    for step in range(steps):
        model(torch.ones(1, 2)).sum().backward()
        stepper.step(Position(step=step, steps=9, per_epoch=9, batches_per_epoch=9.0))
    return model, stepper


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "checkpoint.safetensors", *trained(), STANDING)
    return tmp_path / "checkpoint.safetensors"


def contents(path: Path) -> Tensors:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)


def test_what_was_saved_is_loaded(path: Path) -> None:
    (model, stepper), (expected, of_expected) = trained(0), trained()
    load_checkpoint(path, model, stepper)
    assert read_progress(path) == STANDING
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), expected.parameters(), strict=True))
    for one, other in zip(model.parameters(), expected.parameters(), strict=True):
        found, wanted = stepper.state_of(one), of_expected.state_of(other)
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[moment], wanted[moment]) for moment in wanted)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("model.bias"), "lacks 'bias'"),
        (lambda tensors: tensors.update({"model.bias": torch.zeros(4)}), r"'bias' has shape \(4,\), expected \(3,\)"),
        (lambda tensors: tensors.update({"model.bias": torch.zeros(3, dtype=torch.int32)}), "'bias' holds torch.int32"),
        (lambda tensors: tensors.update({"model.new": torch.zeros(4)}), "holds 'new'"),
        (lambda tensors: tensors["model.bias"].fill_(math.nan), r"'model.bias' has 3 of 3 numbers"),
        (lambda tensors: tensors["optimizer.exp_avg.bias"].fill_(math.inf), r"'optimizer.exp_avg.bias' has 3 of 3"),
        (lambda tensors: tensors.pop("optimizer.exp_avg.bias"), "lacks a moment of (bias|weight)"),
        (
            lambda tensors: tensors.update({"optimizer.exp_avg.bias": torch.zeros(4)}),
            "optimizer.exp_avg.bias does not fit this model",
        ),
        (
            lambda tensors: tensors.update({"optimizer.exp_avg.new": torch.zeros(3)}),
            "optimizer.exp_avg.new does not fit this model",
        ),
        (
            lambda tensors: tensors.update({"optimizer.step.bias": torch.zeros(3)}),
            "optimizer.step.bias does not fit this model",
        ),
    ],
)
def test_a_checkpoint_that_does_not_fit_changes_nothing(
    path: Path, change: Callable[[Tensors], Any], message: str
) -> None:
    tensors = contents(path)
    change(tensors)
    save_file(tensors, path)
    model, stepper = trained(0)
    before = model.weight.clone()
    with pytest.raises(InputError, match=rf"^{path}: {message}.*{OVER}"):
        load_checkpoint(path, model, stepper)
    assert torch.equal(model.weight, before)


@pytest.mark.parametrize(
    ("progress", "message"),
    [
        (None, "empty"),
        ("", "empty"),
        ('{"done": 3, "recipe": {"a": ' + "[" * 200_000, "nested too deep|malformed"),
        ("{}", "object missing required field done"),
        ({**STANDING, "done": -1}, "done: expected int >= 0"),
        ({**STANDING, "done": "3"}, "done: expected int, got str"),
        ({**STANDING, "recipe": []}, "recipe: expected object, got array"),
        ({**STANDING, "running": {"largest": "x" * 10**5}}, "running.*: expected float, got str"),
        ('{"done": 3, "recipe": {}, "running": {"largest": NaN}}', "malformed"),
    ],
)
def test_a_standing_of_other_types_is_one_line(path: Path, progress: Any, message: str) -> None:
    text = progress if isinstance(progress, str | None) else json.dumps(progress)
    save_file(contents(path), path, metadata=None if text is None else {"progress": text})
    with pytest.raises(InputError, match=rf"^{path}, progress.*({message}).*{OVER}") as caught:
        read_progress(path)
    assert len(str(caught.value)) < 300


def test_what_is_no_checkpoint_is_one_line(path: Path) -> None:
    whole = path.read_bytes()
    for content in (b"", whole[:100], whole[:-1], (10**15).to_bytes(8, "little") + whole[8:], b"\x80\x02garbage"):
        path.write_bytes(content)
        for read in (read_progress, lambda path: load_checkpoint(path, *trained(0))):
            with pytest.raises(InputError, match=rf"^{path} cannot be read: .*{OVER}"):
                read(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(InputError, match=rf"^{path}: a device, pipe or socket.*{OVER}"):
        read_progress(path)


def test_weights_that_are_not_finite_leave_the_checkpoint_before_them(path: Path) -> None:
    before = path.read_bytes()
    model, stepper = trained()
    with torch.no_grad():
        model.get_parameter("bias")[0] = math.nan
    message = rf"^{path} stays as it was: training diverged at step 3: 'model.bias' has 1 of 3 numbers"
    with pytest.raises(InputError, match=message):
        save_checkpoint(path, model, stepper, STANDING)
    assert path.read_bytes() == before
