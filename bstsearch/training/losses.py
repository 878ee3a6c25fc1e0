"""What a submodel's outputs are held against, and how: a task's own loss, or those of the published recipes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from bstsearch.errors import InputError
from bstsearch.tasks.task import Task

OF_TASK = ("task", "task-teacher")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loss:
    """One loss. Those that end in "-teacher" take the teacher's outputs as target, others the batch's targets.

    The first two are the task's. For the others outputs are logits (B, A), and targets class ids (B,) or soft targets
    (B, A). All compute in float32, at temperature 1.

    - "task": the task's `loss`.
    - "task-teacher": its `distance` from the teacher.
    - "cross-entropy": with the answers.
    - "bce": binary cross-entropy of every answer by itself.
    - "bce-teacher": the same with the sigmoid of the teacher's logits (BST on VQA-v2).
    - "kl-teacher": KL divergence from the teacher's answer distribution (BST on GQA).

    `reduction` is "sum" over rows and answers, "mean" over rows, or "element-mean" over both. It refers to the whole
    batch of a step: the losses of the parts that a batch is cut into add up to it.
    """

    kind: str
    reduction: str = "mean"
    factor: float = 1.0

    def __call__(self, outputs: Tensor, target: Tensor, *, rows: int, task: Task | None = None) -> Tensor:
        """The share that these rows have in the loss of a batch of `rows`; InputError where the task's is no such."""
        outputs = outputs if outputs.dtype.itemsize > 2 else outputs.float()
        if self.kind in OF_TASK:
            assert task is not None
            total = _of_task(task, outputs, target, is_taught=self.kind == "task-teacher")
        else:
            total = _SUMS[self.kind](outputs, target)
        if self.reduction != "sum":
            total = total / (rows * (outputs.shape[1] if self.reduction == "element-mean" else 1))
        return total if self.factor == 1 else total * self.factor


def _of_task(task: Task, outputs: Tensor, target: Tensor, *, is_taught: bool) -> Tensor:
    values_B = task.distance(outputs, target.to(outputs.dtype)) if is_taught else task.loss(outputs, target)
    if values_B.shape != (len(outputs),):
        what = "distance" if is_taught else "loss"
        raise InputError(
            f"the {what} of {task.name} has the shape {tuple(values_B.shape)} for {len(outputs)} rows; "
            f"make it one number per row, ({len(outputs)},)"
        )
    return values_B.sum()


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
