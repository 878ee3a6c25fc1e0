"""The layer stacks of a full model as a front file keeps them: names, keep orders, sizes (no torch)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bstsearch.errors import InputError


@dataclass(frozen=True, kw_only=True)
class StackShape:
    """One stack: the order in which its layers are kept, and each layer's heads and FFN units in the full model.

    `heads` and `ffn` are empty where the family's config does not tell them by those words.
    """

    name: str
    keep_order: tuple[int, ...]
    heads: tuple[int, ...] = ()
    ffn: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` reads it back."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}

    @classmethod
    def from_json(cls, data: Any) -> StackShape:
        """The stack written by `to_json`; InputError where it is malformed."""
        fields = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(data, Mapping) or data.keys() != fields or not isinstance(data["name"], str):
            raise InputError(f"malformed stack {data!r}; expected an object with {', '.join(sorted(fields))}")
        rows = {name: _row(data, name) for name in ("keep_order", "heads", "ffn")}
        layers = len(rows["keep_order"])
        if sorted(rows["keep_order"]) != list(range(layers)) or {len(rows["heads"]), len(rows["ffn"])} - {0, layers}:
            raise InputError(
                f"malformed stack {data['name']!r}: keep_order must name each layer once, sizes each layer"
            )
        return cls(name=data["name"], **rows)


def _row(data: Mapping[str, Any], name: str) -> tuple[int, ...]:
    row = data[name]
    if not isinstance(row, list) or any(type(value) is not int or value < 0 for value in row):
        raise InputError(f"malformed stack: {name} must be a list of whole numbers, not {row!r}")
    return tuple(row)


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
