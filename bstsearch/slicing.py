"""The full model's tensors cut down to a submodel's: the only file that cuts weights.

A `Plan` says, for every parameter of a small model, which full parameter it comes from and which leading
part of each axis it takes. Binding, exporting and counting all use the same plan.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import re
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from bstsearch.errors import InputError
from bstsearch.family import Config, Family
from bstsearch.space import Submodel


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cut:
    """One small tensor: the full tensor `source`, the leading `shape`, and the fused blocks of each axis."""

    source: str
    shape: tuple[int, ...]
    blocks: tuple[int, ...]

    @property
    def is_view(self) -> bool:
        """Whether the slice shares memory with the full tensor (a fused axis has to be copied)."""
        return set(self.blocks) <= {1}

    def add_into(self, full: Tensor, small: Tensor) -> None:
        """Adds `small` to the part of `full` that it was copied from (for slices that are no views)."""
        fused = [axis for axis, blocks in enumerate(self.blocks) if blocks > 1]
        pieces = [(full, small)]
        for axis in fused:
            blocks = self.blocks[axis]
            pieces = [
                pair
                for whole, part in pieces
                for pair in zip(whole.chunk(blocks, axis), part.chunk(blocks, axis), strict=True)
            ]
        for whole, part in pieces:
            whole[tuple(slice(size) for size in part.shape)] += part

    def apply(self, full: Tensor) -> Tensor:
        """The slice of `full`: a view where `is_view`, else a copy."""
        for axis, (size, blocks) in enumerate(zip(self.shape, self.blocks, strict=True)):
            if full.shape[axis] != size:
                parts = [part.narrow(axis, 0, size // blocks) for part in full.chunk(blocks, axis)]
                full = parts[0] if blocks == 1 else torch.cat(parts, axis)
        return full


Plan = Mapping[str, Cut]


def make_plan(family: Family, config: Config, submodel: Submodel, small: nn.Module, full: nn.Module) -> Plan:
    """Small parameter name -> its `Cut`; tied parameters appear once, under their first name.

    Raises InputError where a small tensor has no full one, does not fit in it, or lies on a fused axis
    that the family has not declared.
    """
    full_shapes = {name: tuple(parameter.shape) for name, parameter in full.named_parameters(remove_duplicate=False)}
    _refuse_undeclared_fused_axes(family, config)
    kept_layers = family.kept_layers(config, submodel)
    plan = {}
    for name, parameter in small.named_parameters():
        source = _full_name(name, kept_layers)
        shape = tuple(parameter.shape)
        full_shape = full_shapes.get(source)
        if full_shape is None:
            raise InputError(f"{family.name} {submodel.id}: the full model has no parameter {source!r} for {name!r}")
        if len(shape) != len(full_shape) or any(a > b for a, b in zip(shape, full_shape, strict=True)):
            raise InputError(f"{family.name} {submodel.id}: {name} {shape} does not fit in {source} {full_shape}")
        blocks = tuple(_declared_blocks(family, source, axis) for axis in range(len(shape)))
        plan[name] = Cut(source=source, shape=shape, blocks=blocks)
    return plan


def shared_buffers(family: Family, config: Config, submodel: Submodel, small: nn.Module) -> Iterator[tuple[str, str]]:
    """(small name, full name) of the buffers that are state, such as BatchNorm's running means.

    They belong to fixed parts and are shared whole. Buffers left out of the state dict (position ids)
    are the small model's own, since they depend on its sizes.
    """
    kept_layers = family.kept_layers(config, submodel)
    persistent = small.state_dict(keep_vars=True)
    for name, _ in small.named_buffers():
        if name in persistent:
            yield name, _full_name(name, kept_layers)


def _full_name(name: str, kept_layers: Mapping[str, tuple[int, ...]]) -> str:
    for prefix, kept in kept_layers.items():
        match = re.fullmatch(rf"{re.escape(prefix)}\.(\d+)(\..*)", name)
        if match:
            return f"{prefix}.{kept[int(match[1])]}{match[2]}"
    return name


def _declared_blocks(family: Family, parameter: str, axis: int) -> int:
    for fused in family.fused_axes:
        if fused.axis == axis and fnmatch.fnmatchcase(parameter, fused.parameter):
            return fused.blocks
    return 1


def _refuse_undeclared_fused_axes(family: Family, config: Config) -> None:
    """Raises InputError where an axis shrinks faster than the one elastic field that was made smaller.

    A leading slice of such an axis would mix up its blocks without any error, so it is never guessed.
    """
    reference = _shapes(family, config)
    for field, unit in family.elastic_units(config).items():
        size = getattr(config, field)
        step = (lambda value: value - 1) if isinstance(size, int) else (lambda sizes: tuple(n - 1 for n in sizes))
        smaller = _shapes(family, dataclasses.replace(config, **{field: step(size)}))
        for name, shape in reference.items():
            for axis, (before, after) in enumerate(zip(shape, smaller[name], strict=True)):
                if before - after > unit and (before - after) != unit * _declared_blocks(family, name, axis):
                    raise InputError(
                        f"{family.name}: axis {axis} of {name} shrinks by {before - after} when {field} shrinks by one "
                        f"(expected {unit}); declare it as a FusedAxis"
                    )


def _shapes(family: Family, config: Config) -> dict[str, tuple[int, ...]]:
    # Shapes only, so the meta device is safe here: nothing of this model is ever run.
    with torch.device("meta"):
        return {name: tuple(parameter.shape) for name, parameter in family.build(config).named_parameters()}
