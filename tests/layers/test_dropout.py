from __future__ import annotations

import pytest
import torch

from bstsearch.layers.dropout import Dropout, drawn_scales


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.9])
def test_a_share_of_the_rate_is_dropped_and_the_mean_stays(rate: float) -> None:
    torch.manual_seed(0)
    scales = drawn_scales(torch.empty(1000, 1001, dtype=torch.float64), rate)
    share = float((scales == 0).double().mean())
    error = (rate * (1 - rate) / 1e6) ** 0.5
    assert abs(share - rate) < 4 * error
    assert abs(float(scales.mean()) - 1) < 4 * error / (1 - rate)
    assert scales.max().item() == pytest.approx(1 / (1 - rate), rel=2**-16 / (1 - rate))


def test_what_is_drawn_is_independent_of_what_lies_beside_it() -> None:
    torch.manual_seed(0)
    kept = (drawn_scales(torch.empty(10**6), 0.1) > 0).double().sub(0.9)
    for distance in (1, 2, 3, 4, 5, 8, 64, 512, 2496):
        assert abs(float((kept[distance:] * kept[:-distance]).mean() / 0.09)) < 4 / 1000


def test_nothing_or_all_may_be_dropped() -> None:
    x = torch.ones(5, 3)
    assert Dropout(0.0)(x) is x
    assert Dropout(0.1).eval()(x) is x
    assert not Dropout(1.0)(x).any()
    assert torch.equal(drawn_scales(x, 1e-9), x)
    assert Dropout(0.5)(torch.empty(0, 3)).shape == (0, 3)


def test_the_draw_depends_on_the_seed_alone() -> None:
    dropout, x = Dropout(0.3), torch.ones(7, 33)
    threads = torch.get_num_threads()
    drawn = []
    try:
        for seed, count in ((0, 1), (0, 2), (1, 1)):
            torch.set_num_threads(count)
            torch.manual_seed(seed)
            drawn.append(dropout(x))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_added_is_the_sum_with_what_dropout_leaves_and_so_are_its_gradients(dtype: torch.dtype) -> None:
    dropout = Dropout(0.3)
    x, y = torch.randn(5, 6, requires_grad=True), torch.randn(5, 6, dtype=dtype, requires_grad=True)
    results = []
    for added in (lambda: dropout.added(x, y), lambda: x + dropout(y)):
        torch.manual_seed(3)
        out = added()
        results.append((out, *torch.autograd.grad(out.square().sum(), (x, y))))
    torch.testing.assert_close(results[0], results[1], rtol=2e-2 if dtype == torch.bfloat16 else 1e-6, atol=1e-6)
    assert torch.equal(dropout.eval().added(x, y), x + y)


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_relu_is_dropout_of_relu_and_so_are_its_gradients(rate: float, dtype: torch.dtype) -> None:
    dropout, x = Dropout(rate), torch.randn(5, 60, dtype=dtype, requires_grad=True)
    results = []
    for both in (dropout.relu, lambda x: dropout(x.relu())):
        torch.manual_seed(3)
        y = both(x)
        results.append((y, *torch.autograd.grad(y.square().sum(), x)))
    torch.testing.assert_close(results[0], results[1])
    assert torch.equal(dropout.eval().relu(x), x.relu())
