"""A family's declaration of its axes, held against the shapes of its models: sizes are enlarged, a group at a time.

A leading slice of an axis that holds several things side by side would mix them up without any error. So how an axis is
made up is never guessed: it follows one size, or it is declared as an `Axis`, or it is refused. Shapes alone cannot
tell two things side by side from one of twice the size where both move in one group; the masked oracle of
`bstsearch.testing.FamilyContract` can.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from bstsearch.doors import fault_of
from bstsearch.errors import InputError
from bstsearch.model.axes import Group, Unit, multiples, part_sizes, parts_of
from bstsearch.model.family import Config, Family
from bstsearch.model.sizes import resized, size_of
from bstsearch.reading import said

BYTES = 4  # of a parameter
SMALL = 1 << 30  # bytes that may be taken for a model before its weights are looked at


@functools.cache
def check_axes(family: Family, config: Config) -> None:
    """Passes where every part of every axis that grows with a group is as long as one size of it; else InputError."""
    shapes, units = _shapes(build_shapes(family, config)), family.elastic_units(config)
    axes = family.axes_of(config)
    for group in family.moves(config):
        larger, lengths = _larger_shapes(family, config, group), set(_lengths(config, group, units))
        for name, axis in ((name, axis) for name, shape in shapes.items() for axis in range(len(shape))):
            before, after = shapes[name][axis], larger[name][axis]
            parts = parts_of(axes, name, axis)
            if before != after and not _are_among(lengths, before, after, parts):
                raise InputError(
                    f"{family.name}: axis {axis} of {name} grows from {before} to {after} when "
                    f"{_growth(config, group)}; expected {_expected(parts, group, units)}. Declare its parts as an "
                    "Axis, or give each part its own parameter"
                )


def check_room(family: Family, config: Config, weights: Path) -> None:
    """Passes where `weights` is as large as the model, or the model small; else InputError, before memory is taken."""
    size = sum(map(math.prod, _shapes(build_shapes(family, config)).values())) * BYTES
    held = weights.stat().st_size if weights.exists() else 0
    if size > max(held, SMALL):
        raise InputError(f"a model of {size / 1e9:,.0f} GB, but {weights.name} has {held:,} bytes; is it another's?")


def growths(family: Family, config: Config, group: Group) -> dict[tuple[str, int], int]:
    """Each parameter's axis that grows with the group, by name and number, and by how much in one step of it."""
    shapes, larger = _shapes(build_shapes(family, config)), _larger_shapes(family, config, group)
    axes = [(name, axis) for name, shape in shapes.items() for axis in range(len(shape))]
    by = {(name, axis): larger[name][axis] - shapes[name][axis] for name, axis in axes}
    return {place: growth for place, growth in by.items() if growth}


def _lengths(config: Config, group: Group, units: Mapping[str, Unit]) -> Iterator[tuple[int, int]]:
    """How long an axis may be that follows one size of the group, before and after it is enlarged."""
    for field, step in group.items():
        size = size_of(config, field)
        for one in size if isinstance(size, tuple) else (size,):
            yield from ((unit * one, unit * (one + step)) for unit in multiples(units[field]))


def _are_among(lengths: set[tuple[int, int]], before: int, after: int, parts: tuple[int, ...]) -> bool:
    old, new = part_sizes(before, parts), part_sizes(after, parts)
    return old is not None and new is not None and set(zip(old, new, strict=True)) <= lengths


def _expected(parts: tuple[int, ...], group: Group, units: Mapping[str, Unit]) -> str:
    pairs = ((unit, field) for field in group for unit in multiples(units[field]))
    lengths = " or ".join(f"{unit} x {field}" if unit > 1 else field for unit, field in pairs)
    return lengths if parts == (1,) else f"parts {parts}, each of {lengths}"


def _larger_shapes(family: Family, config: Config, group: Group) -> dict[str, tuple[int, ...]]:
    try:
        sizes = {field: _plus(size_of(config, field), step) for field, step in group.items()}
        return _shapes(_build(family, resized(config, sizes)))
    except Exception as error:  # the family's own code, which says in its own way that these sizes do not go together
        raise InputError(
            f"{family.name} cannot be built when {_growth(config, group)}: {type(error).__name__}: {error}. "
            "Declare in groups which sizes move together, and in what steps"
        ) from error


def _growth(config: Config, group: Group) -> str:
    """How the sizes of the group are enlarged, in words."""
    sizes = {field: size_of(config, field) for field in group}
    return " and ".join(f"{field} grows from {size} to {_plus(size, group[field])}" for field, size in sizes.items())


def _plus(size: int | tuple[int, ...], step: int) -> int | tuple[int, ...]:
    return tuple(one + step for one in size) if isinstance(size, tuple) else size + step


def build_shapes(family: Family, config: Config) -> nn.Module:
    """A model that takes no memory and can never be run: for its names and shapes.

    InputError where the family's layers refuse a size of the config.
    """
    try:
        return _build(family, config)
    except (ValueError, IndexError) as error:  # as torch's layers raise them
        if fault_of(error):  # in code of the user's own, whose line is told
            raise
        raise InputError(f"{family.name} cannot be built of these sizes: {said(error)}") from error


def _build(family: Family, config: Config) -> nn.Module:
    with building_weightless():
        return family.build(config)


@contextlib.contextmanager
def building_weightless() -> Iterator[None]:
    """Has models that are built in the block take no memory."""
    with torch.device("meta"), _WithoutInitialisation():
        yield


def _shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


class _WithoutInitialisation(TorchFunctionMode):
    """Skips `torch.nn.init`: on the meta device its random draws import torch's compiler, for over a second."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(function, "__module__", None) == nn.init.__name__:
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return function(*args, **kwargs)
