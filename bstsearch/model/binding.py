"""A small model that computes with slices of a full one, and where in both these slices lie.

Walking through trees of modules takes milliseconds, which a forward pass of a few must not pay each time. So whatever
such a walk tells is kept beside the small model, and only looked at again where the full model is no longer built of
the same modules and parameters.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from bstsearch.model.slicing import Cut, Plan


class Parts:
    """The modules, parameters and buffers of a model, each with the place where the model holds it."""

    def __init__(self, model: nn.Module) -> None:
        self._places = [
            (held, name, value)
            for module in model.modules()
            for held in (module._modules, module._parameters)
            for name, value in held.items()
        ]
        self.parameters = dict(model.named_parameters(remove_duplicate=False))
        self.buffers = {name: _place(model, name) for name, _ in model.named_buffers(remove_duplicate=False)}

    @property
    def are_current(self) -> bool:
        """Whether the model still holds the same modules and parameters."""
        return all(held.get(name) is value for held, name, value in self._places)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Share:
    """A parameter of the small model, and the slice of the full one that it stands for, which may be a view of it."""

    own: nn.Parameter
    full: nn.Parameter
    cut: Cut
    is_view: bool

    def point(self) -> None:
        """Makes `own` the slice of the numbers that `full` has now."""
        own, full = self.own, self.full
        # A view starts where the full parameter does, and nothing else can while it keeps that memory alive.
        if not (self.is_view and own.data_ptr() == full.data_ptr()):
            own.data = self.cut.apply(full.data)
        if own.requires_grad is not full.requires_grad:
            own.requires_grad_(full.requires_grad)

    def add_gradient(self) -> None:
        """Adds the gradient of `own` to the slice of that of `full`."""
        gradient = self.own.grad
        if gradient is None:
            return
        if self.full.grad is None:
            self.full.grad = torch.zeros_like(self.full)
        self.cut.add_into(self.full.grad, gradient)


class BoundModel:
    """A small model whose parameters are placeholders for slices of the full model's."""

    def __init__(self, model: nn.Module, plan: Plan, full: Parts) -> None:
        self.model = model
        self._shares = list(_shares(model, plan, full))
        self._buffers = [(*_place(model, name), *full.buffers[source]) for name, source in plan.buffers.items()]
        self._modules = list(model.modules())
        self._modes: list[bool] = []  # of the modules, since the model was last put into a mode

    def point(self, *, is_training: bool) -> None:
        """Gives placeholders their slices of the full parameters, shared buffers themselves, and the model a mode."""
        for share in self._shares:
            share.point()
        for own, name, full, source in self._buffers:
            own[name] = full[source]
        if self._modes[:1] != [is_training] or self._modes != [module.training for module in self._modules]:
            self.model.train(is_training)
            self._modes = [module.training for module in self._modules]

    def add_gradients(self) -> None:
        """Adds the placeholders' gradients to the slices that they stand for."""
        for share in self._shares:
            share.add_gradient()

    def clear_gradients(self) -> None:
        """Takes the placeholders' gradients away."""
        for share in self._shares:
            share.own.grad = None


def _shares(model: nn.Module, plan: Plan, full: Parts) -> Iterator[_Share]:
    for name, own in model.named_parameters():
        cut, source = plan.cuts[name], full.parameters[plan.cuts[name].source]
        yield _Share(own=own, full=source, cut=cut, is_view=len(cut.pieces(source)) == 1)


def _place(model: nn.Module, buffer: str) -> tuple[dict[str, Any], str]:
    """Where a model holds a buffer: the dictionary of its module, and the key in it."""
    owner, _, name = buffer.rpartition(".")
    return model.get_submodule(owner)._buffers, name
