"""The full model's tensors cut down to a submodel's: the only file that cuts weights.

A `Plan` says, for every parameter of a small model, which full parameter it comes from and which leading
part of each axis it takes. Binding and exporting use the same plan.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from bstsearch.errors import InputError
from bstsearch.model.axes import Axis, part_sizes, parts_of
from bstsearch.model.family import Config, Family
from bstsearch.space import Submodel

Slices = tuple[slice, ...]
Pieces = tuple[tuple[Slices, Slices], ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cut:
    """One small tensor: the full tensor `source`, the small `shape`, and the proportion of the parts of each axis."""

    source: str
    shape: tuple[int, ...]
    parts: tuple[tuple[int, ...], ...]

    def apply(self, full: Tensor) -> Tensor:
        """The slice of `full`: a view, but where an axis of several parts is shortened, which has to be copied."""
        pieces = self.pieces(full)
        if len(pieces) == 1:
            return full[pieces[0][1]]
        small = full.new_empty(self.shape)
        for here, there in pieces:
            small[here] = full[there]
        return small

    def add_into(self, full: Tensor, small: Tensor) -> None:
        """Adds `small` to the part of `full` that it was taken from."""
        for here, there in self.pieces(full):
            full[there] += small[here]

    def pieces(self, full: Tensor) -> Pieces:
        """Where each piece lies in the small tensor, and where in `full`; a single one lies at the start of both."""
        return _pieces(self.shape, tuple(full.shape), self.parts)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """Where a small model's numbers lie in the full model.

    - `cuts`: small parameter -> its `Cut`; tied parameters appear once, under their first name.
    - `buffers`: small buffer -> full buffer, of those that are state (BatchNorm's running means). They
      are shared whole. Buffers left out of the state dict (position ids) are the small model's own,
      since they depend on its sizes.
    """

    cuts: Mapping[str, Cut]
    buffers: Mapping[str, str]


def make_plan(family: Family, config: Config, submodel: Submodel, small: nn.Module, full: nn.Module) -> Plan:
    """The plan of `small`, which the family built for `submodel`, in `full`, which it built for `config`.

    InputError where a small tensor has no full one or does not fit in it, or where a buffer that is state would have to
    be cut.
    """
    kept_layers, axes = family.kept_layers(config, submodel), family.axes_of(config)
    parameters = dict(full.named_parameters(remove_duplicate=False))
    try:
        cuts = {
            name: _cut(axes, name, parameter, _full_name(name, kept_layers), parameters)
            for name, parameter in small.named_parameters()
        }
        return Plan(cuts=cuts, buffers=_shared_buffers(small, full, kept_layers))
    except InputError as error:
        raise InputError(f"{family.name} {submodel.id}: {error}") from None


def _cut(axes: Sequence[Axis], name: str, small: Tensor, source: str, parameters: Mapping[str, Tensor]) -> Cut:
    if source not in parameters:
        raise InputError(f"the full model has no parameter {source!r} for {name!r}")
    shape, full_shape = tuple(small.shape), tuple(parameters[source].shape)
    if len(shape) != len(full_shape) or any(a > b for a, b in zip(shape, full_shape, strict=True)):
        raise InputError(f"{name} {shape} does not fit in {source} {full_shape}")
    parts = tuple(parts_of(axes, source, axis) for axis in range(len(shape)))
    for axis, sizes in enumerate(zip(shape, full_shape, strict=True)):
        if any(part_sizes(size, parts[axis]) is None for size in sizes):
            raise InputError(f"axis {axis} of {source} is declared as parts {parts[axis]}, which do not fill {sizes}")
    return Cut(source=source, shape=shape, parts=parts)


@functools.lru_cache(maxsize=4096)  # asked for at each step, by each parameter
def _pieces(shape: tuple[int, ...], full: tuple[int, ...], parts: tuple[tuple[int, ...], ...]) -> Pieces:
    axes = [_axis_pieces(*sizes) for sizes in zip(shape, full, parts, strict=True)]
    combinations = itertools.product(*axes)
    return tuple((tuple(here for here, _ in one), tuple(there for _, there in one)) for one in combinations)


def _axis_pieces(size: int, full_size: int, parts: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """For one axis: where each part lies in the small tensor, and its leading share in the full one."""
    if size == full_size:
        return [(slice(size), slice(size))]
    small_unit, full_unit = size // sum(parts), full_size // sum(parts)
    starts = itertools.accumulate(parts, initial=0)
    return [
        (slice(start * small_unit, (start + part) * small_unit), _leading(start * full_unit, part * small_unit))
        for start, part in zip(starts, parts, strict=False)
    ]


def _leading(start: int, length: int) -> slice:
    return slice(start, start + length)


def _shared_buffers(small: nn.Module, full: nn.Module, kept_layers: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    shapes = {name: tuple(buffer.shape) for name, buffer in full.named_buffers()}
    state = small.state_dict(keep_vars=True)
    shared = {name: _full_name(name, kept_layers) for name, _ in small.named_buffers() if name in state}
    for name, source in shared.items():
        shape = tuple(state[name].shape)
        if shape != shapes.get(source):
            # A running mean over the full width is none over a part of it, and each submodel would need its own.
            raise InputError(
                f"buffer {name} {shape} is not the full model's {source} {shapes.get(source)}, and state cannot "
                "be sliced; keep BatchNorm and the like in the fixed part"
            )
    return shared


def _full_name(name: str, kept_layers: Mapping[str, tuple[int, ...]]) -> str:
    for prefix, kept in kept_layers.items():
        match = re.fullmatch(rf"{re.escape(prefix)}\.(\d+)(\..*)", name)
        if match:
            return f"{prefix}.{kept[int(match[1])]}{match[2]}"
    return name
