"""What bstsearch must know of an architecture: how to build it at any size, and what may shrink."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from bstsearch.errors import InputError
from bstsearch.inputs.pictures import PictureReader
from bstsearch.inputs.reader import Processor, Reader
from bstsearch.model.axes import Axis, Group, Unit, all_groups, check_group
from bstsearch.model.phase import WHOLE, Phase
from bstsearch.model.sizes import all_sizes, size_of
from bstsearch.space import ONE, Shares, Space, Submodel, nearest

Config = Any  # each family's own frozen dataclass of sizes
FreeAxes = Mapping[str, Mapping[int, str]]


class SlimmableModule(Protocol):
    """The one thing asked of a model: forward falls into a part that is never slimmed and the rest.

    `forward(**inputs)` equals `elastic(*fixed(**inputs))`. Training and scoring run `fixed` once for
    many submodels. A model whose every parameter is elastic returns its inputs from `fixed`.
    """

    def fixed(self, **inputs: Tensor) -> tuple[Tensor, ...]:
        """What is computed with fixed parameters only."""

    def elastic(self, *features: Tensor) -> Tensor:
        """The output, from what `fixed` returned."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stack:
    """A list of layers, found under `prefix` in the state dict, and the order in which to keep them.

    `count` is the field of the config that holds the number of its layers, where one does ("num_hidden_layers"), and
    `order` the one that holds the keep order, where it can be chosen. `rows` are fields with one entry for each of its
    layers, `places` fields that list some of its layers by their index.

    >>> Stack(prefix="encoder", keep_order=(0, 3, 1, 2)).kept(2)
    (0, 3)
    """

    prefix: str
    keep_order: tuple[int, ...]
    count: str | None = None
    order: str | None = None
    rows: tuple[str, ...] = ()
    places: tuple[str, ...] = ()

    def kept(self, count: int) -> tuple[int, ...]:
        """The `count` layers kept longest, in the order in which they run."""
        return tuple(sorted(self.keep_order[:count]))

    def kept_by(self, submodel: Submodel, index: int) -> tuple[int, ...]:
        """The layers that `submodel` keeps of this stack, the model's stack of that index."""
        return self.kept(nearest(submodel.depth_of(index), len(self.keep_order)))

    def following(self, config: Config, kept: tuple[int, ...]) -> dict[str, Any]:
        """What the fields that follow its layers hold once only `kept` are left: its number, its rows, its places."""
        found: dict[str, Any] = {self.count: len(kept)} if self.count else {}
        found |= {name: [size_of(config, name)[layer] for layer in kept] for name in self.rows}
        if self.order and size_of(config, self.order):
            found[self.order] = tuple(kept.index(layer) for layer in self.keep_order if layer in kept)
        for name in self.places:
            found[name] = [kept.index(layer) for layer in size_of(config, name) if layer in kept]
        return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class Work:
    """A part of what a model does: `build(config)` makes a module that does it, for such inputs, at batch 1."""

    build: Callable[[Config], nn.Module]
    example_inputs: Callable[[Config, int], dict[str, Tensor]]
    free_axes: Callable[[Config], FreeAxes] = lambda _config: {}


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Family:
    """One architecture, as data and plain functions; each file in `families/` makes one, named FAMILY.

    - `config`: a frozen dataclass of sizes, rates, switches, words, and tuples of them; elastic and fixed sizes are
      different fields.
    - `presets`: named configurations.
    - `build(config)`: the model at exactly those sizes; a `SlimmableModule`.
    - `shrink(config, submodel)`: the sizes of that submodel.
    - `stacks(config)`: the layer stacks, with their keep orders.
    - `example_inputs(config, batch)`: inputs of the right names, dtypes and shapes, random but seeded.
    - `elastic_units(config)`: elastic field -> how much longer one more of it makes an axis (the size of a head for
      heads, else 1), or a tuple where axes follow it in several ways. The field of a layer count is none: its `Stack`
      names it.
    - `groups(config)`: elastic fields that can only move together, each with its smallest step; the others move alone.
    - `axes`: the axes that hold several parts side by side (qkv, gate and up); `more_axes(config)` those that only
      some configs have.
    - `usual_space(config)`: the space to begin with, where it is not BST's.
    - `free_axes(config)`: input -> axes, beside the first, whose size may differ from one call to the next
      (images lying or upright), each with a name for the exported model.
    - `tokens`: the field of the config that says how many of the image's tokens the Transformer sees, where a submodel
      may see fewer; no axis of a parameter follows it.
    - `token_shares(config)`: the shares of the image's tokens that its space elastic-tokens has, in rising order.
    - `phases(config)`: parts of its work that have latencies of their own, where it writes text: "prefill" (a text is
      read) and "decode" (one more token is computed).
    - `picture(config)`: how a picture becomes an input; None for a model that reads none, or squashed ones as they are
      (see `Reader`).
    - `processor(config, folder)`: what came with the model to read by, in files in `folder`, where models have such.
    - `with_classes(config, names)`: the config whose output has a number for each of these names, where other fields
      than `answers` say so; InputError where the class of the model gives no such numbers.
    - `check_classes(config, names)`: passes where the output has a number for each of these names, in this order, or
      the config does not say; else InputError.

    The first axis of every input and of the output is the batch.
    """

    name: str
    config: type[Any]
    presets: Mapping[str, Config]
    build: Callable[[Config], nn.Module]
    shrink: Callable[[Config, Submodel], Config]
    stacks: Callable[[Config], tuple[Stack, ...]]
    example_inputs: Callable[[Config, int], dict[str, Tensor]]
    elastic_units: Callable[[Config], Mapping[str, Unit]]
    groups: Callable[[Config], Sequence[Group]] = lambda _config: ()
    axes: tuple[Axis, ...] = ()
    more_axes: Callable[[Config], tuple[Axis, ...]] = lambda _config: ()
    usual_space: Callable[[Config], Space] | None = None
    free_axes: Callable[[Config], FreeAxes] = lambda _config: {}
    tokens: str | None = None
    token_shares: Callable[[Config], Shares] = lambda _config: (ONE,)
    phases: Callable[[Config], Mapping[Phase, Work]] = lambda _config: {}
    picture: Callable[[Config], PictureReader | None] = lambda _config: None
    processor: Callable[[Config, Path], Processor | None] = lambda _config, _folder: None
    with_classes: Callable[[Config, tuple[str, ...]], Config] = lambda config, _names: config
    check_classes: Callable[[Config, tuple[str, ...]], None] = lambda _config, _names: None

    def get_work(self, config: Config, phase: Phase) -> Work:
        """That part of what a model of that config does; InputError where it has no such part."""
        whole = Work(build=self.build, example_inputs=self.example_inputs, free_axes=self.free_axes)
        found = {WHOLE: whole, **self.phases(config)}
        if phase not in found:
            raise InputError(f"this {self.name} writes no text token by token, so it has no {phase}; leave out --phase")
        return found[phase]

    def reader(self, config: Config, folder: Path | None = None) -> Reader:
        """How a model of that config reads its inputs; `folder` holds what came with it to read by, if anything."""
        return Reader(
            like=self.example_inputs(config, 1),
            picture=self.picture(config),
            free=self.free_axes(config),
            processor=None if folder is None else self.processor(config, folder),
        )

    def kept_layers(self, config: Config, submodel: Submodel) -> dict[str, tuple[int, ...]]:
        """Stack prefix -> the full model's layers that `submodel` keeps, in running order."""
        stacks = self.stacks(config)
        return {stack.prefix: stack.kept_by(submodel, index) for index, stack in enumerate(stacks)}

    def space(self, config: Config) -> Space:
        """The space to begin with: BST's, unless the family has another."""
        if self.usual_space is not None:
            return self.usual_space(config)
        return Space.bst(stacks=tuple(len(stack.keep_order) for stack in self.stacks(config)))

    def axes_of(self, config: Config) -> tuple[Axis, ...]:
        """The axes that hold several parts side by side."""
        return (*self.axes, *self.more_axes(config))

    def moves(self, config: Config) -> list[Group]:
        """The groups in which elastic sizes move, those that move alone included."""
        return all_groups(self.elastic_units(config), self.groups(config))

    def check(self, config: Config, space: Space) -> None:
        """Passes where every choice gives whole sizes (whole heads above all) and fixed sizes stay; else InputError."""
        layers = tuple(len(stack.keep_order) for stack in self.stacks(config))
        if space.stacks != layers:
            raise InputError(f"the space is for stacks of {space.stacks} layers; this {self.name} has {layers}")
        choices = list(space.cells())
        choices += [Submodel(heads=(share,) * sum(layers)) for share in space.layer_heads]
        choices += [Submodel(ffn=(share,) * sum(layers)) for share in space.layer_ffn]
        choices += [Submodel(tokens=share) for share in space.tokens]
        groups = self.moves(config)
        for submodel in [Submodel(), *choices]:
            small = self.shrink(config, submodel)
            try:
                self._check_fixed_sizes(config, submodel, small)
                for group in groups:
                    check_group(small, group)
            except InputError as error:
                raise InputError(f"{self.name} {submodel.id}: {error}") from None

    def _check_fixed_sizes(self, config: Config, submodel: Submodel, small: Config) -> None:
        """Passes where layer counts are those of the kept layers, and every other size that is not elastic stays."""
        for stack in self.stacks(config):
            if stack.count and size_of(config, stack.count) != len(stack.keep_order):
                raise InputError(
                    f"the keep order of {stack.prefix} lists {len(stack.keep_order)} layers, but {stack.count} is "
                    f"{size_of(config, stack.count)}; make it follow the config, which a submodel has with fewer layers"
                )
        if submodel.tokens != 1 and self.tokens is None:
            raise InputError("the number of the image's tokens is fixed; leave 'tokens' out of the space")
        kept = self.kept_layers(config, submodel)
        counts: dict[str, Any] = {}
        for stack in self.stacks(config):
            counts |= stack.following(config, kept[stack.prefix])
        sizes, others = all_sizes(config), all_sizes(small)
        for field in sizes.keys() - self.elastic_units(config).keys() - {self.tokens}:
            before, after = sizes[field], others[field]
            if field in counts:
                if after != counts[field]:
                    raise InputError(f"{field} counts the layers, of which {counts[field]} are kept, not {after}")
            # A tuple with one entry per layer keeps the entries of the kept layers.
            elif not (set(after) <= set(before) if isinstance(before, tuple) else after == before):
                raise InputError(f"{field} is fixed at {before}, not {after}")


def whole(size: int, share: Fraction, name: str) -> int:
    """`size * share`, which must be a whole number of at least one; InputError names the size."""
    scaled = size * share
    if scaled.denominator != 1 or scaled < 1:
        raise InputError(f"{name}={size} times {share} is not a whole number; choose other widths or sizes")
    return int(scaled)


def seeded(seed: int = 0) -> torch.Generator:
    """A CPU random generator with that seed, apart from torch's global one."""
    return torch.Generator().manual_seed(seed)
