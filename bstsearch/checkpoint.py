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
from bstsearch.files import writing


def save_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Adam, progress: Mapping[str, Any]) -> None:
    """Writes weights, buffers, Adam's moments and `progress` (plain JSON), atomically."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        for moment, tensor in optimizer.state.get(parameter, {}).items():
            tensors[f"adam.{moment}.{name}"] = torch.as_tensor(tensor)
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


def load_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Adam) -> None:
    """Fills `model` and `optimizer` from a checkpoint of the same model."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        model.load_state_dict(_under("model.", tensors))
    except (SafetensorError, OSError, RuntimeError) as error:
        raise InputError(f"{path} does not fit this model: {error}; --force starts training over") from error
    for name, parameter in model.named_parameters():
        moments = ("step", "exp_avg", "exp_avg_sq")
        found = {moment: tensors.get(f"adam.{moment}.{name}") for moment in moments}
        state = {moment: tensor for moment, tensor in found.items() if tensor is not None}
        if state:
            optimizer.state[parameter] = {
                moment: tensor if moment == "step" else tensor.to(parameter.device) for moment, tensor in state.items()
            }


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
