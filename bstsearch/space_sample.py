"""Submodels drawn at random from a space (no torch)."""

from __future__ import annotations

import dataclasses
import random

from bstsearch.space import Shares, Space, Submodel

ALIKE = 0.5  # the share of rows that are the same for all layers


def draw_submodel(space: Space, random_source: random.Random) -> Submodel:
    """A submodel of `space`: width, depths, tokens and precision by themselves, then its layers' heads and FFN units.

    Half of the rows of heads, and of FFN units, are one share for all layers: were all layers drawn by themselves, few
    submodels would be small, or large, throughout.

    >>> draw_submodel(Space.bst(stacks=(6, 6)).elastic, random.Random(0)) in Space.bst(stacks=(6, 6)).elastic
    True
    """
    width = random_source.choice(space.widths)
    depths = [random_source.choice(space.depths_of(width)) for _ in space.stacks]
    submodel = Submodel(
        width=width,
        depths=tuple(depths) if space.has_own_depths else (depths[0],) * len(depths),
        tokens=random_source.choice(space.tokens),
        precision=random_source.choice(space.precisions) if len(space.precisions) > 1 else space.precisions[0],
    )
    layers = space.kept_layers(submodel)
    heads, ffn = (_draw_row(choices, layers, random_source) for choices in (space.layer_heads, space.layer_ffn))
    return dataclasses.replace(submodel, heads=heads, ffn=ffn)


def _draw_row(choices: Shares, layers: int, random_source: random.Random) -> Shares:
    if not choices:
        return ()
    if random_source.random() < ALIKE:
        return (random_source.choice(choices),) * layers
    return tuple(random_source.choices(choices, k=layers))
