from __future__ import annotations

import copy
from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn
from toy import FAMILY, ToyConfig

from bstsearch.model.supernet import Supernet
from bstsearch.space import Submodel

HALF = Submodel(width=Fraction(1, 2))


@pytest.fixture
def supernet() -> Supernet:
    """Bound once, so that a small model is kept."""
    torch.manual_seed(0)
    supernet = Supernet(FAMILY, ToyConfig()).eval()
    bound(supernet)
    return supernet


def bound(supernet: Supernet) -> Tensor:
    with torch.no_grad(), supernet.bind(HALF) as model:
        outputs: Tensor = model(**FAMILY.example_inputs(ToyConfig(), 2))
    return outputs


def materialised(supernet: Supernet) -> Tensor:
    with torch.no_grad():
        outputs: Tensor = supernet.materialise(HALF)(**FAMILY.example_inputs(ToyConfig(), 2))
    return outputs


def test_the_small_model_is_built_once_and_no_tree_of_modules_is_walked_again(
    supernet: Supernet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def walked(*_: object, **__: object) -> None:
        pytest.fail("a tree of modules was walked")

    for name in ("modules", "named_modules", "named_parameters", "parameters", "train", "zero_grad", "children"):
        monkeypatch.setattr(nn.Module, name, walked)
    monkeypatch.setattr(Supernet, "_build", walked)
    with supernet.bind(HALF):
        pass


def test_numbers_that_are_put_in_place_of_a_parameters_are_seen(supernet: Supernet) -> None:
    before = bound(supernet)
    for parameter in supernet.parameters():
        parameter.data = 2 * parameter.data
    assert not torch.equal(bound(supernet), before)
    assert torch.equal(bound(supernet), materialised(supernet))


def test_a_parameter_that_is_replaced_is_seen(supernet: Supernet) -> None:
    supernet.load_state_dict({name: 2 * tensor for name, tensor in supernet.state_dict().items()}, assign=True)
    assert torch.equal(bound(supernet), materialised(supernet))


def test_a_module_that_is_replaced_is_seen(supernet: Supernet) -> None:
    name, old = next((name, one) for name, one in supernet.model.named_modules() if isinstance(one, nn.Linear))
    supernet.model.set_submodule(name, nn.Linear(old.in_features, old.out_features, old.bias is not None))
    assert torch.equal(bound(supernet), materialised(supernet))


def test_a_copy_of_a_supernet_is_apart_from_it(supernet: Supernet) -> None:
    other, before = copy.deepcopy(supernet), bound(supernet)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(2)
    assert torch.equal(bound(other), materialised(other))
    assert torch.equal(bound(supernet), before)


def test_what_a_block_does_to_a_placeholder_is_gone_at_the_next_bind(supernet: Supernet) -> None:
    before = bound(supernet)
    with supernet.bind(HALF) as model:
        for parameter in model.parameters():
            parameter.data = torch.zeros_like(parameter)
        model.train()
    assert torch.equal(bound(supernet), before)
    with supernet.bind(HALF) as model:
        assert not any(module.training for module in model.modules())


def test_a_parameter_that_is_frozen_later_gets_no_gradient(supernet: Supernet) -> None:
    with supernet.bind(HALF) as model:
        model(**FAMILY.example_inputs(ToyConfig(), 2)).sum().backward()
    supernet.zero_grad()
    frozen = next(supernet.parameters()).requires_grad_(False)
    with supernet.bind(HALF) as model:
        model(**FAMILY.example_inputs(ToyConfig(), 2)).sum().backward()
    assert frozen.grad is None
    assert sum(parameter.grad is not None for parameter in supernet.parameters()) > 3
