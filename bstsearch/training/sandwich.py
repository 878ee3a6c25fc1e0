"""One step of BST training: the sandwich of submodels, each held against the same target."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from bstsearch.model.supernet import Supernet
from bstsearch.space import Space, Submodel
from bstsearch.space_sample import draw_submodel
from bstsearch.training.layers import LayerMatch, States
from bstsearch.training.precision import in_precision

RANDOM_SUBMODELS = 3  # beside the smallest and the largest (BST section III-D: five a step)
UNIFORM_SUBMODELS = 1  # of these, where the space is elastic


class LossFunction(Protocol):
    """What `losses.Loss` is: the share of some rows in the loss of a batch of `rows`."""

    def __call__(self, outputs: Tensor, target: Any, *, rows: int) -> Tensor:
        """One number."""


def draw_sandwich(space: Space, random_source: random.Random) -> list[Submodel]:
    """Smallest, largest, and three others without replacement (all of them where there are fewer).

    Of an elastic space one of the three is uniform over its layers, as BST's are, and two are drawn from the whole
    space: so that the uniform ones lose little by it.
    """
    smallest, largest = space.smallest, space.largest
    others = [submodel for submodel in space.grid() if submodel not in (smallest, largest)]
    count = UNIFORM_SUBMODELS if space.is_elastic else RANDOM_SUBMODELS
    chosen = random_source.sample(others, min(count, len(others)))
    if space.is_elastic:
        chosen += [draw_submodel(space, random_source) for _ in range(RANDOM_SUBMODELS - count)]
    return list(dict.fromkeys([smallest, largest, *chosen]))


def sandwich_step(
    supernet: Supernet,
    submodels: Sequence[Submodel],
    inputs: Mapping[str, Tensor],
    target: Any,
    loss: LossFunction,
    *,
    rows: int | None = None,
    precision: str = "float32",
    match: LayerMatch | None = None,
) -> dict[Submodel, tuple[Tensor, Tensor]]:
    """Adds the gradients of every submodel's loss to the supernet's; returns each one's loss and outputs.

    The fixed part is computed once for all submodels and gets their summed gradient in one backward
    pass: the same gradients as one full pass per submodel, where the fixed part has no dropout, at less
    cost. `rows` is the size of the whole batch, where `inputs` are a part of it. With `match` the layers are held
    against the teacher's, too.
    """
    device = next(supernet.parameters()).device
    with in_precision(precision, device):
        features = supernet.model.fixed(**inputs)  # type: ignore[operator]
    leaves = [_leaf(feature) for feature in features]
    results = {}
    for submodel in submodels:
        with supernet.bind(submodel) as model:
            # One autocast for each pass: it keeps the weights that it has cast, and the next pass has others.
            with in_precision(precision, device), _watching(match, model) as states:
                outputs = model.elastic(*leaves)  # type: ignore[operator]
            value = loss(outputs, target, rows=rows or len(target))
            if match is not None:
                value = value + match.loss(submodel, states, rows or len(target))
            torch.autograd.backward(value)
        results[submodel] = (value.detach(), outputs.detach())
    if pairs := [(feature, leaf.grad) for feature, leaf in zip(features, leaves, strict=True) if leaf.grad is not None]:
        torch.autograd.backward([feature for feature, _ in pairs], [grad.to(feature.dtype) for feature, grad in pairs])
    return results


def _watching(match: LayerMatch | None, model: nn.Module) -> AbstractContextManager[dict[str, States]]:
    return contextlib.nullcontext({}) if match is None else match.learning(model)


def _leaf(feature: Tensor) -> Tensor:
    """`feature` cut off from what made it, at least in float32, so that the submodels' gradients add up well."""
    value = feature.detach()
    if value.dtype in (torch.bfloat16, torch.float16):
        value = value.float()
    return value.requires_grad_(feature.requires_grad)
