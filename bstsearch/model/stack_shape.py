"""The layer stacks of a full model as a front file keeps them: names, keep orders, sizes (no torch)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from bstsearch.reading import Name, Whole


class StackShape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One stack: the order in which its layers are kept, and each layer's heads and FFN units in the full model.

    `heads` and `ffn` are empty where the family's config does not tell them by those words. ValueError where they do
    not fit together.
    """

    name: Name
    keep_order: tuple[Whole, ...]
    heads: tuple[Whole, ...] = ()
    ffn: tuple[Whole, ...] = ()

    def __post_init__(self) -> None:
        layers = len(self.keep_order)
        if sorted(self.keep_order) != list(range(layers)) or {len(self.heads), len(self.ffn)} - {0, layers}:
            raise ValueError("keep_order must name each layer once, sizes each layer")


def per_layer(config: Mapping[str, Any], word: str, layers: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The sizes that a config's fields named `word` (or ending in it) give each layer, one row per stack.

    Empty rows where they do not name every layer of every stack once.

    >>> per_layer({"encoder_ffn": (8, 8), "decoder_ffn": (4,)}, "ffn", (2, 1))
    [(8, 8), (4,)]
    >>> per_layer({"ffn": 8}, "ffn", (2, 1))
    [(), ()]
    """
    named = [value for name, value in config.items() if name == word or name.endswith(f"_{word}")]
    rows = [tuple(value) if isinstance(value, list | tuple) else () for value in named]
    return rows if tuple(map(len, rows)) == layers else [()] * len(layers)
