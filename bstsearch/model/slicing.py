"""The full model's tensors cut down to a submodel's: the only file that cuts weights.

A `Plan` says, for every parameter of a small model, which full parameter it comes from and which leading
part of each axis it takes. Binding and exporting use the same plan.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from bstsearch.errors import InputError
from bstsearch.model.family import Config, Family
from bstsearch.space import Submodel


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cut:
    """One small tensor: the full tensor `source`, the leading `shape`, and the fused blocks of each axis."""

    source: str
    shape: tuple[int, ...]
    blocks: tuple[int, ...]

    def apply(self, full: Tensor) -> Tensor:
        """The slice of `full`: a view, but for a fused axis that is shortened, which has to be copied."""
        return self._part(full).reshape(self.shape)

    def add_into(self, full: Tensor, small: Tensor) -> None:
        """Adds `small` to the part of `full` that it was taken from."""
        part = self._part(full)
        part += small.reshape(part.shape)

    def _part(self, full: Tensor) -> Tensor:
        """A view of what is taken; a fused axis shows as two, the blocks and the leading part of each."""
        for axis in reversed(range(len(self.shape))):
            size, blocks = self.shape[axis], self.blocks[axis]
            if blocks == 1:
                full = full.narrow(axis, 0, size)
            else:
                full = torch.unflatten(full, axis, (blocks, -1)).narrow(axis + 1, 0, size // blocks)
        return full


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

    Raises InputError where a small tensor has no full one or does not fit in it, or where a buffer that
    is state would have to be cut.
    """
    kept_layers = family.kept_layers(config, submodel)
    parameters = dict(full.named_parameters(remove_duplicate=False))
    try:
        cuts = {
            name: _cut(family, name, parameter, _full_name(name, kept_layers), parameters)
            for name, parameter in small.named_parameters()
        }
        return Plan(cuts=cuts, buffers=_shared_buffers(small, full, kept_layers))
    except InputError as error:
        raise InputError(f"{family.name} {submodel.id}: {error}") from None


def _cut(family: Family, name: str, small: Tensor, source: str, parameters: Mapping[str, Tensor]) -> Cut:
    if source not in parameters:
        raise InputError(f"the full model has no parameter {source!r} for {name!r}")
    shape, full_shape = tuple(small.shape), tuple(parameters[source].shape)
    if len(shape) != len(full_shape) or any(a > b for a, b in zip(shape, full_shape, strict=True)):
        raise InputError(f"{name} {shape} does not fit in {source} {full_shape}")
    blocks = tuple(_declared_blocks(family, source, axis) for axis in range(len(shape)))
    return Cut(source=source, shape=shape, blocks=blocks)


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


def _declared_blocks(family: Family, parameter: str, axis: int) -> int:
    for fused in family.fused_axes:
        if fused.axis == axis and fnmatch.fnmatchcase(parameter, fused.parameter):
            return fused.blocks
    return 1


@functools.cache
def refuse_undeclared_fused_axes(family: Family, config: Config) -> None:
    """Passes where every axis that follows an elastic field is field x unit x declared blocks; else InputError.

    A leading slice of any other axis (blocks side by side, or an elastic part beside another part) would
    mix up its parts without any error, so it is never guessed. Each elastic field is enlarged alone.
    """
    shapes = _shapes(family, config)
    for field, unit in family.elastic_units(config).items():
        size = getattr(config, field)
        sizes = (size,) if isinstance(size, int) else size
        enlarged = size + 1 if isinstance(size, int) else tuple(n + 1 for n in size)
        larger = _shapes(family, dataclasses.replace(config, **{field: enlarged}))
        for name, axis in ((name, axis) for name, shape in shapes.items() for axis in range(len(shape))):
            before, after = shapes[name][axis], larger[name][axis]
            step = unit * _declared_blocks(family, name, axis)
            if before != after and (after - before != step or before not in {step * n for n in sizes}):
                raise InputError(
                    f"{family.name}: axis {axis} of {name} grows from {before} to {after} when {field} grows by one "
                    f"from {size}; expected {step} for each unit of {field}. Declare its blocks as a FusedAxis, "
                    "or give each part its own parameter"
                )


def _shapes(family: Family, config: Config) -> dict[str, tuple[int, ...]]:
    # Shapes only, so the meta device is safe here: nothing of this model is ever run.
    with torch.device("meta"), _WithoutInitialisation():
        return {name: tuple(parameter.shape) for name, parameter in family.build(config).named_parameters()}


class _WithoutInitialisation(TorchFunctionMode):
    """Skips `torch.nn.init`: on the meta device its random draws import torch's compiler, for over a second."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(function, "__module__", None) == nn.init.__name__:
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return function(*args, **kwargs)
