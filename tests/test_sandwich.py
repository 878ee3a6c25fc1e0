from __future__ import annotations

import random

import pytest
import torch

from bstsearch.families.mcan import FAMILY, McanConfig
from bstsearch.sandwich import distillation_loss, draw_sandwich, sandwich_step
from bstsearch.space import Space, Submodel
from bstsearch.supernet import Supernet


def test_the_draws_are_the_published_ones() -> None:
    # What the public BST code draws in its first five iterations after random.seed(0).
    drawn = ["w3of4-d2of3 w3of4-d1 w1of2-d1of3", "w1of4-d1of3 w1of4-d1 w1of2-d2of3", "w3of4-d1 w1of2-d1of3 w1of4-d1"]
    drawn += ["w3of4-d1 w1of4-d1 w1of2-d2of3", "w1of2-d1of3 w1of2-d2of3 w1of4-d2of3"]
    source = random.Random(0)
    for names in drawn:
        ids = [submodel.id for submodel in draw_sandwich(Space.bst(stacks=(6, 6)), source)]
        assert ids == ["w1of4-d1of6", "w1-d1", *names.split()]


def test_a_space_of_one_is_drawn_once() -> None:
    one = Submodel().width
    assert draw_sandwich(Space(widths=(one,), depths=(one,), stacks=(2,)), random.Random(0)) == [Submodel()]


def test_the_loss_is_zero_for_the_teachers_own_logits_and_positive_for_others() -> None:
    teacher = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    assert distillation_loss(teacher + 3, teacher).item() == pytest.approx(0, abs=1e-6)
    assert distillation_loss(-teacher, teacher).item() > 0.1


def test_shared_fixed_part_gives_the_gradients_of_separate_full_passes(tiny_config: McanConfig) -> None:
    torch.manual_seed(0)
    supernet = Supernet(FAMILY, tiny_config).double().eval()
    inputs = FAMILY.example_inputs(tiny_config, 3)
    teacher = torch.randn(3, tiny_config.answers, dtype=torch.float64)
    submodels = draw_sandwich(supernet.space, random.Random(1))

    results = sandwich_step(supernet, submodels, inputs, teacher)
    together = {name: parameter.grad.clone() for name, parameter in supernet.named_parameters()}
    supernet.zero_grad()
    for submodel in submodels:
        with supernet.bind(submodel) as model:
            loss = distillation_loss(model(**inputs), teacher)
            loss.backward()
        assert results[submodel][0] == pytest.approx(loss.item())
    for name, parameter in supernet.named_parameters():
        torch.testing.assert_close(together[name], parameter.grad, rtol=1e-9, atol=1e-12)


def test_batch_norm_of_the_fixed_part_sees_a_batch_once(tiny_config: McanConfig) -> None:
    supernet = Supernet(FAMILY, tiny_config).train()
    inputs = FAMILY.example_inputs(tiny_config, 3)
    sandwich_step(supernet, draw_sandwich(supernet.space, random.Random(1)), inputs, torch.zeros(3, 13))
    assert supernet.model.get_buffer("stem.layers.1.num_batches_tracked").item() == 1
