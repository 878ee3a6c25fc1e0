"""What a training computes on: the device, and how many threads of the processor."""

from __future__ import annotations

import os

import torch

from bstsearch.devices.machine import available_cores
from bstsearch.distributed import local_device
from bstsearch.errors import DeviceError, UsageError


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
        raise UsageError(f"--threads {asked}: this process may use {allowed} processors; give at most {allowed}")
    return asked
