"""Distillation that matches layers beside the outputs: those that a submodel keeps with the same ones of the teacher.

A smaller submodel's hidden states are shorter than the teacher's, so they are not compared themselves, but how alike
the examples of a batch are by them (see `bstsearch.tasks.similarity`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from bstsearch.errors import InputError
from bstsearch.model.supernet import Supernet
from bstsearch.space import Submodel
from bstsearch.tasks.similarity import relation_distance

MASK = "attention_mask"  # as Hugging Face's models call the tokens that are no padding
WEIGHT = 0.01  # of the mean over the layers, which counts cosines in units of a temperature, beside the loss of outputs

States = list[Tensor]


class LayerMatch:
    """What the layers of `teacher` give for a batch, and how far those of a submodel are from it."""

    def __init__(self, teacher: Supernet) -> None:
        self._family, self._config = teacher.family, teacher.config
        self._prefixes = [stack.prefix for stack in self._family.stacks(self._config)]
        self._wanted: dict[str, States] = {}
        self._mask: Tensor | None = None

    @contextlib.contextmanager
    def teaching(self, teacher: nn.Module, inputs: Mapping[str, Tensor]) -> Iterator[None]:
        """Remembers what the teacher's layers give in the block, in which it runs on `inputs`."""
        self._mask = inputs.get(MASK)
        with contextlib.ExitStack() as watched:
            self._wanted = {prefix: watched.enter_context(_watching(teacher, prefix)) for prefix in self._prefixes}
            yield

    @contextlib.contextmanager
    def learning(self, model: nn.Module) -> Iterator[dict[str, States]]:
        """What the layers of a bound submodel give in the block, by the names of their stacks."""
        with contextlib.ExitStack() as watched:
            yield {prefix: watched.enter_context(_watching(model, prefix)) for prefix in self._prefixes}

    def loss(self, submodel: Submodel, found: Mapping[str, States], rows: int) -> Tensor:
        """The share that this batch has in the mean over kept layers, where the whole one has `rows`.

        InputError where no layer has a row for each example.
        """
        kept = self._family.kept_layers(self._config, submodel)
        pairs = [
            (state, self._wanted[prefix][layer])
            for prefix, states in found.items()
            for state, layer in zip(states, kept[prefix], strict=True)
        ]
        count = len(next(iter(self._wanted.values()))[0]) if self._mask is None else len(self._mask)
        distances = [
            relation_distance(self._pooled(state), self._pooled(wanted)).sum()
            for state, wanted in pairs
            if len(state) == len(wanted) == count
        ]
        if not distances:
            name = self._family.name
            raise InputError(f"no layer of this {name} has a row for each example; leave out --match layers")
        return WEIGHT * torch.stack(distances).mean() / rows

    def _pooled(self, state: Tensor) -> Tensor:
        """One vector for each example: the mean over its tokens, where they are told apart without padding."""
        x_BTD = state.float()
        if x_BTD.ndim < 3:
            return x_BTD
        x_BTD = x_BTD.flatten(1, -2)
        mask_BT = self._mask
        if mask_BT is None or mask_BT.shape != x_BTD.shape[:2]:
            return x_BTD.mean(1)
        mask_BT1 = mask_BT.unsqueeze(-1).to(x_BTD.dtype)
        return (x_BTD * mask_BT1).sum(1) / mask_BT1.sum(1)


@contextlib.contextmanager
def _watching(model: nn.Module, prefix: str) -> Iterator[States]:
    """What each layer of that stack gives in the block, in the order in which they run."""
    found: States = []

    def keep(_module: nn.Module, _inputs: object, output: Tensor | Sequence[Tensor]) -> None:
        found.append(output if isinstance(output, Tensor) else output[0])

    hooks = [layer.register_forward_hook(keep) for layer in model.get_submodule(prefix).children()]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
