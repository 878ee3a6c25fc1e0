from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bstsearch.layers.mcan_norm import FusedMcanLayerNorm, McanLayerNorm
from bstsearch.model.family import seeded

Norm = McanLayerNorm | FusedMcanLayerNorm


def published(norm: Norm, x: Tensor) -> Tensor:
    """In float64."""
    x, weight, bias = x.double(), norm.weight.double(), norm.bias.double()
    return weight * (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-6) + bias


def random_values(norm: Norm) -> Norm:
    with torch.no_grad():
        norm.weight.normal_(generator=seeded(1))
        norm.bias.normal_(generator=seeded(2))
    return norm


@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize("size", [16, 64, 512])
@pytest.mark.parametrize("std", [0.0, 1e-8, 1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0, 1e4])
def test_every_row_is_normalised_by_the_published_formula_whatever_its_scale(
    size: int, std: float, is_training: bool
) -> None:
    norm = random_values(McanLayerNorm(size)).train(is_training)
    x = std * torch.randn(50, size, generator=seeded())
    torch.testing.assert_close(norm(x).double(), published(norm, x), rtol=0, atol=5e-6)


@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize("shape", [(12,), (5, 12), (2, 3, 12)])
@pytest.mark.parametrize("std", [1e-6, 1e-3, 1.0, 100.0])
def test_gradients_are_those_of_the_published_formula(std: float, shape: tuple[int, ...], is_training: bool) -> None:
    norm = random_values(McanLayerNorm(12)).double().train(is_training)
    x = (std * torch.randn(shape, dtype=torch.float64, generator=seeded())).requires_grad_()
    inputs = (x, norm.weight, norm.bias)
    found = torch.autograd.grad(norm(x).pow(3).sum(), inputs)
    expected = torch.autograd.grad(published(norm, x).pow(3).sum(), inputs)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("std", [1e-6, 1e-3, 1.0, 1e4])
def test_in_float32_the_kernel_is_as_exact_as_what_is_written_out(std: float) -> None:
    norm = random_values(McanLayerNorm(64))
    x = (std * (3 + torch.randn(40, 64, generator=seeded()))).requires_grad_()
    weights = torch.randn(40, 64, generator=seeded(3))
    expected = torch.autograd.grad((published(norm, x) * weights).sum(), (x, norm.weight, norm.bias))
    for is_training in (True, False):
        found = torch.autograd.grad((norm.train(is_training)(x) * weights).sum(), (x, norm.weight, norm.bias))
        for one, other in zip(found, expected, strict=True):
            assert (one - other).abs().max() <= 1e-6 * other.abs().max()


def test_the_kernel_is_of_training_alone_so_that_an_export_has_plain_operators() -> None:
    norm, x = McanLayerNorm(8), torch.randn(2, 8, requires_grad=True)
    assert "_Normalised" in type(norm(x).grad_fn).__name__
    assert "_Normalised" not in type(norm.eval()(x).grad_fn).__name__
    norm.train()
    (of_x,) = torch.autograd.grad(norm(x).pow(3).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        of_x.sum().backward()


@pytest.mark.parametrize("is_training", [True, False])
def test_a_constant_row_becomes_the_bias_and_has_finite_gradients(is_training: bool) -> None:
    norm = random_values(McanLayerNorm(8)).train(is_training)
    x = torch.tensor([0.0, 1.0, -4.0]).unsqueeze(1).expand(3, 8).clone().requires_grad_()
    y = norm(x)
    assert torch.equal(y, norm.bias.expand(3, 8))
    y.square().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_half_precision_is_normalised_in_the_precision_of_the_weights() -> None:
    norm = random_values(McanLayerNorm(32))
    x = (300 * torch.randn(4, 32, generator=seeded())).bfloat16()
    assert norm(x).dtype == torch.float32
    torch.testing.assert_close(norm(x).double(), published(norm, x), rtol=0, atol=5e-6)


@pytest.mark.parametrize("std", [1.0, 0.1])
def test_the_fused_norm_is_the_published_formula_near_the_expected_std(std: float) -> None:
    norm = random_values(FusedMcanLayerNorm(12, expected_std=std))
    x = std * torch.randn(5, 12, generator=seeded())
    torch.testing.assert_close(norm(x).double(), published(norm, x), rtol=1e-5, atol=1e-5)


def test_both_norms_differ_from_torchs() -> None:
    # With the n divisor the result is larger by sqrt(12/11).
    x = torch.randn(5, 12, generator=seeded())
    for norm in (McanLayerNorm(12), FusedMcanLayerNorm(12)):
        assert not torch.allclose(norm(x), nn.functional.layer_norm(x, (12,)), rtol=1e-2)
