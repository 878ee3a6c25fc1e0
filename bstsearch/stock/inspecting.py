"""What of a stock model can shrink, found by trying on a small configuration of its class, and proved there."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Mapping, Sequence

import torch

from bstsearch.errors import InputError
from bstsearch.listener import SILENT, Listener
from bstsearch.model.probing import check_axes
from bstsearch.model.zero_padding import RIGHT, difference, padding_error
from bstsearch.reading import said
from bstsearch.space import Submodel
from bstsearch.stock.assembling import assembled, shallow, steps_of
from bstsearch.stock.configuration import HERE, Found, Settings, StockConfig
from bstsearch.stock.deadline import Deadline, OutOfTimeError
from bstsearch.stock.depths import Depth, find_depths
from bstsearch.stock.effects import lists, numbers, pinned, set_by_inputs
from bstsearch.stock.family import FAMILY, usual_widths
from bstsearch.stock.groups import GroupSearch, wanted
from bstsearch.stock.inputs import find_reads, with_labels
from bstsearch.stock.module import full_settings
from bstsearch.stock.shrunk import candidates, fewer
from bstsearch.stock.trial import Bench, Trial, shapes_of

SECONDS = 110.0  # for all of it, what it costs included; the class is loaded before
FOR_SHAPES = 0.2  # the share of them that is left for the proof of the whole, and for shapes at full size
AT_FULL_SIZE = "shapes at full size"
SAME = 1e-9


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inspection:
    """What was found of a class: `config` says it, the rest tells how it was proved and what stays fixed, and why.

    `groups` are trials that were proved, `depths` the numbers of layers. `error` is that of the oracle for all of them
    together. `unproved` are weights on which no output depends, `left` what the time did not reach.
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
    architecture: str, settings: Settings, *, deadline: Deadline | None = None, listener: Listener = SILENT
) -> Inspection:
    """What of that class can shrink at these settings; InputError where it cannot be used, and why."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the classes' own code does is not the user's to change
        return _inspect(architecture, settings, deadline or Deadline.after(SECONDS), listener)


def _inspect(architecture: str, settings: Settings, deadline: Deadline, listener: Listener) -> Inspection:
    began = time.monotonic()
    listener.progress("looking at the class")
    full = StockConfig(architecture=architecture, settings=full_settings(architecture, settings))
    _check_sizes(full)
    full = pinned(full, fewer(full))
    looking = deadline.sooner(FOR_SHAPES * deadline.left)
    small, depths, unknown, search = _searched(full, looking, listener)
    groups, unwanted = wanted(search.proved)
    if not groups:
        raise InputError(f"{architecture} has no size that can shrink: {_reason(small, search)}")
    fixed = _fixed(small, depths) | unwanted | search.reasons()
    listener.progress("checking the sizes of the full model")
    found = assembled(full, small.found.reads, groups, tuple(layers for one in depths for layers in one.layers))
    config = dataclasses.replace(full, found=found)
    unchecked = (AT_FULL_SIZE,) if deadline.is_over else ()
    if not unchecked:
        config, misfits = _fitting(config)
        fixed |= misfits
    bench = search.bench
    return Inspection(
        config=config,
        groups=tuple(groups),
        depths=tuple(depths),
        error=_joint_error(config, bench),
        fixed=fixed,
        unproved=tuple(sorted(bench.unreached & {name for one in groups for name, _ in one.cut})),
        left=(*unknown, *search.left, *unchecked),
        seconds=time.monotonic() - began,
    )


def _fixed(small: StockConfig, depths: Sequence[Depth]) -> dict[str, str]:
    """The settings of which no trial is made, and why they stay."""
    following = {name.removeprefix(HERE) for one in depths for of in one.layers for name in (*of.rows, *of.places)}
    return {
        **{name: "a list of numbers, which is not tried" for name in lists(small.settings) if name not in following},
        **dict.fromkeys(set_by_inputs(small), "set by the inputs"),
        **{one.name: one.reason for one in depths if not one.layers},
    }


def _reason(small: StockConfig, search: GroupSearch) -> str:
    """Why no group was found."""
    if search.is_cut_short:
        return "the time ended before all were tried; give it more, with --seconds"
    several = lists(small.settings)
    return search.furthest() + (f", and sizes in a list are not tried ({', '.join(several)})" if several else "")


def _searched(
    full: StockConfig, deadline: Deadline, listener: Listener
) -> tuple[StockConfig, list[Depth], tuple[str, ...], GroupSearch]:
    """The small configuration, its numbers of layers, those of which the time did not tell, and what sizes can do."""
    try:
        small = _running(full, deadline)
        depths, unknown = find_depths(small, deadline)
        search = GroupSearch(bench=Bench(_shallow(small, depths), deadline), deadline=deadline, listener=listener)
    except OutOfTimeError:
        raise InputError(
            f"{full.architecture}: the time ended before a trial ran; give it more, with --seconds"
        ) from None
    left_out = {*set_by_inputs(small), *unknown, *(one.name for one in depths)}
    search.run([name for name in numbers(small.settings) if name not in left_out])
    return small, depths, unknown, search


def _check_sizes(full: StockConfig) -> None:
    """Passes where the class can be built of these sizes; else InputError says in its words why not."""
    try:
        shapes_of(full)
    except Exception as error:  # a class refuses sizes in ways of its own
        raise InputError(f"{full.architecture} cannot be built of these sizes: {said(error)}") from error


def _fitting(config: StockConfig) -> tuple[StockConfig, dict[str, str]]:
    """The same with the groups whose axes at full size are as in the trials, and why each other size stays.

    InputError where none is left.
    """
    try:
        check_axes(FAMILY, config)
    except InputError as error:
        reasons = {name: reason for group in config.found.groups for name, reason in _misfits(config, group).items()}
        groups = tuple(group for group in config.found.groups if not set(group) & reasons.keys())
        if not reasons or not groups:
            raise InputError(f"{config.architecture} has no size that can shrink: {error}") from error
        config = _of_groups(config, groups)
        check_axes(FAMILY, config)
        return config, {name.removeprefix(HERE): reason for name, reason in reasons.items()}
    return config, {}


def _misfits(config: StockConfig, group: dict[str, int]) -> dict[str, str]:
    """Why each size of that group does not fit; none where all do."""
    try:
        check_axes(FAMILY, _of_groups(config, (group,)))
    except InputError as error:
        return dict.fromkeys(group, str(error).removeprefix(f"{FAMILY.name}: "))
    return {}


def _of_groups(config: StockConfig, groups: tuple[dict[str, int], ...]) -> StockConfig:
    """The same in which these groups move only."""
    units = {name: config.found.units[name] for group in groups for name in group}
    return dataclasses.replace(config, found=dataclasses.replace(config.found, groups=groups, units=units))


def _running(full: StockConfig, deadline: Deadline) -> StockConfig:
    """The smallest configuration of the class for which inputs are found; InputError where there is none."""
    reason: InputError | None = None
    for small in candidates(full):
        try:
            reads = find_reads(small, deadline)
        except InputError as error:
            reason = reason or error
            continue
        except OutOfTimeError:
            raise reason or OutOfTimeError from None
        return _seeing_texts(dataclasses.replace(small, found=Found(reads=reads)))
    raise reason or InputError(f"{full.architecture} has no small configuration that can be built; name its sizes anew")


def _seeing_texts(config: StockConfig) -> StockConfig:
    """The same with labels as inputs where without them most weights have no output that depends on them."""
    bench, other = Bench(config), with_labels(config)
    _check_repeatable(bench)
    return other if other and len(bench.unreached) * 2 > len(set(bench.patterns.values())) else config


def _check_repeatable(bench: Bench) -> None:
    """Passes where the model computes the same twice, and numbers."""
    name = bench.config.architecture
    with torch.no_grad():
        once, again = (bench.full.outputs(bench.inputs) for _ in range(2))
    if any(bool(output.isnan().any()) for output in once):
        raise InputError(f"{name} gives numbers that are not finite, with random weights")
    if max(map(difference, once, again)) > SAME:
        raise InputError(f"{name} draws random numbers in its forward, so that no output can be compared")


def _shallow(config: StockConfig, depths: Sequence[Depth]) -> StockConfig:
    """The same with two layers in each list, which say as much of widths as more of them would."""
    return shallow(config, tuple(layers for one in depths for layers in one.layers))


def _joint_error(full: StockConfig, bench: Bench) -> float:
    """What the oracle says of the narrowest submodel of the small configuration; InputError where that is no slice."""
    groups = tuple(steps_of(bench.config, group) for group in full.found.groups)
    config = dataclasses.replace(bench.config, found=dataclasses.replace(full.found, groups=groups))
    error = padding_error(FAMILY, config, Submodel(width=usual_widths(config)[0]), bench.inputs)
    if error > RIGHT:
        raise InputError(
            f"{config.architecture}: each group is a slice by itself, but not all of them together (off by {error:.1e})"
        )
    return error
