"""What trials on a small configuration say of the full one: steps, lengths and parts, as a family declares them."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence

from bstsearch.model.sizes import resized, size_of
from bstsearch.stock.configuration import HERE, Found, Layers, Reads, StockConfig
from bstsearch.stock.trial import AxisKey, Shapes, Trial, axes_of, patterns, shapes_of

Group = dict[str, int]
Parts = dict[AxisKey, tuple[int, ...]]


def assembled(full: StockConfig, reads: Reads, groups: Sequence[Trial], stacks: tuple[Layers, ...]) -> Found:
    """What was found, for the sizes that `full` has."""
    full = dataclasses.replace(full, found=Found(reads=reads))
    shapes = shapes_of(full)
    units: dict[str, int] = {}
    parts: Parts = {}
    for group in groups:
        of_group, more = _units(full, group, shapes)
        units |= of_group
        parts |= {**group.parts, **more}
    return Found(
        units=units,
        groups=tuple(_that_can_be_built(full, [_steps(full, [HERE + name for name in one.names]) for one in groups])),
        axes=axes_of(parts, patterns(shapes)),
        stacks=stacks,
        reads=reads,
    )


def _steps(full: StockConfig, names: Sequence[str]) -> Group:
    """The smallest step of each of these sizes, where all move together."""
    sizes = {name: int(size_of(full, name)) for name in names}
    common = math.gcd(*sizes.values())
    return {name: size // common for name, size in sizes.items()}


def _that_can_be_built(full: StockConfig, groups: list[Group]) -> list[Group]:
    """The groups, joined with another where the class refuses one more step of one by itself."""
    for group in groups:
        if _can_grow(full, group):
            continue
        for other in groups:
            joined = _steps(full, [*group, *other])
            if other is not group and _can_grow(full, joined):
                rest = [one for one in groups if one is not group and one is not other]
                return _that_can_be_built(full, [*rest, joined])
    return groups


def _can_grow(full: StockConfig, group: Group) -> bool:
    try:
        shapes_of(resized(full, {name: size_of(full, name) + step for name, step in group.items()}))
    except Exception:  # the class says in its own way that these sizes do not go together
        return False
    return True


def _units(full: StockConfig, group: Trial, shapes: Shapes) -> tuple[dict[str, int], Parts]:
    """How much longer one more of each size makes an axis; and parts for axes that no size explains by itself.

    A size that is the length of an axis counts one there. Other lengths are those of heads, each of which counts as
    much for queries as for keys; or they hold a size several times, side by side.
    """
    sizes = {HERE + name: int(size_of(full, HERE + name)) for name in group.names}
    known_as = {pattern: shapes[name] for name, pattern in patterns(shapes).items()}
    lengths = {key: _length(key, group.parts, known_as) for key in group.cut}
    units = {name: 1 for name, size in sizes.items() if size in lengths.values()}
    left = set(lengths.values()) - set(sizes.values())
    free = [name for name in sizes if name not in units]
    units |= _shared(left, {name: sizes[name] for name in free})
    known = {units[name] * size for name, size in sizes.items()}
    largest = max(sizes.values())
    return units, {key: (1,) * (length // largest) for key, length in lengths.items() if length not in known}


def _shared(lengths: set[int], sizes: Mapping[str, int]) -> dict[str, int]:
    """A unit for each of these sizes: such that most of `lengths` are multiples by it, of equal ones the most alike."""
    options = [sorted({1, *(length // size for length in lengths if length % size == 0)}) for size in sizes.values()]

    def worth(units: tuple[int, ...]) -> tuple[int, int]:
        found = {unit * size for unit, size in zip(units, sizes.values(), strict=True)}
        return len(found & lengths), -len(set(units))

    return dict(zip(sizes, max(itertools.product(*options), key=worth), strict=True))


def _length(key: AxisKey, parts: Mapping[AxisKey, tuple[int, ...]], shapes: Shapes) -> int:
    """How long the first part of that axis is, as the full model has it, in units of the smallest part."""
    name, axis = key
    of = parts.get(key, (1,))
    return shapes[name][axis] * max(of) // sum(of)
