from __future__ import annotations

import pytest
import torch
from torch import nn

from bstsearch.training.optimizers import Optimizer, Stepper
from bstsearch.training.recipes import CLIP_VIL, UNITER
from bstsearch.training.schedules import Position, Schedule

FLAT = Schedule(kind="steps")
POSITION = Position(step=0, steps=10, per_epoch=10, batches_per_epoch=10.0)


def model_of(*names: str) -> nn.Module:
    """One parameter, of value 1 and gradient 1, under each dotted name."""
    model = nn.Module()
    for name in names:
        owner = model
        *path, leaf = name.split(".")
        for part in path:
            if part not in owner._modules:
                owner.add_module(part, nn.Module())
            owner = owner.get_submodule(part)
        owner.register_parameter(leaf, nn.Parameter(torch.ones(2)))
    for parameter in model.parameters():
        parameter.grad = torch.ones(2)
    return model


def groups_of(stepper: Stepper, model: nn.Module) -> dict[str, tuple[str, float, float]]:
    """Name -> kind of optimiser, weight decay, factor on the learning rate."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {
        names[parameter]: (type(optimizer).__name__, group["weight_decay"], group["factor"])
        for _, optimizer in stepper.pairs
        for group in optimizer.param_groups
        for parameter in group["params"]
    }


def test_uniter_decays_all_but_what_it_names_and_its_head_learns_faster() -> None:
    model = model_of("a.weight", "a.bias", "a.LayerNorm.weight", "img_layer_norm.weight", "vqa_output.2.weight")
    assert groups_of(Stepper(model, (UNITER.teacher.optimizer,)), model) == {
        "a.weight": ("AdamW", 0.01, 1.0),
        "a.bias": ("AdamW", 0.0, 1.0),
        "a.LayerNorm.weight": ("AdamW", 0.0, 1.0),
        "img_layer_norm.weight": ("AdamW", 0.01, 1.0),
        "vqa_output.2.weight": ("AdamW", 0.01, 10.0),
    }


def test_clip_vils_tower_has_an_sgd_of_its_own() -> None:
    stage = CLIP_VIL.teacher
    assert stage.tower is not None
    model = model_of("encoder.visual_model.visual.conv1.weight", "logit_fc.weight")
    stepper = Stepper(model, (stage.tower, stage.optimizer))
    assert groups_of(stepper, model) == {
        "encoder.visual_model.visual.conv1.weight": ("SGD", 4e-4, 1.0),
        "logit_fc.weight": ("AdamW", 0.01, 1.0),
    }
    assert Stepper(model_of("logit_fc.weight"), (stage.tower, stage.optimizer)).pairs[0][0] is stage.optimizer


@pytest.mark.parametrize("kind", ["adam", "adamw", "sgd"])
def test_a_step_is_torchs_own_with_the_schedules_rate(kind: str) -> None:
    settings = Optimizer(
        kind=kind, learning_rate=0.1, schedule=Schedule(kind="steps", at=(0,), factor=0.5), head=("b",), head_factor=3.0
    )
    model, expected = model_of("a", "b"), model_of("a", "b")
    make = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[kind]
    options = {} if kind == "sgd" else {"betas": (0.9, 0.98), "eps": 1e-9}
    plain = make(
        [{"params": [expected.get_parameter("a")]}, {"params": [expected.get_parameter("b")], "lr": 0.15}],
        lr=0.05,
        weight_decay=0.0,
        **options,
    )
    stepper = Stepper(model, (settings,))
    assert stepper.step(POSITION) == pytest.approx(0.05)
    plain.step()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter, expected.get_parameter(name), rtol=1e-6, atol=0)
        assert parameter.grad is not None
        assert not parameter.grad.any()


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_adam_steps_in_one_kernel_with_the_numbers_of_its_plain_one(kind: str) -> None:
    torch.manual_seed(0)
    model, expected = nn.Linear(40, 30), nn.Linear(40, 30)
    expected.load_state_dict(model.state_dict())
    settings = Optimizer(kind=kind, learning_rate=0.01, schedule=FLAT, weight_decay=0.01)
    stepper = Stepper(model, (settings,))
    make = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[kind]
    plain = make(expected.parameters(), lr=0.01, betas=(0.9, 0.98), eps=1e-9, weight_decay=0.01, foreach=False)
    for step in range(20):
        for one, other in zip(model.parameters(), expected.parameters(), strict=True):
            one.grad = torch.randn(one.shape) * 10.0 ** -(step % 8)
            other.grad = one.grad.clone()
        stepper.step(POSITION)
        plain.step()
    assert all(group["fused"] for group in stepper.pairs[0][1].param_groups)
    for one, other in zip(model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)
        for moment, tensor in plain.state[other].items():
            torch.testing.assert_close(stepper.state_of(one)[moment], tensor, rtol=1e-5, atol=1e-9)
