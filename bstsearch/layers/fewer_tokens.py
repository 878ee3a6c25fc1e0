"""Fewer tokens of an image than there are: the leading regions, or neighbouring cells of a grid as one.

Letters: B batch, V tokens, F features.
"""

from __future__ import annotations

import math
from fractions import Fraction

from torch import Tensor

from bstsearch.errors import InputError
from bstsearch.model.family import whole
from bstsearch.space import Shares

REGIONS = (Fraction(1, 4), Fraction(1, 2), Fraction(1))
CELLS = (Fraction(1, 16), Fraction(1, 4), Fraction(1))


def pooled(grid_BVF: Tensor, tokens: int) -> Tensor:
    """The cells of a square grid (B, V, F), row by row, as `tokens` means of square blocks of neighbours."""
    # Numbers, not traced sizes (hence int), for all axes but the batch: ONNX then holds no shape arithmetic.
    cells, features = int(grid_BVF.shape[1]), int(grid_BVF.shape[2])
    side, small = math.isqrt(cells), math.isqrt(tokens)
    blocks = grid_BVF.reshape(-1, small, side // small, small, side // small, features)
    return blocks.mean((2, 4)).reshape(-1, tokens, features)


def check_seen(name: str, seen: int, tokens: int, *, is_grid: bool) -> None:
    """Passes where a model can see `seen` of that many tokens, 0 for all; else InputError, which begins with `name`."""
    if not 0 <= seen <= tokens:
        raise InputError(f"{name}: seen_tokens={seen} of {tokens} tokens of the image")
    if is_grid and seen and not _divides(seen, tokens):
        raise InputError(
            f"{name}: seen_tokens={seen} are no whole blocks of a grid of {tokens}; choose a quarter or a sixteenth"
        )


def seen_by(seen: int, tokens: int, share: Fraction) -> int:
    """How many tokens a submodel of that share sees, where its full model sees `seen`, or with 0 all of `tokens`."""
    return seen if share == 1 else whole(seen or tokens, share, "seen_tokens")


def token_shares(tokens: int, *, is_grid: bool) -> Shares:
    """The shares of an image's tokens that are whole regions, or whole blocks of a grid.

    >>> [str(share) for share in token_shares(64, is_grid=True)]
    ['1/16', '1/4', '1']
    """
    shares = CELLS if is_grid else REGIONS
    return tuple(
        share
        for share in shares
        if (share * tokens).denominator == 1 and (not is_grid or _divides(int(share * tokens), tokens))
    )


def _divides(few: int, tokens: int) -> bool:
    """Whether square blocks of a square grid of `tokens` cells are `few`."""
    side, small = math.isqrt(tokens), math.isqrt(few)
    return small * small == few and side % small == 0
