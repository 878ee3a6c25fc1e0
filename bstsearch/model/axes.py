"""How parameters follow the sizes of a configuration: parts of an axis, groups of sizes (no torch)."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

from bstsearch.errors import InputError
from bstsearch.model.sizes import size_of

# Sizes that can only move together: field -> its smallest step. Every one is a whole number of its steps, the same
# number for all: {"heads": 4, "kv_heads": 1} are 4n query heads for n pairs of keys and values.
Group = Mapping[str, int]
# How much longer one more of a size makes an axis; several where axes follow it in several ways.
Unit = int | tuple[int, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Axis:
    """An axis that holds several parts side by side; each part is cut by itself.

    `parameter` is a shell-style pattern over parameter names. `parts` is the proportion of the parts, which holds at
    every size: (1, 1, 1) for queries, keys and values, (4, 1, 1) where four queries share a key and a value,
    (1, 1) for gate and up. Raises InputError where `parts` is no list of positive numbers.
    """

    parameter: str
    axis: int
    parts: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.parts or any(type(part) is not int or part < 1 for part in self.parts):
            raise InputError(f"Axis {self.axis} of {self.parameter}: parts are positive numbers, not {self.parts!r}")


def parts_of(axes: Sequence[Axis], parameter: str, axis: int) -> tuple[int, ...]:
    """The parts of that axis, as the first of `axes` that matches says; (1,) where none does.

    >>> parts_of([Axis(parameter="*.qkv.weight", axis=0, parts=(1, 1, 1))], "layers.0.qkv.weight", 0)
    (1, 1, 1)
    """
    matching = (one for one in axes if one.axis == axis and fnmatch.fnmatchcase(parameter, one.parameter))
    return next((one.parts for one in matching), (1,))


def part_sizes(size: int, parts: tuple[int, ...]) -> tuple[int, ...] | None:
    """How long each part is on an axis of `size`; None where they do not fill it.

    >>> part_sizes(24, (4, 1, 1)), part_sizes(25, (4, 1, 1))
    ((16, 4, 4), None)
    """
    unit, rest = divmod(size, sum(parts))
    return None if rest else tuple(part * unit for part in parts)


def all_groups(units: Mapping[str, Unit], groups: Sequence[Group]) -> list[Group]:
    """The declared groups, and each other elastic field by itself, in steps of one.

    Raises InputError where a group names a field that is not elastic, or a step that is not positive.
    """
    for group in groups:
        for field, step in group.items():
            if field not in units:
                raise InputError(f"the group of {' and '.join(group)} names {field}, which is not elastic")
            if type(step) is not int or step < 1:
                raise InputError(f"the group of {' and '.join(group)} moves {field} by {step!r}, not by a whole number")
    grouped = {field for group in groups for field in group}
    return [*groups, *({field: 1} for field in units if field not in grouped)]


def multiples(unit: Unit) -> tuple[int, ...]:
    """The unit as several."""
    return unit if isinstance(unit, tuple) else (unit,)


def check_group(config: Any, group: Group) -> None:
    """Passes where the sizes of `group` are the same number of their steps, layer by layer; else InputError."""
    if len(group) == 1:
        return
    sizes = {field: size_of(config, field) for field in group}
    layers = max((len(size) for size in sizes.values() if isinstance(size, tuple)), default=1)
    rows = {field: size if isinstance(size, tuple) else (size,) * layers for field, size in sizes.items()}
    for layer in zip(*rows.values(), strict=True):
        steps = {divmod(size, step) for size, step in zip(layer, group.values(), strict=True)}
        if len(steps) > 1 or any(rest for _, rest in steps):
            raise InputError(
                f"{' and '.join(group)} move together, in steps of {' and '.join(map(str, group.values()))}, "
                f"and cannot be {' and '.join(map(str, layer))}"
            )
