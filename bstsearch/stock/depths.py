"""Which numbers count layers, and the proof that fewer of them are the full model without the others."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

import torch
from torch import nn

from bstsearch.model.family import Stack
from bstsearch.model.sizes import size_of
from bstsearch.model.slicing import make_plan
from bstsearch.model.zero_padding import RIGHT, difference, randomise
from bstsearch.reading import said
from bstsearch.space import Submodel
from bstsearch.stock.configuration import HERE, Layers, Settings, StockConfig
from bstsearch.stock.deadline import Deadline
from bstsearch.stock.effects import numbers
from bstsearch.stock.family import FAMILY, stacks
from bstsearch.stock.inputs import example_inputs
from bstsearch.stock.module import StockModel
from bstsearch.stock.trial import all_outputs, ready, shapes_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class Depth:
    """A number that counts layers: the lists they are in, how far fewer are from the full model, or why it is fixed."""

    name: str
    layers: tuple[Layers, ...] = ()
    error: float = float("inf")
    reason: str = ""


def find_depths(config: StockConfig, deadline: Deadline) -> tuple[list[Depth], tuple[str, ...]]:
    """Every number that counts layers; and those that the time did not reach."""
    names = set(shapes_of(config))
    lengths = _lengths(names)
    counts = {name: count for name, count in numbers(config.settings).items() if count in lengths}
    found: list[Depth] = []
    for done, (name, count) in enumerate(counts.items()):
        if deadline.is_over:
            return found, tuple(counts)[done:]
        depth = _depth(config, name, count, names)
        found += [] if depth is None else [depth]
    return found, ()


def _lengths(names: Iterable[str]) -> set[int]:
    """How long the lists of modules are of which these weights are."""
    last: dict[str, int] = {}
    for name in names:
        for match in re.finditer(r"\.(\d+)(?=\.)", name):
            prefix = name[: match.start()]
            last[prefix] = max(last.get(prefix, 0), int(match[1]) + 1)
    return set(last.values())


def _depth(config: StockConfig, name: str, count: int, names: set[str]) -> Depth | None:
    """What that number counts; None where it counts no layers."""
    kept, last = _kept(count), None
    for rows, places in _following(config.settings, name, count):
        layers = Layers(prefix="", count=HERE + name, rows=rows, places=places)
        try:
            left = set(shapes_of(_with(config, _changes(config, layers, kept))))
        except Exception:  # refused in the class's own way: other lists must be as long
            continue
        if left >= names or _is_of_lists(config, layers, left):
            return None
        prefixes = sorted({_list_of(gone, len(kept)) for gone in names - left})
        if not left <= names or "" in prefixes:
            return Depth(name=name, reason="other weights than those of a list of layers depend on it")
        last = prove(config, tuple(dataclasses.replace(layers, prefix=prefix) for prefix in prefixes))
        if last.error <= RIGHT:
            break
    return last


def _is_of_lists(config: StockConfig, layers: Layers, left: set[str]) -> bool:
    """Whether the lists alone, without that number, have the weights go."""
    if not layers.rows + layers.places:
        return False
    changes = _changes(config, layers, _kept(int(size_of(config, layers.count))))
    del changes[layers.count]
    with contextlib.suppress(Exception):  # refused in the class's own way: they go with the number
        return set(shapes_of(_with(config, changes))) == left
    return False


def _following(settings: Settings, name: str, count: int) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Which lists beside that number may follow it: those of its length, those of places among its layers; or none."""
    owner, _, _ = name.rpartition(".")
    beside = size_of(settings, owner) if owner else settings
    before = f"{HERE}{owner}." if owner else HERE
    lists = {before + key: value for key, value in beside.items() if isinstance(value, list)}
    rows = tuple(key for key, value in lists.items() if len(value) == count)
    places = tuple(key for key, value in lists.items() if key not in rows and _are_places(value, count))
    yield from dict.fromkeys([(rows, places), (rows, ()), ((), ())])


def _are_places(values: list[Any], count: int) -> bool:
    return (
        bool(values)
        and all(type(value) is int and 0 <= value < count for value in values)
        and values == sorted(set(values))
    )


def _list_of(name: str, kept: int) -> str:
    """Where the list is from which a weight is gone: before the first number of a layer that is not kept."""
    for match in re.finditer(r"\.(\d+)\.", name):
        if int(match[1]) >= kept:
            return name[: match.start()]
    return ""


def _kept(count: int) -> tuple[int, ...]:
    """The first layer and the last one, where there are more."""
    return (0, count - 1) if count > 2 else (0,)


def _changes(config: StockConfig, layers: Layers, kept: tuple[int, ...]) -> dict[str, Any]:
    """What the settings that follow these layers hold once only `kept` are left."""
    stack = Stack(prefix=layers.prefix, keep_order=(), count=layers.count, rows=layers.rows, places=layers.places)
    return stack.following(config, kept)


def _with(config: StockConfig, changes: Mapping[str, Any]) -> StockConfig:
    return config.with_settings({name.removeprefix(HERE): value for name, value in changes.items()})


def prove(config: StockConfig, layers: tuple[Layers, ...]) -> Depth:
    """Half of the layers that one number counts, held against the full model with the others taken out of its lists."""
    name, count = layers[0].count.removeprefix(HERE), int(size_of(config, layers[0].count))
    config = dataclasses.replace(config, found=dataclasses.replace(config.found, stacks=layers))
    submodel = Submodel(depth=Fraction(max(1, count // 2), count))
    inputs = {
        key: value.double() if value.is_floating_point() else value for key, value in example_inputs(config, 2).items()
    }
    try:
        shorter = FAMILY.shrink(config, submodel)
        small, full = ready(shorter), ready(config)
        randomise(full)
        plan = make_plan(FAMILY, config, submodel, small, full)
        weights = dict(full.named_parameters(remove_duplicate=False))
        with torch.no_grad():
            for own, parameter in small.named_parameters():
                parameter.copy_(plan.cuts[own].apply(weights[plan.cuts[own].source]))
            for own, source in plan.buffers.items():
                small.get_buffer(own).copy_(full.get_buffer(source))
            _take_out(full, config, shorter, submodel)
            error = max(map(difference, all_outputs(full, inputs), all_outputs(small, inputs)))
    except Exception as error_:  # the class's own code says what it does not take
        return Depth(name=name, reason=said(error_))
    reason = "" if error <= RIGHT else f"off by {error:.1e}"
    return Depth(name=name, layers=layers if error <= RIGHT else (), error=error, reason=reason)


def _take_out(full: StockModel, config: StockConfig, shorter: StockConfig, submodel: Submodel) -> None:
    """Leaves the kept layers in the model's lists, and tells its configuration."""
    for prefix, kept in FAMILY.kept_layers(config, submodel).items():
        parent, _, leaf = prefix.rpartition(".")
        layers = list(full.get_submodule(prefix).children())
        setattr(full.get_submodule(parent), leaf, nn.ModuleList([layers[index] for index in kept]))
    stack = stacks(config)[0]
    for name in (stack.count, *stack.rows, *stack.places):
        owner: Any = full.model.config
        *words, leaf = str(name).removeprefix(HERE).split(".")
        for word in words:
            owner = getattr(owner, word)
        for module in full.modules():  # some have a copy of their own
            own: Any = getattr(module, "config", None)
            if type(own) is type(owner):
                setattr(own, leaf, size_of(shorter, str(name)))
                own.use_cache = False  # made for fewer layers than the numbers that these have
