"""What a submodel's logits are held against, and how: the losses of the published recipes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loss:
    """One loss. Those that end in "-teacher" take the teacher's logits (B, A) as target, others the answers.

    Answers are class ids (B,) or soft targets (B, A). All compute in float32, at temperature 1.

    - "cross-entropy": with the answers.
    - "bce": binary cross-entropy of every answer by itself.
    - "bce-teacher": the same with the sigmoid of the teacher's logits (BST on VQA-v2).
    - "kl-teacher": KL divergence from the teacher's answer distribution (BST on GQA).

    `reduction` is "sum" over questions and answers, "mean" over questions, or "element-mean" over
    both. It refers to the whole batch of a step: the losses of the parts that a batch is cut into add up to it.
    """

    kind: str
    reduction: str = "mean"
    factor: float = 1.0

    def __call__(self, logits_BA: Tensor, target: Tensor, *, questions: int) -> Tensor:
        """The share that these questions have in the loss of a batch of `questions`."""
        total = _SUMS[self.kind](logits_BA if logits_BA.dtype.itemsize > 2 else logits_BA.float(), target)
        if self.reduction != "sum":
            total = total / (questions * (logits_BA.shape[1] if self.reduction == "element-mean" else 1))
        return total if self.factor == 1 else total * self.factor


def _cross_entropy(logits_BA: Tensor, answers: Tensor) -> Tensor:
    return F.cross_entropy(logits_BA, answers, reduction="sum")


def _bce(logits_BA: Tensor, answers: Tensor) -> Tensor:
    target_BA = F.one_hot(answers, logits_BA.shape[1]) if answers.ndim == 1 else answers
    return F.binary_cross_entropy_with_logits(logits_BA, target_BA.to(logits_BA.dtype), reduction="sum")


def _bce_teacher(logits_BA: Tensor, teacher_BA: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits_BA, teacher_BA.to(logits_BA.dtype).sigmoid(), reduction="sum")


def _kl_teacher(logits_BA: Tensor, teacher_BA: Tensor) -> Tensor:
    return F.kl_div(logits_BA.log_softmax(-1), teacher_BA.to(logits_BA.dtype).softmax(-1), reduction="sum")


_SUMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross-entropy": _cross_entropy,
    "bce": _bce,
    "bce-teacher": _bce_teacher,
    "kl-teacher": _kl_teacher,
}
