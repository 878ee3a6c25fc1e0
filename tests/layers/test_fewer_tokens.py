from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from bstsearch.errors import InputError
from bstsearch.layers.fewer_tokens import check_seen, pooled, seen_by, token_shares


def test_a_grid_is_averaged_over_blocks_of_neighbours() -> None:
    grid = torch.arange(2 * 16 * 3).view(2, 16, 3).double()
    found = pooled(grid, 4)
    assert found.shape == (2, 4, 3)
    assert torch.equal(found[:, 0], grid[:, [0, 1, 4, 5]].mean(1))
    assert torch.equal(found[:, 3], grid[:, [10, 11, 14, 15]].mean(1))
    assert torch.equal(pooled(grid, 1)[:, 0], grid.mean(1))


@pytest.mark.parametrize(
    ("tokens", "is_grid", "shares"),
    [
        (64, True, "1/16 1/4 1"),
        (36, True, "1/4 1"),
        (25, True, "1"),
        (4, True, "1/4 1"),
        (100, False, "1/4 1/2 1"),
        (6, False, "1/2 1"),
        (7, False, "1"),
    ],
)
def test_shares_that_fit(tokens: int, is_grid: bool, shares: str) -> None:
    found = token_shares(tokens, is_grid=is_grid)
    assert " ".join(map(str, found)) == shares
    for share in found:
        check_seen("X", int(share * tokens), tokens, is_grid=is_grid)


def test_a_share_of_a_share() -> None:
    assert seen_by(0, 64, Fraction(1)) == 0
    assert seen_by(0, 64, Fraction(1, 4)) == 16
    assert seen_by(16, 64, Fraction(1, 4)) == 4
    with pytest.raises(InputError, match="seen_tokens=6 times 1/4 is not a whole number"):
        seen_by(0, 6, Fraction(1, 4))


@pytest.mark.parametrize("seen", [-1, 65])
def test_more_tokens_than_there_are_cannot_be_seen(seen: int) -> None:
    with pytest.raises(InputError, match=f"X: seen_tokens={seen} of 64 tokens of the image"):
        check_seen("X", seen, 64, is_grid=True)


def test_a_grid_is_seen_in_whole_blocks() -> None:
    check_seen("X", 32, 64, is_grid=False)
    for seen in (32, 36):
        with pytest.raises(InputError, match=f"X: seen_tokens={seen} are no whole blocks of a grid of 64; choose a"):
            check_seen("X", seen, 64, is_grid=True)
