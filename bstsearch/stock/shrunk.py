"""A small configuration of the same class, so that hundreds of trials take seconds."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from bstsearch.stock.configuration import Settings, StockConfig
from bstsearch.stock.inputs import LONGEST, POSITIONS
from bstsearch.stock.trial import shapes_of

LAYERS, VOCABULARY = 4, 96
PATCHES = (4, 32)  # side by side: as few as most classes take, and as many as those that merge them several times
PIXELS = 64  # of a picture's side, where a class has no patches
SMALL = 2_000_000  # parameters; a smaller model is left as it is
LARGEST = 100_000_000  # parameters that are tried at all: dozens of models of that size are built, in float64
WIDE = 48  # sizes from here on are made smaller
_LAYERS = re.compile(r"(^|_)(layers?|depths?|blocks)$")
STAGE = 2  # layers of each stage, where a list has a number for each of them
_HEADS = re.compile(r"heads|groups")


def candidates(config: StockConfig) -> Iterator[StockConfig]:
    """Configurations of the same class, smaller ones first, that can be built; at last `config`, where it is no giant.

    That one of them runs, whoever takes it has to find out: sizes may go together in ways that only the code knows.
    """
    seen: set[StockConfig] = set()
    for small in _candidates(config):
        if small not in seen:
            seen.add(small)
            yield small


def _candidates(config: StockConfig) -> Iterator[StockConfig]:
    for patches in PATCHES:
        few = fewer(config, patches)
        if _count(config) > SMALL:
            for divide in (_widths, _with_heads):
                for divisor in (16, 8, 4):
                    small = _build(few, divide(few.settings, divisor))
                    if small is not None:
                        yield small
        if _count(few) <= LARGEST:
            yield few
    if _count(config) <= LARGEST:
        yield config


def fewer(config: StockConfig, patches: int = PATCHES[0]) -> StockConfig:
    """The same class with as wide, but few layers, words, positions and patches; `config`, where it refuses that."""
    return _build(config, _fewer(config.settings, patches)) or config


def _build(config: StockConfig, settings: Settings) -> StockConfig | None:
    small = config.with_settings(settings)
    try:
        shapes_of(small)
    except Exception:  # the class says in its own way that sizes do not go together
        return None
    return small


def _count(config: StockConfig) -> int:
    return sum(math.prod(shape) for shape in shapes_of(config).values())


def _fewer(settings: Settings, patches: int) -> Settings:
    """Few layers, words, positions and patches: what a size of the weights does not depend on."""

    def smaller(name: str, value: Any, beside: Settings) -> Any:
        if isinstance(value, list) and len(value) in _counts(beside):
            return [value[index * (len(value) - 1) // (LAYERS - 1)] for index in range(LAYERS)]
        if isinstance(value, list) and name.endswith("indexes") and _counts(beside):
            return [1, 3]
        if isinstance(value, list) and _LAYERS.search(name):
            return [min(one, STAGE) if type(one) is int else one for one in value]
        if type(value) is not int:
            return value
        if _LAYERS.search(name):
            return min(value, LAYERS)
        if name == "vocab_size":
            return min(value, VOCABULARY)
        if name.endswith(("_token_id", "_token_index")) and value >= VOCABULARY:
            return VOCABULARY - 1 - value % 7 - (7 if "image" in name else 0)
        if POSITIONS.search(name):
            return min(value, LONGEST)
        return value

    return _mapped(
        _mapped(settings, smaller), lambda name, value, beside: _smaller_picture(name, value, beside, patches)
    )


def _smaller_picture(name: str, value: Any, beside: Settings, patches: int) -> Any:
    """The side of a picture, or both, so that few patches lie in it."""
    if name != "image_size":
        return value
    if isinstance(value, list):
        return [_smaller_picture(name, side, beside, patches) for side in value]
    patch = beside.get("patch_size")
    patch = patch[0] if isinstance(patch, list) and patch else patch
    side = patches * patch if type(patch) is int else PIXELS
    return min(value, side) if type(value) is int else value


def _counts(settings: Settings) -> set[int]:
    """The numbers of layers among these settings that are made smaller."""
    return {value for name, value in settings.items() if type(value) is int and value > LAYERS and _LAYERS.search(name)}


def _widths(settings: Settings, divisor: int) -> Settings:
    """Everything that is wide, but for the numbers of heads, which so get smaller heads."""
    return _mapped(settings, lambda name, value, _beside: _divided(name, value, divisor))


def _with_heads(settings: Settings, divisor: int) -> Settings:
    """The same with as many times fewer heads, whose size stays: codes for positions may depend on it."""

    def smaller(name: str, value: Any, beside: Settings) -> Any:
        if isinstance(value, list):
            return [smaller(name, one, beside) for one in value]
        if type(value) is int and _HEADS.search(name):
            return max(2, value // divisor) if value > 1 else value
        return value if name.endswith("head_dim") else _divided(name, value, divisor)

    return _mapped(settings, smaller)


def _divided(name: str, value: Any, divisor: int) -> Any:
    if isinstance(value, list):
        return [_divided(name, one, divisor) for one in value]
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
