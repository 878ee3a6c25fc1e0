from __future__ import annotations

import pytest
import shapes
import torch
from torch import Tensor

from bstsearch.layers.bert import Layer
from bstsearch.training.losses import Loss


def attend(x_BTD: Tensor, bias_B11T: Tensor | None = None, scale: float = 1.0) -> Tensor:
    return x_BTD * scale


@pytest.mark.parametrize(
    ("x", "bias", "message"),
    [
        ((2, 3), None, r"attend: x_BTD is \(2, 3\)"),
        ((2, 3, 4, 1), None, "x_BTD"),
        ((2, 3, 4), (2, 1, 1, 4), r"bias_B11T is \(2, 1, 1, 4\)"),
        ((2, 3, 4), (2, 1, 3, 3), "bias_B11T"),
        ((2, 3, 4), (1, 1, 1, 3), "bias_B11T"),
    ],
)
def test_an_argument_of_another_shape_fails(x: tuple[int, ...], bias: tuple[int, ...] | None, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        shapes.checking(attend)(torch.zeros(x), None if bias is None else torch.zeros(bias))


def test_arguments_of_their_shapes_pass() -> None:
    x = torch.zeros(2, 3, 4)
    assert torch.equal(shapes.checking(attend)(x, bias_B11T=torch.zeros(2, 1, 1, 3)), x)
    assert torch.equal(shapes.checking(attend)(x, scale=2.0), x)


def test_the_packages_own_calls_are_checked() -> None:
    layer = Layer(hidden=8, heads=2, head_dim=4, ffn=8, dropout=0.0)
    with pytest.raises(AssertionError, match=r"Layer.forward: bias_B11T is \(2, 1, 1, 5\)"):
        layer(torch.zeros(2, 3, 8), torch.zeros(2, 1, 1, 5))
    with pytest.raises(AssertionError, match="logits_BA"):
        Loss(kind="bce")(torch.zeros(3), torch.zeros(3), rows=3)
