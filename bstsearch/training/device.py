"""What a training computes on: the device, how many threads, and what of a precision they lack."""

from __future__ import annotations

import os

import torch
from torch import nn

from bstsearch.errors import DeviceError, UsageError
from bstsearch.measuring.machine import available_cores
from bstsearch.model.family import Config, Family
from bstsearch.training.distributed import local_device
from bstsearch.training.precision import bf16_slowdown, has_bf16_lstm

TOO_SLOW = 3  # times; below, other things than products decide, and a busy machine may be what was timed


def choose_device(name: str) -> torch.device:
    """ "auto" is a GPU where there is one; DeviceError where the one asked for is not there."""
    has_cuda = torch.cuda.is_available()
    if name == "auto":
        name = "cuda" if has_cuda else "cpu"
    if name == "cuda" and not has_cuda:
        raise DeviceError("no CUDA device is available; --device cpu trains on the processor")
    device = local_device(torch.device(name))
    if device.type == "cuda" and (device.index or 0) >= (count := torch.cuda.device_count()):
        raise DeviceError(
            f"process {device.index} of this machine has no GPU: there are {count}; start {count} at most"
        )
    return device


def choose_threads(asked: int | None) -> int:
    """As many processor threads as asked for, by default what torch takes and a container's quota allows.

    UsageError where this process may not use so many: they would only wait for each other.
    """
    if asked is None:
        return min(torch.get_num_threads(), available_cores())
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if asked > allowed:
        raise UsageError(f"--threads {asked}: this process may use at most {allowed} here; give fewer")
    return asked


def exceptions(precision: str, device: torch.device, family: Family, config: Config) -> list[str]:
    """What of the precision a training of that model does not get, or gains nothing by, on `device`: a line each."""
    if precision == "float32":
        return []
    from bstsearch.model.counting import weightless  # here, since it loads fvcore

    found, modules = [], weightless(family, config).modules()
    if not has_bf16_lstm(device) and any(isinstance(module, nn.LSTM) for module in modules):
        found.append(f"torch has no LSTM in {precision} for this processor: it runs in float32, all else as asked")
    if (times := bf16_slowdown(device)) > TOO_SLOW:
        found.append(
            f"products in {precision} take {times:.0f} times as long as in float32 here; float32 trains faster"
        )
    return found
