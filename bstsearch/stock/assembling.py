"""What trials on a small configuration say of the full one: steps, lengths and parts, as a family declares them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

from bstsearch.errors import InputError
from bstsearch.model.family import Stack
from bstsearch.model.sizes import resized, size_of
from bstsearch.stock.configuration import HERE, Found, Layers, Reads, StockConfig
from bstsearch.stock.trial import Shapes, Trial, axes_of, patterns, shapes_of

FEW = 2  # layers

Group = dict[str, int]


def assembled(full: StockConfig, reads: Reads, groups: Sequence[Trial], stacks: tuple[Layers, ...]) -> Found:
    """What was found, for the sizes that `full` has."""
    full = dataclasses.replace(full, found=Found(reads=reads))
    shapes = shapes_of(full)
    steps = [steps_of(full, [HERE + name for name in one.names]) for one in groups]
    kept = _that_can_be_built(shallow(full, stacks), steps)
    if not kept:
        raise InputError(f"{full.architecture} refuses other sizes than these, so that nothing of it can shrink")
    moving = {name for group in kept for name in group}
    proved = [one for one in groups if HERE + one.names[0] in moving]
    return Found(
        units={name: unit for one in proved for name, unit in _units(full, one, shapes).items()},
        groups=tuple(kept),
        axes=axes_of({key: of for one in proved for key, of in one.parts.items()}, patterns(shapes)),
        stacks=stacks,
        reads=reads,
    )


def shallow(config: StockConfig, stacks: tuple[Layers, ...]) -> StockConfig:
    """The same with two layers in each of these lists, which say as much of widths as more of them would."""
    changes: dict[str, Any] = {}
    for layers in stacks:
        if (count := size_of(config, layers.count)) > FEW:
            stack = Stack(
                prefix=layers.prefix, keep_order=(), count=layers.count, rows=layers.rows, places=layers.places
            )
            changes |= stack.following(config, (0, count - 1))
    return config.with_settings({name.removeprefix(HERE): value for name, value in changes.items()})


def steps_of(config: StockConfig, names: Iterable[str]) -> Group:
    """The smallest step of each of these sizes, where all move together."""
    sizes = {name: int(size_of(config, name)) for name in names}
    common = math.gcd(*sizes.values())
    return {name: size // common for name, size in sizes.items()}


def _that_can_be_built(full: StockConfig, groups: list[Group]) -> list[Group]:
    """The groups, two as one where the class refuses one more step of one by itself; without those it never takes."""
    for group in groups:
        if _can_grow(full, group):
            continue
        rest = [one for one in groups if one is not group]
        joined = ((other, steps_of(full, [*group, *other])) for other in rest)
        for other, both in joined:
            if _can_grow(full, both):
                return _that_can_be_built(full, [*(one for one in rest if one is not other), both])
        return _that_can_be_built(full, rest)
    return groups


def _can_grow(full: StockConfig, group: Group) -> bool:
    try:
        shapes_of(resized(full, {name: size_of(full, name) + step for name, step in group.items()}))
    except Exception:  # the class says in its own way that these sizes do not go together
        return False
    return True


def _units(full: StockConfig, group: Trial, shapes: Shapes) -> dict[str, tuple[int, ...]]:
    """How much longer one more of each size makes an axis: each length counts for the largest size that divides it."""
    sizes = {HERE + name: int(size_of(full, HERE + name)) for name in group.names}
    known_as = {pattern: shapes[name] for name, pattern in patterns(shapes).items()}
    if other := {name for name, _ in group.cut} - known_as.keys():
        raise InputError(
            f"{full.architecture}: {min(other)} has not the same shape in all layers, which is not known how to cut"
        )
    units: dict[str, set[int]] = {name: set() for name in sizes}
    for name, axis in group.cut:
        parts = group.parts.get((name, axis), (1,))
        for part in parts:
            length = known_as[name][axis] * part // sum(parts)
            owners = [name for name, size in sizes.items() if length % size == 0]
            if owners:
                owner = max(owners, key=sizes.__getitem__)
                units[owner].add(length // sizes[owner])
    return {name: tuple(sorted(found or {1})) for name, found in units.items()}
