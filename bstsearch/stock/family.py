"""The one family of stock models: its configurations say themselves what can shrink."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from bstsearch.errors import InputError
from bstsearch.model.family import Family, Stack
from bstsearch.model.sizes import resized, size_of
from bstsearch.space import Shares, Space, Submodel, nearest, triangle
from bstsearch.stock.configuration import StockConfig, groups_of, usual_orders
from bstsearch.stock.generating import phases
from bstsearch.stock.inputs import example_inputs, free_axes
from bstsearch.stock.labels import check_classes, with_classes
from bstsearch.stock.module import build
from bstsearch.stock.processing import Processor

WHOLE = "model"  # where a stock model lies in its module
QUARTERS = 4  # of a size: the shares that BST takes, or the nearest that are whole


def stacks(config: StockConfig) -> tuple[Stack, ...]:
    """The lists of layers that may lose some; where there is none, the model as one layer, which stays."""
    if not config.found.stacks:
        return (Stack(prefix=WHOLE, keep_order=(0,)),)
    orders = config.orders or usual_orders(config)
    return tuple(
        Stack(
            prefix=layers.prefix,
            keep_order=orders[str(index)],
            count=layers.count,
            order=f"orders.{index}" if config.orders else None,
            rows=layers.rows,
            places=layers.places,
        )
        for index, layers in enumerate(config.found.stacks)
    )


def shrink(config: StockConfig, submodel: Submodel) -> StockConfig:
    """The configuration of a submodel; InputError where layers are to differ, for which no stock class has words."""
    if submodel.heads or submodel.ffn:
        raise InputError(
            f"{config.architecture} has one size for all its layers; choose the space bst, or a file without "
            "layer_heads and layer_ffn"
        )
    changes = {
        name: step * nearest(submodel.width, size_of(config, name) // step)
        for group in FAMILY.moves(config)
        for name, step in group.items()
    }
    for index, stack in enumerate(stacks(config)):
        changes |= stack.following(config, stack.kept_by(submodel, index))
    small: StockConfig = resized(config, changes)
    return small


def usual_space(config: StockConfig) -> Space:
    """BST's space where its shares are whole numbers of everything, else with the nearest that are."""
    layers = tuple(len(stack.keep_order) for stack in stacks(config))
    common = math.gcd(*layers)
    depths = Space.bst(stacks=layers).depths if not (common % 6 and common % QUARTERS) else _shares(layers)
    widths = usual_widths(config)
    is_nearest = any((depth * count).denominator > 1 for depth in depths for count in layers)
    least = triangle(widths, depths)
    return Space(widths=widths, depths=depths, stacks=layers, least_depths=least, has_nearest_depths=is_nearest)


def usual_widths(config: StockConfig) -> Shares:
    """The quarters of all sizes, or the shares nearest to them that are whole; at last, the nearest of each size."""
    return _shares([size_of(config, name) // step for group in FAMILY.moves(config) for name, step in group.items()])


def _shares(counts: Sequence[int]) -> Shares:
    """The quarters of all of `counts`, or what of them is whole and comes nearest.

    Where that leaves too little, the quarters that differ for one of `counts`; each takes what comes nearest to them.

    >>> [str(share) for share in _shares((22,))], [str(share) for share in _shares((12, 8))]
    (['3/11', '1/2', '8/11', '1'], ['1/4', '1/2', '3/4', '1'])
    >>> [str(share) for share in _shares((9, 5, 5))], [str(share) for share in _shares((2, 1))]
    (['1/4', '1/2', '3/4', '1'], ['1/2', '1'])
    """
    common = math.gcd(*counts)
    shares = [Fraction(quarter, QUARTERS) for quarter in range(1, QUARTERS + 1)]
    if common >= QUARTERS - 1 or common == max(counts):
        return tuple(Fraction(count, common) for count in sorted({max(1, round(share * common)) for share in shares}))
    kept = {tuple(nearest(share, count) for count in counts): share for share in shares}
    return tuple(kept.values())


FAMILY = Family(
    name="hugging_face",
    config=StockConfig,
    presets={},
    build=build,
    shrink=shrink,
    stacks=stacks,
    example_inputs=example_inputs,
    elastic_units=lambda config: config.found.units,
    groups=lambda config: groups_of(config.found),
    more_axes=lambda config: config.found.axes,
    usual_space=usual_space,
    free_axes=free_axes,
    processor=Processor.beside,
    with_classes=with_classes,
    check_classes=check_classes,
    phases=phases,
)
