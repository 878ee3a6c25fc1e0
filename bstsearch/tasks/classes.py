"""Tasks whose outputs are logits of classes: what they have in common, whatever the model reads."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from bstsearch.tasks.task import Split, Task


class ClassTask(Task):
    """A task with logits of classes (B, A) as outputs, and class ids (B,) or what each class is worth as targets."""

    has_classes = True

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy with class ids (B,), or with a distribution over the classes (B, A)."""
        return F.cross_entropy(outputs, targets, reduction="none")

    def distance(self, outputs: Tensor, teacher: Tensor) -> Tensor:
        """KL divergence from the teacher's distribution over the classes."""
        return F.kl_div(outputs.log_softmax(-1), teacher.to(outputs.dtype).softmax(-1), reduction="none").sum(-1)


class ClassSplit(Split):
    """A split whose targets are class ids (B,), or what each class is worth (B, A); `kept` are class ids (N,)."""

    def kept(self, outputs: Tensor, targets: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """The likeliest class of each row (B,)."""
        return outputs.argmax(-1)

    def right(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """How right the likeliest class of each row is (B,): 0 or 1, or what it is worth."""
        predicted_B = outputs.argmax(-1)
        if targets.ndim == 1:
            return (predicted_B == targets).float()
        return targets.gather(1, predicted_B[:, None])[:, 0]
