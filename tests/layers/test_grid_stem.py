from __future__ import annotations

import torch

from bstsearch.layers.grid_stem import GridStem, places


def test_tokens_begin_without_a_place_or_with_one_of_their_own() -> None:
    assert not GridStem((4, 8), 16).position.any()
    stem = GridStem((4, 8), 16, is_placed=True)
    assert torch.equal(stem.position, places(4, 8))


def test_places_tell_rows_from_columns() -> None:
    codes = places(6, 64).reshape(6, 6, 64)
    assert codes.abs().max() <= 1.0
    assert len(torch.unique(codes.reshape(36, 64), dim=0)) == 36
    # The first half is the row's, the same for all columns; the second the column's.
    assert torch.equal(codes[:, :1, :32].expand(6, 6, 32), codes[:, :, :32])
    assert torch.equal(codes[:1, :, 32:].expand(6, 6, 32), codes[:, :, 32:])
    # The nearer two rows, the more alike are their codes.
    rows = codes[:, 0, :32]
    assert (torch.cdist(rows[:1], rows)[0].diff()[:3] > 0).all()


def test_channels_that_do_not_fall_into_four_parts_stay_free() -> None:
    codes = places(2, 6)
    assert codes.shape == (4, 6)
    assert not codes[:, 4:].any()
