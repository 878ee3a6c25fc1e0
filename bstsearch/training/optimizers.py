"""Optimisers as the published recipes set them: kinds, parameter groups, learning rates."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from bstsearch.training.schedules import Position, Schedule


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimizer:
    """ "adam", "adamw" or "sgd" over the parameters whose name contains one of `only` (none given: all others).

    Names that contain one of `no_decay` have no weight decay; those that contain one of `head` learn
    `head_factor` times as fast.
    """

    kind: str
    learning_rate: float
    schedule: Schedule
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-9
    weight_decay: float = 0.0
    no_decay: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    head_factor: float = 1.0
    only: tuple[str, ...] = ()


class Stepper:
    """The optimisers of a stage, which step together; each parameter belongs to one."""

    def __init__(self, model: nn.Module, settings: Sequence[Optimizer]) -> None:
        left = dict(model.named_parameters())
        self.pairs: list[tuple[Optimizer, torch.optim.Optimizer]] = []
        self.owner: dict[nn.Parameter, torch.optim.Optimizer] = {}
        for one in settings:
            chosen = {name: left[name] for name in left if not one.only or _has(name, one.only)}
            left = {name: parameter for name, parameter in left.items() if name not in chosen}
            if chosen:
                self.pairs.append((one, _make(one, chosen)))
                self.owner |= dict.fromkeys(chosen.values(), self.pairs[-1][1])

    def step(self, position: Position) -> float:
        """Takes a step with that position's learning rates, and clears the gradients; returns the last one's rate."""
        rate = 0.0
        for settings, optimizer in self.pairs:
            rate = settings.schedule.rate(settings.learning_rate, position)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["factor"]
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)
        return rate

    def state_of(self, parameter: nn.Parameter) -> dict[str, Any]:
        """What the optimiser of that parameter remembers of it; a change of it is a change of the memory."""
        state: dict[str, Any] = self.owner[parameter].state[parameter]
        return state


def _make(settings: Optimizer, parameters: dict[str, nn.Parameter]) -> torch.optim.Optimizer:
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        decay = 0.0 if _has(name, settings.no_decay) else settings.weight_decay
        factor = settings.head_factor if _has(name, settings.head) else 1.0
        groups.setdefault((decay, factor), []).append(parameter)
    rows = [{"params": group, "weight_decay": decay, "factor": factor} for (decay, factor), group in groups.items()]
    if settings.kind == "sgd":
        return torch.optim.SGD(rows, lr=settings.learning_rate)
    kind: type[torch.optim.Adam] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.kind]
    return kind(rows, lr=settings.learning_rate, betas=settings.betas, eps=settings.eps, fused=True)


def _has(name: str, parts: Sequence[str]) -> bool:
    return any(part in name for part in parts)
