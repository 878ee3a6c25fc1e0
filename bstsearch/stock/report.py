"""What was found of a stock class as plain data: what shrinks, what stays and why, what submodels cost."""

from __future__ import annotations

import time
from typing import Any

from bstsearch.listener import SILENT, Listener
from bstsearch.model.sizes import size_of
from bstsearch.reading import said
from bstsearch.stock.configuration import HERE, StockConfig
from bstsearch.stock.deadline import Deadline
from bstsearch.stock.family import FAMILY
from bstsearch.stock.inspecting import Inspection
from bstsearch.stock.module import transformers_version

NEVER = Deadline()


def described(found: Inspection, deadline: Deadline = NEVER, listener: Listener = SILENT) -> dict[str, Any]:
    """All that `bstsearch inspect` tells, but for the folder; costs as far as the time reaches."""
    config, began = found.config, time.monotonic()
    submodels, uncounted = _corners(config, deadline, listener)
    return {
        "class": config.architecture,
        "transformers": transformers_version(),
        "inputs": list(config.found.reads.names),
        "error": found.error,
        "groups": [_group(config, names, found) for names in config.found.groups],
        "stacks": _stacks(found),
        "fixed": dict(sorted(found.fixed.items())),
        "unproved": [name.removeprefix("model.") for name in found.unproved],
        "not_reached": [*found.left, *uncounted],
        "submodels": submodels,
        "seconds": round(found.seconds + time.monotonic() - began, 1),
    }


def _group(config: StockConfig, group: dict[str, int], found: Inspection) -> dict[str, Any]:
    """Sizes that move together, with the parts of the axes that follow them."""
    own = [one for one in found.groups if HERE + one.names[0] in group]
    parts = {name.removeprefix("model."): (axis, of) for one in own for (name, axis), of in one.parts.items()}
    return {
        "sizes": {name.removeprefix(HERE): size_of(config, name) for name in group},
        "steps": {name.removeprefix(HERE): step for name, step in group.items()},
        "error": max(one.error for one in own),
        "axes": len({key for one in own for key in one.cut}),
        "parts": [{"parameter": name, "axis": axis, "parts": list(of)} for name, (axis, of) in sorted(parts.items())],
    }


def _stacks(found: Inspection) -> list[dict[str, Any]]:
    """The lists of layers, and those of them that keep all, since no share of theirs is one of the others'."""
    elastic = {layers.prefix for layers in found.config.found.stacks}
    errors = {depth.name: depth.error for depth in found.depths}
    proved = [layers for depth in found.depths for layers in depth.layers]
    return [
        {
            "prefix": layers.prefix.removeprefix("model."),
            "count": layers.count.removeprefix(HERE),
            "layers": size_of(found.config, layers.count),
            "keep_order": list(order.get(layers.prefix, ())),
            "follows": [name.removeprefix(HERE) for name in (*layers.rows, *layers.places)],
            "error": errors[layers.count.removeprefix(HERE)],
            "is_elastic": layers.prefix in elastic,
        }
        for order in [{stack.prefix: stack.keep_order for stack in FAMILY.stacks(found.config)}]
        for layers in proved
    ]


def _corners(config: StockConfig, deadline: Deadline, listener: Listener) -> tuple[list[dict[str, Any]], list[str]]:
    """The smallest, the middle and the largest submodel, and what of them the time did not reach.

    There are none where a product in the class cannot be counted.
    """
    from bstsearch.model.counting import count  # here, since it loads fvcore

    space, found, left = FAMILY.space(config), list[dict[str, Any]](), list[str]()
    for submodel in dict.fromkeys([space.smallest, space.middle, space.largest]):
        if deadline.is_over:
            left.append(f"costs of {submodel.id}")
            continue
        listener.progress("counting", len(found), 3)
        try:
            cost = count(FAMILY, config, submodel)
        except Exception as error:  # what the class's own code says where it cannot be traced
            listener.note(f"{submodel.id}: MACs are not counted, {said(error)}")
            return [], []
        found.append({"id": submodel.id, "parameters": cost.parameters, "macs": cost.macs})
    return found, left
