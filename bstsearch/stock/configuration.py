"""A stock configuration with what was found of its class: which of its numbers are elastic, and how (no torch)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bstsearch.errors import InputError
from bstsearch.layers.keep_order import ends_first
from bstsearch.model.axes import Axis, Group
from bstsearch.model.sizes import size_of
from bstsearch.reading import read_json, shown

FILE = "config.json"  # of a stock folder
BESIDE = "stock"  # in a supernet folder: what came with the model, beside its weights
KEPT = "inspection.json"  # in a supernet folder: what was found of the class
HERE = "settings."  # before the name of a setting, where it is a field of `StockConfig`
LENGTH = 32  # tokens of the text that a model is measured with, unless it takes fewer

Settings = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layers:
    """A list of layers under `prefix`; `count` names the setting with their number.

    `rows` are settings with one entry for each layer, `places` those that list layers by their index.
    """

    prefix: str
    count: str
    rows: tuple[str, ...] = ()
    places: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reads:
    """What a model takes: the names of its inputs, and how pictures lie in them.

    `picture` is "plain" for (B, C, H, W), "listed" for (B, N, C, H, W), "patches" for rows of numbers with a grid.
    A text has one token for each `patches_per_token` patches of its picture, where the class puts pictures into texts.
    """

    names: tuple[str, ...] = ()
    length: int = LENGTH
    picture: str = "plain"
    patches_per_token: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """What of a class can shrink, by the names that its configuration has, behind "settings.".

    `units`, `groups` and `axes` are as a `Family` declares them.
    """

    units: dict[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    groups: tuple[dict[str, int], ...] = ()
    axes: tuple[Axis, ...] = ()
    stacks: tuple[Layers, ...] = ()
    reads: Reads = Reads()


@dataclasses.dataclass(frozen=True, kw_only=True)
class StockConfig:
    """The class `architecture` of transformers, with the `settings` of its config.json.

    `orders` hold the keep order of each of the lists of layers in `found`, by its place there; empty: both ends first.
    With `pooling` ("mean" or "cls") the output is one vector of length one for each text.
    """

    architecture: str
    settings: Settings
    found: Found = Found()
    orders: dict[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    pooling: str = ""

    def __hash__(self) -> int:
        return hash(json.dumps(dataclasses.asdict(self), sort_keys=True))

    def with_settings(self, changes: Mapping[str, Any]) -> StockConfig:
        """The same class with other values under these names (without "settings.")."""
        return dataclasses.replace(self, settings=changed(self.settings, changes))


def changed(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """The settings with other values under these names, some of which may be new."""
    found = dict(settings)
    for name, value in changes.items():
        word, _, rest = name.partition(".")
        found[word] = changed(found[word], {rest: value}) if rest else value
    return found


def number_of(settings: Settings, name: str) -> int:
    """The number under that name."""
    return int(size_of(settings, name))


def usual_orders(config: StockConfig) -> dict[str, tuple[int, ...]]:
    """The order in which the layers of each list are kept, by its place among the lists: both ends first."""
    stacks = enumerate(config.found.stacks)
    return {str(index): ends_first(size_of(config, layers.count)) for index, layers in stacks}


def read_settings(folder: Path, *, is_trusted: bool = False) -> Settings:
    """What config.json in `folder` says; InputError where there is none, or what it names cannot be built here.

    So it is where it names code of its own, unless that `is_trusted`.
    """
    if not (folder / FILE).exists():
        raise InputError(f"{folder / FILE} does not exist; give the folder of a model, as save_pretrained writes it")
    settings: Settings = read_json(folder / FILE)
    names = settings.get("architectures")
    if not isinstance(names, list) or len(names) != 1 or not isinstance(names[0], str):
        raise InputError(
            f'{folder / FILE} names no class: "architectures" is {shown(names)}; name one, as ["BertModel"]'
        )
    if "auto_map" in settings and not is_trusted:
        raise InputError(
            f"{folder / FILE} asks for code of its own (auto_map), which is not run; name a stock class, or read the "
            "code and look at it with 'bstsearch inspect --trust-remote-code'"
        )
    if settings.get("quantization_config"):
        raise InputError(f"{folder / FILE} is of a quantised model, whose weights cannot be sliced; use the full one")
    return settings


def class_names(config: StockConfig) -> tuple[str, ...]:
    """What the configuration calls the classes that outputs are for, in their order."""
    names: Settings = config.settings.get("id2label") or {}
    return tuple(str(names[place]) for place in sorted(names, key=int))


def groups_of(found: Found) -> tuple[Group, ...]:
    """Its groups of several sizes; the others move alone."""
    return tuple(group for group in found.groups if len(group) > 1 or next(iter(group.values())) > 1)


def files_beside(folder: Path) -> list[str]:
    """What came with a model, in the folder that is made of it: the names of the files, with those of their folders."""
    found = sorted((folder / BESIDE).rglob("*"))
    return [file.relative_to(folder).as_posix() for file in found if file.is_file()]
