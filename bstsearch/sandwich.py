"""One step of BST training: the sandwich of submodels, each taught by a frozen teacher."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from bstsearch.space import Space, Submodel
from bstsearch.supernet import Supernet

RANDOM_SUBMODELS = 3  # beside the smallest and the largest (BST section III-D: five a step)


def draw_sandwich(space: Space, random_source: random.Random) -> list[Submodel]:
    """Smallest, largest, and three others without replacement (all of them where there are fewer)."""
    smallest, largest = space.smallest, space.largest
    others = [submodel for submodel in space.grid() if submodel not in (smallest, largest)]
    chosen = random_source.sample(others, min(RANDOM_SUBMODELS, len(others)))
    return list(dict.fromkeys([smallest, largest, *chosen]))


def distillation_loss(logits_BA: Tensor, teacher_BA: Tensor) -> Tensor:
    """KL divergence from the teacher's answer distribution, at temperature 1, averaged over the batch.

    BST's loss for single-answer data (its GQA model), but for the mean in place of the sum.
    """
    return F.kl_div(logits_BA.log_softmax(-1), teacher_BA.softmax(-1), reduction="batchmean")


def sandwich_step(
    supernet: Supernet, submodels: Sequence[Submodel], inputs: Mapping[str, Tensor], teacher_BA: Tensor
) -> dict[Submodel, tuple[float, Tensor]]:
    """Adds the gradients of every submodel's loss to the supernet's; returns each one's loss and logits.

    The fixed part is computed once for all submodels and gets their summed gradient in one backward
    pass: the same gradients as one full pass per submodel, where the fixed part has no dropout, at less cost.
    """
    features = supernet.model.fixed(**inputs)  # type: ignore[operator]
    leaves = [feature.detach().requires_grad_(feature.requires_grad) for feature in features]
    results = {}
    for submodel in submodels:
        with supernet.bind(submodel) as model:
            logits_BA = model.elastic(*leaves)  # type: ignore[operator]
            loss = distillation_loss(logits_BA, teacher_BA)
            torch.autograd.backward(loss)
        results[submodel] = (loss.item(), logits_BA.detach())
    pairs = [(feature, leaf.grad) for feature, leaf in zip(features, leaves, strict=True) if leaf.grad is not None]
    torch.autograd.backward([feature for feature, _ in pairs], [gradient for _, gradient in pairs])
    return results
