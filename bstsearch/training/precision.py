"""The precision of a step's matrix products, and how much of it this machine can compute.

Whether it can is asked of torch by computing something tiny, once: a list of processors would be long and wrong.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from bstsearch.errors import DeviceError, UsageError

PRECISIONS = ("float32", "bf16")
SIDE = 256  # of the matrices that are timed: 0.1 s where bf16 is slowest, 1 ms where it is not


def in_precision(precision: str, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """A block in which matrix products run in that precision: "float32", or "bf16" (torch.autocast).

    What is missing in bf16 on this machine runs in float32.
    """
    return contextlib.nullcontext() if precision == "float32" else _in_bf16(device)


def check_precision(precision: str, device: torch.device) -> None:
    """Raises UsageError for an unknown precision, DeviceError where `device` computes nothing at all in it."""
    if precision not in PRECISIONS:
        raise UsageError(f"unknown precision {precision!r}; there are {', '.join(PRECISIONS)}")
    if precision != "float32" and not has_bf16(device):
        raise DeviceError(f"{device.type} cannot compute in {precision} on this machine; give --precision float32")


@functools.cache
def has_bf16(device: torch.device) -> bool:
    """Whether a linear map and its gradients can be computed in bf16 on `device`."""
    return _runs(nn.Linear, device)


@functools.cache
def has_bf16_lstm(device: torch.device) -> bool:
    """Whether an LSTM and its gradients can; torch has none for processors without AVX-512."""
    return _runs(nn.LSTM, device)


def bf16_slowdown(device: torch.device) -> float:
    """How many times as long as in float32 a product of matrices takes in bf16; 1 for a GPU, which is not asked."""
    if device.type != "cpu":
        return 1.0
    whole = torch.ones(SIDE, SIDE)
    half = whole.bfloat16()
    return _shortest(lambda: half @ half) / _shortest(lambda: whole @ whole)


def _shortest(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(4):  # the first one also makes the kernel
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _runs(layer: Callable[..., nn.Module], device: torch.device) -> bool:
    # On meta, then given memory: an initialisation would draw random numbers, which belong to the training.
    module = layer(1, 1, device="meta").to_empty(device=device)
    try:
        with torch.enable_grad():  # whoever asks first may be the teacher, who keeps no gradients
            with torch.autocast(device.type, dtype=torch.bfloat16):
                outputs = module(torch.zeros(1, 1, 1, device=device))
            first = outputs[0] if isinstance(outputs, tuple) else outputs
            first.sum().backward()
    except RuntimeError:
        return False
    return True


@contextlib.contextmanager
def _in_bf16(device: torch.device) -> Iterator[None]:
    with torch.autocast(device.type, dtype=torch.bfloat16):
        if has_bf16_lstm(device):
            yield
        else:
            with _LstmInFloat32(device):
                yield


class _LstmInFloat32(TorchFunctionMode):
    """While it is active, every LSTM runs in float32, whosever model it is in."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not torch.lstm:
            return func(*args, **(kwargs or {}))
        with torch.autocast(self.device.type, enabled=False):
            return func(*_in_float32(args), **(kwargs or {}))


def _in_float32(value: Any) -> Any:
    """`value`, an argument of torch.lstm, with tensors of bf16 and lists of them in float32."""
    if isinstance(value, tuple | list):
        return type(value)(_in_float32(part) for part in value)
    return value.float() if isinstance(value, torch.Tensor) and value.dtype == torch.bfloat16 else value
