"""Which of a stack's layers to keep longest (no torch)."""

from __future__ import annotations


def ends_first(layers: int, *, starts_at_top: bool = False) -> tuple[int, ...]:
    """The order in which layers are kept: the two ends first, then inwards, bottom before top.

    BST publishes it for MCAN's six layers only (public code, file mca.py): encoder 0 5 1 4 2 3, decoder
    5 0 1 4 2 3. The pattern behind both is "alternate from the two ends inwards": the first layer reads
    the adapter, the last feeds the pooling, and the ones between are the most alike. The decoder differs in its
    first choice alone, the top layer, so the same exchange is made here for every number of layers. For BERT's
    twelve it is our reading: no source states theirs.

    >>> ends_first(6), ends_first(6, starts_at_top=True), ends_first(4)
    ((0, 5, 1, 4, 2, 3), (5, 0, 1, 4, 2, 3), (0, 3, 1, 2))
    >>> ends_first(12)
    (0, 11, 1, 10, 2, 9, 3, 8, 4, 7, 5, 6)
    """
    order = [index // 2 if index % 2 == 0 else layers - 1 - index // 2 for index in range(layers)]
    if starts_at_top:
        order[:2] = reversed(order[:2])
    return tuple(order)
