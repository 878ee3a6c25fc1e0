from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bstsearch.layers.attention import attention
from bstsearch.layers.dropout import drawn_scales

RATE = 0.25


def tensors(tokens: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 4, tokens, 8, dtype=torch.float64, requires_grad=True).unbind()
    return query, key, value


def padding() -> Tensor:
    """One of two examples has two keys of padding, the other nothing else."""
    is_padding = torch.tensor([[False, False, False, True, True], [True] * 5])
    return (is_padding.double() * -1e30)[:, None, None, :]


@pytest.mark.parametrize("bias", [None, padding()], ids=["all", "padded"])
def test_it_is_torchs_attention_with_the_shares_dropped(bias: Tensor | None) -> None:
    query, key, value = tensors()
    torch.manual_seed(1)
    found = attention(query, key, value, bias, RATE, 0.3)
    torch.manual_seed(1)
    kept = drawn_scales(torch.empty(2, 4, 5, 5, dtype=torch.float64), RATE)
    shares = F.scaled_dot_product_attention(query, key, torch.eye(5).double(), bias, scale=0.3)
    expected = (shares * kept) @ value
    torch.testing.assert_close(found, expected)
    inputs = (query, key, value)
    gradients = [torch.autograd.grad(out.pow(3).sum(), inputs, retain_graph=True) for out in (found, expected)]
    torch.testing.assert_close(*gradients)


def test_without_dropout_it_is_torchs_own() -> None:
    query, key, value = tensors()
    expected = F.scaled_dot_product_attention(query, key, value, padding(), scale=0.3)
    assert torch.equal(attention(query, key, value, padding(), 0.0, 0.3), expected)
