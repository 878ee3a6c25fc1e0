"""What every way of measuring offers: a device that holds graphs and times them when told to (no torch).

`local`, `ssh`, `browser` and `adb` are one file each; `measure` does the rest with whichever it is given. Each is
opened in two steps: its `open_device` reaches the device, or says why it cannot, before any graph is built; what that
yields takes the graphs when they are there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bstsearch.measuring.runner import Run
from bstsearch.profiles.profile import Hardware, Runtime

__all__ = ["Driver", "Graph", "Run", "Visit", "Workload"]


@dataclass(frozen=True, kw_only=True)
class Graph:
    """An ONNX file without its weights: its large tensors are slices of the file `runner.POOL`, one after the other.

    Latency depends on shapes, not on numbers, so POOL may hold any finite ones, at least `weight_bytes` of them.
    A graph is small to send, and each device makes its own POOL.
    """

    path: Path
    weight_bytes: int


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What is measured: graphs by submodel id, and `inputs`, an .npz file with inputs that fit them all."""

    graphs: Mapping[str, Graph]
    inputs: Path


@dataclass(frozen=True, kw_only=True)
class Visit:
    """A request to run one graph `count` times untimed and then `count` times timed."""

    name: str
    count: int


class Device(Protocol):
    """A device that has been reached and waits for its workload. Its methods raise DeviceError where it has left."""

    def prepare(self, done: int, total: int) -> None:
        """Hears that `done` of `total` graphs are built, and shows it on the device's own screen, if it has one."""

    def take(self, workload: Workload) -> AbstractContextManager[Driver]:
        """The device at work on `workload` while the block runs."""


OpenDevice = Callable[[], AbstractContextManager[Device]]


class Driver(Protocol):
    """A device at work on one workload. Its methods raise DeviceError where the device fails or leaves."""

    hardware: Hardware
    runtime: Runtime

    def report(self, text: str, done: int, total: int) -> None:
        """Shows on the device's own screen, where it has one, how far the measurement is."""

    def open(self, names: Sequence[str]) -> None:
        """Loads these graphs, in place of those loaded before."""

    def time(self, visits: Sequence[Visit]) -> list[tuple[Run, ...]]:
        """The timed runs of each visit, made in this order; the graphs are open."""

    def peak_memory(self, model: Path) -> int | None:
        """Peak bytes that loading and running `model`, an ONNX file with its weights inside, adds to a process
        that has the runtime; None where the device cannot tell.
        """
