"""Where a training run stands, so that it can go on exactly: safetensors, nothing unpickled."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypedDict

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from bstsearch.errors import InputError
from bstsearch.model.supernet import check_finite, check_fit
from bstsearch.reading import Finite, Whole, check_file, decoded, parsing
from bstsearch.training.optimizers import Stepper
from bstsearch.writing import writing

STEP = "step"  # Adam's count of steps: one number for each parameter


class Standing(TypedDict):
    """How many steps are done, of which recipe (with what belongs to it), and the running means."""

    done: Whole
    recipe: dict[str, Any]
    running: dict[str, Finite]


def save_checkpoint(path: Path, model: nn.Module, stepper: Stepper, progress: Standing) -> None:
    """Writes weights, buffers, what the optimisers remember and `progress`, atomically.

    InputError where a number is not finite; then the checkpoint before it stays.
    """
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        for moment, tensor in stepper.state_of(parameter).items():
            if tensor is not None:  # as the momentum of an SGD without
                tensors[f"optimizer.{moment}.{name}"] = torch.as_tensor(tensor)
    check_finite(tensors, f"{path} stays as it was: training diverged at step {progress['done']}")
    with writing(path) as temporary:
        whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        # Not save_file, which has an error of its own for a full disk.
        temporary.write_bytes(save(whole, metadata={"progress": json.dumps(progress)}))


def read_progress(path: Path) -> Standing:
    """The `progress` of the checkpoint at `path`; InputError where it is no checkpoint."""
    with _opened(path) as file:
        found: Standing = decoded((file.metadata() or {}).get("progress", ""), Standing, f"{path}, progress")
        return found


def load_checkpoint(path: Path, model: nn.Module, stepper: Stepper) -> None:
    """Fills `model` and its optimisers from a checkpoint; InputError where it is of another model, or not finite."""
    parameters = dict(model.named_parameters())
    with _opened(path) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        check_fit(model.state_dict(), _under("model.", tensors))
        moments = _under("optimizer.", tensors)
        _check_moments(moments, parameters, stepper)
        check_finite(tensors, path)
        model.load_state_dict(_under("model.", tensors))
    for key, tensor in moments.items():
        moment, _, name = key.partition(".")
        stepper.state_of(parameters[name])[moment] = tensor.to(parameters[name].device)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The checkpoint, open, while the block runs; what goes wrong in it names the file, and what to do."""
    try:
        check_file(path)
        with parsing(path), safe_open(path, framework="pt") as file:
            yield file
    except InputError as error:
        what, sign, _ = str(error).rpartition("; ")
        raise InputError(f"{what if sign else error}; --force starts training over") from error


def _check_moments(moments: Mapping[str, Tensor], parameters: Mapping[str, nn.Parameter], stepper: Stepper) -> None:
    """Passes where parameters of one optimiser have the same moments, each in its parameter's shape."""
    kinds: dict[torch.optim.Optimizer, set[str]] = {}
    found: dict[str, set[str]] = {}
    for key, tensor in moments.items():
        moment, _, name = key.partition(".")
        shape = () if moment == STEP else tuple(parameters[name].shape) if name in parameters else None
        if tuple(tensor.shape) != shape or not tensor.is_floating_point():
            raise InputError(f"optimizer.{key} does not fit this model")
        found.setdefault(name, set()).add(moment)
    for name, own in found.items():
        if own != kinds.setdefault(stepper.owner[parameters[name]], own):
            raise InputError(f"lacks a moment of {name}")


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
