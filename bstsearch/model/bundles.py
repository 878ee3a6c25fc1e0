"""Which axes of a model's parameters hold the same units, so that these can change places without changing outputs.

No table of names says so. A unit within a layer (a head, an FFN unit) leaves it through one weight: where its part of
that weight is zero, the unit's own parameters have no gradient, and others do. What else follows the same sizes is
taken for the residual width. Both are proposals, which count only where a model with random weights gives the same
outputs after its units have changed places, in float64: what a buffer or a neighbour knows by its place is left alone.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from bstsearch.model.axes import Group, parts_of
from bstsearch.model.family import Config, Family, seeded
from bstsearch.model.probing import growths
from bstsearch.space import Submodel

CLOSE = 1e-9  # of outputs of about one, in float64: what is wrong differs by a ten-thousandth at least
EXAMPLES = 4
FEWEST = 2  # units that can change places


@dataclasses.dataclass(frozen=True, kw_only=True)
class Held:
    """An axis that holds units, `block` numbers for each, in each of its `parts`."""

    parameter: str
    axis: int
    block: int
    parts: tuple[int, ...] = (1,)

    def places(self, length: int, order: Sequence[int]) -> Tensor:
        """Where the numbers of an axis of that length are taken from, so that its units stand in `order`."""
        unit = length // sum(self.parts)
        found, start = [], 0
        for part in self.parts:
            size = part * self.block
            found += [start + one * size + offset for one in order for offset in range(size)]
            start += part * unit
        return torch.tensor(found)

    def by_unit(self, values: Tensor) -> Tensor:
        """The sums of `values`, of the parameter's shape, for each unit (n,)."""
        sums = values.transpose(0, self.axis).flatten(1).sum(1) if values.ndim > 1 else values
        unit = len(sums) // sum(self.parts)
        pieces = torch.split(sums, [part * unit for part in self.parts])
        return torch.stack(
            [piece.view(-1, part * self.block).sum(1) for part, piece in zip(self.parts, pieces, strict=True)]
        ).sum(0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bundle:
    """The axes that hold the same units, and by which of them these leave their layer.

    `layer` is the prefix of that layer; None for the residual width, whose units leave by all axes.
    """

    layer: str | None
    held: tuple[Held, ...]
    leaves_by: tuple[Held, ...]

    def count(self, model: nn.Module) -> int:
        """How many units there are."""
        first = self.held[0]
        return int(model.get_parameter(first.parameter).shape[first.axis]) // (first.block * sum(first.parts))

    def reorder(self, model: nn.Module, order: Sequence[int]) -> None:
        """Puts the units of `model` into `order`: what stood at `order[0]` comes first."""
        with torch.no_grad():
            for held in self.held:
                parameter = model.get_parameter(held.parameter)
                places = held.places(int(parameter.shape[held.axis]), order).to(parameter.device)
                parameter.copy_(parameter.index_select(held.axis, places))


def find_bundles(family: Family, config: Config, submodel: Submodel) -> list[Bundle]:
    """The bundles of the family's model, as they were proved on a random one of the sizes of `submodel`.

    It has all layers; what is found in it holds at each width.
    """
    small = family.shrink(config, submodel)
    with torch.random.fork_rng(devices=[]):
        model = family.build(small).double().eval()
    _fill(model)
    found: list[Bundle] = []
    for group in family.moves(small):
        axes = _axes(family, small, group)
        inner: list[Bundle] = []
        for stack in family.stacks(small):
            inner += _inner(family, small, model, stack.prefix, len(stack.keep_order), axes)
        taken = {(held.parameter, held.axis) for bundle in inner for held in bundle.held}
        rest = tuple(dataclasses.replace(held, block=1) for held in axes if (held.parameter, held.axis) not in taken)
        found += inner
        width = Bundle(layer=None, held=rest, leaves_by=rest)
        if rest and not _is_of_a_layer(rest, family, small) and _is_exact(family, small, model, [width]):
            found.append(width)
    return found


def _axes(family: Family, config: Config, group: Group) -> list[Held]:
    """The axes that follow the group; `block` is how much of a part belongs to one step of it."""
    found = []
    for (name, axis), growth in growths(family, config, group).items():
        parts = parts_of(family.axes_of(config), name, axis)
        found.append(Held(parameter=name, axis=axis, block=growth // sum(parts), parts=parts))
    return found


def _is_of_a_layer(held: Sequence[Held], family: Family, config: Config) -> bool:
    """Whether all lie in layers, as those of heads that could not be proved: they are no width."""
    prefixes = tuple(f"{stack.prefix}." for stack in family.stacks(config))
    return all(one.parameter.startswith(prefixes) for one in held)


def _inner(
    family: Family, config: Config, model: nn.Module, prefix: str, layers: int, axes: Sequence[Held]
) -> list[Bundle]:
    """The bundles of units within the layers of a stack, found in all layers at once."""
    mine = [held for held in axes if held.parameter.startswith(f"{prefix}.")]
    # Units leave by a linear map's inputs, most often; where they enter is as good for those that are never active.
    weights = [held for held in mine if model.get_parameter(held.parameter).ndim > 1]
    weights.sort(key=lambda held: -held.axis)
    ways_out = dict.fromkeys((_within(held, prefix), held.axis) for held in weights)
    found: list[Bundle] = []
    for name, axis in ways_out:
        bundles = list(_leaving(family, config, model, prefix, layers, mine, name, axis))
        taken = {(held.parameter, held.axis) for bundle in found for held in bundle.held}
        new = [one for one in bundles if taken.isdisjoint((held.parameter, held.axis) for held in one.held)]
        if new and _is_exact(family, config, model, new):
            found += new
    return found


def _leaving(
    family: Family,
    config: Config,
    model: nn.Module,
    prefix: str,
    layers: int,
    axes: Sequence[Held],
    name: str,
    axis: int,
) -> Iterator[Bundle]:
    """For each layer: what has no gradient at its first unit once that unit's part of the weight `name` is zero."""
    gradients = _gradients(
        family, config, model, [one for one in axes if (_within(one, prefix), one.axis) == (name, axis)]
    )
    for layer in range(layers):
        here = [one for one in axes if one.parameter.startswith(f"{prefix}.{layer}.")]
        out = [one for one in here if (_within(one, prefix), one.axis) == (name, axis)]
        own = [one for one in here if one not in out and _is_first_only(one, gradients)]
        units = {_units(model, one) for one in [*out, *own]}
        if out and own and len(units) == 1 and min(units) >= FEWEST:
            yield Bundle(layer=f"{prefix}.{layer}", held=(*out, *own), leaves_by=tuple(out))


def _gradients(family: Family, config: Config, model: nn.Module, zeroed: Sequence[Held]) -> Mapping[str, Tensor]:
    """The gradients of a random sum of outputs, where the first unit of `zeroed` is zero."""
    before = {held.parameter: model.get_parameter(held.parameter).detach().clone() for held in zeroed}
    for held in zeroed:
        parameter = model.get_parameter(held.parameter)
        with torch.no_grad():
            parameter.index_fill_(held.axis, held.places(int(parameter.shape[held.axis]), [0]), 0.0)
    outputs = model(**_inputs(family, config))
    weights = torch.randn(outputs.shape, generator=seeded(2), dtype=outputs.dtype)
    parameters = {name: one for name, one in model.named_parameters() if one.requires_grad}
    found = torch.autograd.grad((outputs * weights).sum(), list(parameters.values()), materialize_grads=True)
    with torch.no_grad():
        for name, values in before.items():
            model.get_parameter(name).copy_(values)
    return dict(zip(parameters, found, strict=True))


def _is_first_only(held: Held, gradients: Mapping[str, Tensor]) -> bool:
    """Whether the first unit has no gradient at all, and others have some (a unit that is never active has none)."""
    if held.parameter not in gradients:
        return False
    sizes = held.by_unit(gradients[held.parameter].abs())
    return bool(sizes[0] == 0) and bool((sizes[1:] > 0).any())


def _is_exact(family: Family, config: Config, model: nn.Module, bundles: Sequence[Bundle]) -> bool:
    """Whether the model gives the same when the units of each bundle change places, each in a way of its own.

    Where the output has the residual width itself, its numbers change places with it.
    """
    source = random.Random(0)
    with torch.no_grad():
        before = model(**_inputs(family, config))
        backs, order = [], [0]
        for bundle in bundles:
            order = list(range(bundle.count(model)))
            while order == sorted(order):
                source.shuffle(order)
            bundle.reorder(model, order)
            backs.append([order.index(place) for place in range(len(order))])
        after = model(**_inputs(family, config))
        for bundle, back in zip(bundles, backs, strict=True):
            bundle.reorder(model, back)
    is_width = bundles[0].layer is None and before.shape[-1] == len(order)
    return _are_close(before, after) or (is_width and _are_close(before[..., order], after))


def _are_close(one: Tensor, other: Tensor) -> bool:
    return bool(torch.allclose(one, other, rtol=CLOSE, atol=CLOSE))


def _inputs(family: Family, config: Config) -> dict[str, Tensor]:
    inputs = family.example_inputs(config, EXAMPLES)
    return {name: value.double() if value.is_floating_point() else value for name, value in inputs.items()}


def _fill(model: nn.Module) -> None:
    """Gives every parameter random numbers, so that none is at a value that could hide an error."""
    source = seeded(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3, generator=source)


def _within(held: Held, prefix: str) -> str:
    """The parameter's name within its layer."""
    return held.parameter.removeprefix(f"{prefix}.").partition(".")[2]


def _units(model: nn.Module, held: Held) -> int:
    return int(model.get_parameter(held.parameter).shape[held.axis]) // (held.block * sum(held.parts))
