"""Where a training run stands, so that it can go on exactly: safetensors, nothing unpickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from bstsearch.errors import InputError
from bstsearch.training.optimizers import Stepper
from bstsearch.writing import writing

ON_CPU = "step"  # Adam's count of steps stays where torch makes it


def save_checkpoint(path: Path, model: nn.Module, stepper: Stepper, progress: Mapping[str, Any]) -> None:
    """Writes weights, buffers, what the optimisers remember and `progress` (plain JSON), atomically."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        for moment, tensor in stepper.state_of(parameter).items():
            if tensor is not None:  # as the momentum of an SGD without
                tensors[f"optimizer.{moment}.{name}"] = torch.as_tensor(tensor)
    with writing(path) as temporary:
        whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        # Not save_file, which has an error of its own for a full disk.
        temporary.write_bytes(save(whole, metadata={"progress": json.dumps(progress)}))


def read_progress(path: Path) -> dict[str, Any]:
    """The `progress` of the checkpoint at `path`; InputError where it is no checkpoint."""
    try:
        with safe_open(path, framework="pt") as file:
            progress: dict[str, Any] = json.loads(file.metadata()["progress"])
            return progress
    except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
        raise InputError(f"{path} is no checkpoint, or truncated: {error}; --force starts training over") from error


def load_checkpoint(path: Path, model: nn.Module, stepper: Stepper) -> None:
    """Fills `model` and its optimisers from a checkpoint; InputError where it is of another model."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        model.load_state_dict(_under("model.", tensors))
    except (SafetensorError, OSError, RuntimeError) as error:
        raise InputError(f"{path} does not fit this model: {error}; --force starts training over") from error
    parameters = dict(model.named_parameters())
    for key, tensor in _under("optimizer.", tensors).items():
        moment, _, name = key.partition(".")
        parameter = parameters[name]
        stepper.state_of(parameter)[moment] = tensor if moment == ON_CPU else tensor.to(parameter.device)


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
