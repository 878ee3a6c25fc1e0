"""The tensors of a checkpoint file, and nothing else of it: nothing in the file is ever run."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from bstsearch.errors import InputError

# Under which a training script's checkpoint holds the weights, beside optimiser states and counters.
HOLDERS = ("state_dict", "model", "model_state_dict")
WRAPPER = re.compile(r"(^|\.)module\.")  # where the model, or a part of it, was wrapped for several GPUs
OLD_NAMES = {"gamma": "weight", "beta": "bias"}  # of a LayerNorm, in checkpoints converted from TensorFlow


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The weights in `path` (PyTorch's formats, or safetensors) by name; InputError where there are none.

    Names lose a wrapper's prefix and have the endings of today. PyTorch's files are read by its restricted
    reader, which builds tensors and plain containers only and refuses all else.
    """
    content = _content(path)
    holder = next((name for name in HOLDERS if isinstance(content.get(name), Mapping)), None)
    named = content[holder] if holder else content
    if not named:
        raise InputError(f"checkpoint {path} holds no tensor; expected a state dict")
    tensors: dict[str, Tensor] = {}
    for name, value in named.items():
        _check_tensor(path, name, value)
        plain = _plain(name)
        if plain in tensors:
            raise InputError(f"checkpoint {path} holds {plain} twice, under different names; which is meant?")
        tensors[plain] = value
    return tensors


def _plain(name: str) -> str:
    stem, dot, leaf = WRAPPER.sub(r"\1", name).rpartition(".")
    return f"{stem}{dot}{OLD_NAMES.get(leaf, leaf)}"


def _check_tensor(path: Path, name: object, value: object) -> None:
    if not isinstance(name, str) or not isinstance(value, Tensor):
        raise InputError(
            f"checkpoint {path} holds {name!r}, which is no named tensor but a {type(value).__name__}; "
            f"expected a state dict, alone or under one of {', '.join(HOLDERS)}"
        )
    if value.layout != torch.strided or value.is_quantized or value.is_complex() or value.is_meta:
        raise InputError(f"checkpoint {path}: {name} is a {value.dtype} tensor of a special kind; save it as float32")


def _content(path: Path) -> Mapping[str, Any]:
    try:
        content = load_file(path) if _is_safetensors(path) else _load_pytorch(path)
    except FileNotFoundError:
        raise InputError(f"checkpoint {path} does not exist") from None
    except pickle.UnpicklingError as error:
        raise InputError(_refusal(path, str(error))) from error
    except (IndexError, KeyError, ValueError, EOFError) as error:  # of a reader that lost its way in the bytes
        raise InputError(_refusal(path, "")) from error
    except Exception as error:  # a damaged file can raise anything: its bytes are sizes, offsets and names
        reason = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        raise InputError(f"checkpoint {path} cannot be read ({reason}); is it truncated?") from error
    if not isinstance(content, Mapping):
        raise InputError(f"checkpoint {path} holds a {type(content).__name__}; expected a state dict")
    return content


def _is_safetensors(path: Path) -> bool:
    """By its name, or by the JSON object that follows the eight bytes of its length."""
    with path.open("rb") as file:
        return path.suffix == ".safetensors" or file.read(9)[8:] == b"{"


def _load_pytorch(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about old formats; the file is as it is
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))


def _refusal(path: Path, reason: str) -> str:
    """What to say of a pickle that asks for more than tensors, or is none."""
    found = re.search(r"GLOBAL ([\w.]+)", reason)
    if found is None:
        return f"checkpoint {path} cannot be read: it is no checkpoint of PyTorch, or truncated"
    return (
        f"checkpoint {path} asks for {found[1]}, which is no tensor, so it was not opened; if you trust it, save its "
        "state dict alone"
    )
