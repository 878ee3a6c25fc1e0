from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bstsearch.training.losses import Loss

ANSWERS = torch.tensor([1, 0, 4, 4, 2])


def random(seed: int) -> Tensor:
    return torch.randn(5, 6, generator=torch.Generator().manual_seed(seed))


SOFT = random(2).sigmoid()
CASES = [
    (Loss(kind="bce-teacher", reduction="sum"), random(1)),
    (Loss(kind="kl-teacher"), random(1)),
    (Loss(kind="bce", reduction="element-mean", factor=500.0), SOFT),
    (Loss(kind="bce"), ANSWERS),
    (Loss(kind="cross-entropy", reduction="sum"), ANSWERS),
]


def test_losses_are_those_of_torch() -> None:
    logits, teacher = random(0), random(1)
    found = [loss(logits, target, rows=5) for loss, target in CASES]
    expected = [
        F.binary_cross_entropy_with_logits(logits, teacher.sigmoid(), reduction="sum"),
        F.kl_div(logits.log_softmax(-1), teacher.softmax(-1), reduction="batchmean"),
        500 * F.binary_cross_entropy_with_logits(logits, SOFT),
        6 * F.binary_cross_entropy_with_logits(logits, F.one_hot(ANSWERS, 6).float()),
        F.cross_entropy(logits, ANSWERS, reduction="sum"),
    ]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("loss", "target"), CASES, ids=lambda value: value.kind if isinstance(value, Loss) else "")
def test_the_parts_of_a_batch_add_up_to_its_loss_and_gradient(loss: Loss, target: Tensor) -> None:
    whole, parts = random(0).requires_grad_(), random(0).requires_grad_()
    total = loss(whole, target, rows=5)
    total.backward()
    for rows in (slice(0, 3), slice(3, 4), slice(4, 5)):
        loss(parts[rows], target[rows], rows=5).backward()
    torch.testing.assert_close(parts.grad, whole.grad)


@pytest.mark.parametrize("kind", ["kl-teacher", "bce-teacher"])
def test_the_teachers_own_logits_cannot_be_bettered(kind: str) -> None:
    teacher, loss = random(1), Loss(kind=kind)
    logits = teacher.clone().requires_grad_()
    best = loss(logits, teacher, rows=5)
    best.backward()
    torch.testing.assert_close(logits.grad, torch.zeros(5, 6), rtol=0, atol=1e-6)
    assert loss(-teacher, teacher, rows=5) > best + 0.1


@pytest.mark.parametrize(("loss", "target"), CASES, ids=lambda value: value.kind if isinstance(value, Loss) else "")
def test_logits_of_half_precision_are_held_against_the_target_in_float32(loss: Loss, target: Tensor) -> None:
    logits = random(0).bfloat16()
    found = loss(logits, target, rows=5)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, loss(logits.float(), target, rows=5))
