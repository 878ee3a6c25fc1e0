"""A small configuration of the same class, so that hundreds of trials take seconds."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from bstsearch.stock.configuration import Settings, StockConfig
from bstsearch.stock.trial import shapes_of

LAYERS, VOCABULARY, POSITIONS, PATCHES = 4, 96, 48, 4
SMALL = 2_000_000  # parameters; a smaller model is left as it is
LARGEST = 100_000_000  # parameters that are tried at all: dozens of models of that size are built, in float64
WIDE = 48  # sizes from here on are made smaller
_LAYERS = re.compile(r"(^|_)(layers?|depth|blocks)$")
_HEADS = re.compile(r"heads|groups")


def candidates(config: StockConfig) -> Iterator[StockConfig]:
    """Configurations of the same class, smaller ones first, that can be built; at last `config`, where it is no giant.

    That one of them runs, whoever takes it has to find out: sizes may go together in ways that only the code knows.
    """
    if _count(config) > SMALL:
        few = _build(config, _fewer(config.settings))
        for divide in (_widths, _with_heads):
            for divisor in (16, 8, 4):
                small = _build(few or config, divide((few or config).settings, divisor))
                if small is not None:
                    yield small
        if few is not None and _count(few) <= LARGEST:
            yield few
    if _count(config) <= LARGEST:
        yield config


def _build(config: StockConfig, settings: Settings) -> StockConfig | None:
    small = config.with_settings(settings)
    try:
        shapes_of(small)
    except Exception:  # the class says in its own way that sizes do not go together
        return None
    return small


def _count(config: StockConfig) -> int:
    return sum(math.prod(shape) for shape in shapes_of(config).values())


def _fewer(settings: Settings) -> Settings:
    """Few layers, words, positions and patches: what a size of the weights does not depend on."""

    def smaller(name: str, value: Any, beside: Settings) -> Any:
        if isinstance(value, list) and len(value) in _counts(beside):
            return [value[index * (len(value) - 1) // (LAYERS - 1)] for index in range(LAYERS)]
        if isinstance(value, list) and name.endswith("indexes") and _counts(beside):
            return [1, 3]
        if type(value) is not int:
            return value
        if _LAYERS.search(name):
            return min(value, LAYERS)
        if name == "vocab_size":
            return min(value, VOCABULARY)
        if name.endswith(("_token_id", "_token_index")) and value >= VOCABULARY:
            return VOCABULARY - 1 - value % 7 - (7 if "image" in name else 0)
        if re.search(r"position_embeddings$|^n_positions$|^max_.*positions?$", name):
            return min(value, POSITIONS)
        if name == "image_size" and isinstance(beside.get("patch_size"), int):
            return min(value, PATCHES * int(beside["patch_size"]))
        return value

    return _mapped(settings, smaller)


def _counts(settings: Settings) -> set[int]:
    """The numbers of layers among these settings that are made smaller."""
    return {value for name, value in settings.items() if type(value) is int and value > LAYERS and _LAYERS.search(name)}


def _widths(settings: Settings, divisor: int) -> Settings:
    """Everything that is wide, but for the numbers of heads, which so get smaller heads."""
    return _mapped(settings, lambda name, value, _beside: _divided(name, value, divisor))


def _with_heads(settings: Settings, divisor: int) -> Settings:
    """The same with as many times fewer heads, whose size stays: codes for positions may depend on it."""

    def smaller(name: str, value: Any, _beside: Settings) -> Any:
        if type(value) is int and _HEADS.search(name):
            return max(2, value // divisor) if value > 1 else value
        return value if name.endswith("head_dim") else _divided(name, value, divisor)

    return _mapped(settings, smaller)


def _divided(name: str, value: Any, divisor: int) -> Any:
    if type(value) is not int or value < WIDE or not _is_width(name):
        return value
    return max(16, value // divisor // 16 * 16) if value % divisor else value // divisor


def _is_width(name: str) -> bool:
    others = ("vocab_size", "image_size", "patch_size", "window_size", "position", "_id", "_index", "_length", "tokens")
    return not any(other in name for other in others)


def _mapped(settings: Settings, change: Callable[[str, Any, Settings], Any]) -> Settings:
    return {
        name: _mapped(value, change) if isinstance(value, dict) else change(name, value, settings)
        for name, value in settings.items()
    }
