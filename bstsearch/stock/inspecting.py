"""What of a stock model can shrink, found by trying on a small configuration of its class, and proved there."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from bstsearch.errors import InputError
from bstsearch.listener import SILENT, Listener
from bstsearch.model.probing import check_axes
from bstsearch.model.zero_padding import RIGHT, difference, padding_error
from bstsearch.reading import said
from bstsearch.space import Submodel
from bstsearch.stock.assembling import assembled
from bstsearch.stock.configuration import HERE, Found, Settings, StockConfig
from bstsearch.stock.depths import Depth, find_depths
from bstsearch.stock.effects import numbers, pinned, set_by_inputs
from bstsearch.stock.family import FAMILY, usual_widths
from bstsearch.stock.groups import GroupSearch, wanted
from bstsearch.stock.inputs import find_reads, with_labels
from bstsearch.stock.module import build, full_settings
from bstsearch.stock.shrunk import candidates
from bstsearch.stock.trial import Bench, Trial, ready, shapes_of

SECONDS = 110.0  # for looking; what is left of two minutes is for the proof of the whole
SAME = 1e-9


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inspection:
    """What was found of a class: `config` says it, the rest tells how it was proved and what stays fixed, and why.

    `groups` are trials that were proved, `depths` the numbers of layers. `error` is that of the oracle for all of them
    together. `unproved` are weights on which no output depends, `left` settings that the time did not reach.
    """

    config: StockConfig
    groups: tuple[Trial, ...]
    depths: tuple[Depth, ...]
    error: float
    fixed: Mapping[str, str]
    unproved: tuple[str, ...]
    left: tuple[str, ...]
    seconds: float


def inspect(
    architecture: str, settings: Settings, *, seconds: float = SECONDS, listener: Listener = SILENT
) -> Inspection:
    """What of that class can shrink at these settings; InputError where it cannot be used, and why."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the classes' own code does is not the user's to change
        return _inspect(architecture, settings, time.monotonic() + seconds, listener)


def _inspect(architecture: str, settings: Settings, deadline: float, listener: Listener) -> Inspection:
    began = time.monotonic()
    full = StockConfig(architecture=architecture, settings=full_settings(architecture, settings))
    listener.progress("looking at the class")
    _check_sizes(full)
    full = pinned(full)
    small = _running(full)
    depths = find_depths(small)
    bench = Bench(_shallow(small, depths))
    fixed = {
        **dict.fromkeys(set_by_inputs(small), "set by the inputs"),
        **{one.name: one.reason for one in depths if not one.layers},
    }
    search = GroupSearch(bench=bench, deadline=deadline, listener=listener)
    search.run([name for name in numbers(small.settings) if name not in fixed and not _counts(name, depths)])
    groups, unwanted = wanted(search.proved)
    if not groups:
        raise InputError(f"{architecture} has no size that can shrink: {_first_reason(search)}")
    fixed |= unwanted | search.reasons()
    found = assembled(full, small.found.reads, groups, tuple(layers for one in depths for layers in one.layers))
    config = dataclasses.replace(full, found=found)
    error = _joint_error(dataclasses.replace(bench.config, found=found))
    check_axes(FAMILY, config)
    return Inspection(
        config=config,
        groups=tuple(groups),
        depths=tuple(depths),
        error=error,
        fixed=fixed,
        unproved=tuple(sorted(bench.unreached & {name for one in groups for name, _ in one.cut})),
        left=search.left,
        seconds=time.monotonic() - began,
    )


def _check_sizes(full: StockConfig) -> None:
    """Passes where the class can be built of these sizes; else InputError says in its words why not."""
    try:
        shapes_of(full)
    except Exception as error:  # a class refuses sizes in ways of its own
        raise InputError(f"{full.architecture} cannot be built of these sizes: {said(error)}") from error


def _running(full: StockConfig) -> StockConfig:
    """The smallest configuration of the class for which inputs are found; InputError where there is none."""
    reason: InputError | None = None
    for small in candidates(full):
        try:
            reads = find_reads(small, build)
        except InputError as error:
            reason = error
            continue
        small = dataclasses.replace(small, found=Found(reads=reads))
        _check_model(small)
        return _seeing_texts(small)
    raise reason or InputError(f"{full.architecture} has no small configuration that can be built; name its sizes anew")


def _seeing_texts(config: StockConfig) -> StockConfig:
    """The same with labels as inputs where without them most weights have no output that depends on them."""
    other = with_labels(config)
    if other is None:
        return config
    bench = Bench(config)
    return other if len(bench.unreached) * 2 > len(set(bench.patterns.values())) else config


def _check_model(config: StockConfig) -> None:
    """Passes where the model computes the same twice."""
    model = ready(config)
    bench = Bench(config)
    once, again = ([one.detach() for one in model.outputs(bench.inputs)] for _ in range(2))
    if max(map(difference, once, again)) > SAME:
        raise InputError(
            f"{config.architecture} draws random numbers in its forward, so that no output can be compared"
        )


def _shallow(config: StockConfig, depths: Sequence[Depth]) -> StockConfig:
    """The same with two layers in each list, which say as much of widths as more of them would."""
    changes: dict[str, Any] = {}
    stacks = tuple(layers for one in depths for layers in one.layers)
    config = dataclasses.replace(config, found=dataclasses.replace(config.found, stacks=stacks))
    for stack in FAMILY.stacks(config):
        if len(stack.keep_order) > 2:
            changes |= stack.following(config, stack.kept(2))
    return config.with_settings({name.removeprefix(HERE): value for name, value in changes.items()})


def _counts(name: str, depths: Sequence[Depth]) -> bool:
    return any(one.name == name for one in depths)


def _first_reason(search: GroupSearch) -> str:
    return next((trial.reason for trial in search.trials.values() if trial.reason), "it has no sizes")


def _joint_error(config: StockConfig) -> float:
    """What the oracle says of the narrowest submodel of the small configuration; InputError where that is no slice."""
    error = padding_error(FAMILY, config, Submodel(width=usual_widths(config)[0]), Bench(config).inputs)
    if error > RIGHT:
        raise InputError(
            f"{config.architecture}: each group is a slice by itself, but not all of them together (off by {error:.1e})"
        )
    return error
