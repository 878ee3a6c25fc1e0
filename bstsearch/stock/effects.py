"""What each number of a configuration does to the weights, and which ones the inputs set."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import torch
from torch import Tensor

from bstsearch.model.sizes import all_sizes
from bstsearch.stock.configuration import Settings, StockConfig
from bstsearch.stock.inputs import example_inputs
from bstsearch.stock.trial import Shapes, shapes_of

_NO_SIZE = re.compile(r"_(id|ids|index)$|(^|\.)(label2id\.|_)")  # ids of tokens and labels, and what is a class's own
HEAD = "head_dim"  # a setting that many classes read where it is given, and do without where it is not


def numbers(settings: Settings) -> dict[str, int]:
    """The whole numbers above one, by name, but for ids of tokens."""
    found = {name: value for name, value in all_sizes(settings).items() if type(value) is int and value > 1}
    return {name: value for name, value in found.items() if not _NO_SIZE.search(name)}


def lists(settings: Settings) -> tuple[str, ...]:
    """The settings with several whole numbers above one, such as the sizes of one stage after the other."""
    found = {name: value for name, value in all_sizes(settings).items() if isinstance(value, list) and len(value) > 1}
    are_sizes = {name: all(type(one) is int and one > 1 for one in value) for name, value in found.items()}
    return tuple(name for name in found if are_sizes[name] and not _NO_SIZE.search(name))


def set_by_inputs(config: StockConfig) -> set[str]:
    """The numbers that say what inputs look like: sizes of pictures and vocabularies, which are the data's."""
    usual, found = example_inputs(config, 2), set()
    for name, value in numbers(config.settings).items():
        with contextlib.suppress(ArithmeticError, LookupError, RuntimeError, ValueError):
            inputs = example_inputs(config.with_settings({name: value // 2}), 2)
            if not _are_alike(inputs, usual):
                found.add(name)
    return found


def pinned(config: StockConfig, few: StockConfig) -> StockConfig:
    """The same model with numbers written out that a class works out from others, such as the size of a head.

    So what follows from the hidden size may stay, or shrink by itself. They are tried on `few`, which is as wide.
    """
    usual = shapes_of(few)
    values = {name: _solved(few, name, usual) for name in _unset(config.settings)}
    found = {name: value for name, value in values.items() if value is not None}
    return config.with_settings(found) if found else config


def _unset(settings: Settings, before: str = "") -> Iterator[str]:
    """Settings that are None and may be sizes, and the size of a head where attention has heads."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _unset(value, f"{before}{name}.")
        elif value is None and ("inner" in name or "dim" in name or "size" in name):
            yield before + name
    if HEAD not in settings and any("key_value_heads" in name for name in settings):
        yield before + HEAD


def _solved(config: StockConfig, name: str, usual: Shapes) -> int | None:
    """The value of that setting with which all weights are as they are; None where there is none, or they all are."""
    one, two = (_shapes_with(config, name, value) for value in (8, 16))
    if one is None or two is None or one == two or not one.keys() == two.keys() == usual.keys():
        return None
    for weight, shape in usual.items():
        for length, short, long in zip(shape, one[weight], two[weight], strict=False):
            if short != long:
                value = 8 + (length - short) * 8 // (long - short)
                return value if _shapes_with(config, name, value) == usual else None
    return None


def _shapes_with(config: StockConfig, name: str, value: int) -> Shapes | None:
    try:
        return shapes_of(config.with_settings({name: value}))
    except Exception:  # the class refuses it, in a way of its own
        return None


def _are_alike(inputs: dict[str, Tensor], others: dict[str, Tensor]) -> bool:
    return all(torch.equal(inputs[name], others[name]) for name in others)
