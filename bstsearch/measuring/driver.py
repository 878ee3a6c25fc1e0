"""What a driver is: a way to reach a device, which then holds graphs and times them when told to (no torch).

A driver is a name, options, and `open`. It works in two steps: `open` reaches the device, or says why it cannot, before
any graph is built; the `Device` takes the graphs when they are there, and the `Session` times them. `measure` does the
rest with whichever driver it is given. docs/device.md shows one of your own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Protocol

from msgspec import Meta, Struct

from bstsearch.measuring.runner import Run
from bstsearch.profiles.profile import Hardware, Runtime
from bstsearch.reading import Amount, Positive, Whole

__all__ = ["Device", "Driver", "Graph", "Hardware", "Run", "Runtime", "Session", "Visit", "Workload"]

Note = Callable[[str], None]

# A `Run` as it comes over a wire, or lies in a file.
Timed = tuple[Positive, Amount | None, Whole | None]


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

    def take(self, workload: Workload) -> AbstractContextManager[Session]:
        """The device at work on `workload` while the block runs."""


OpenDevice = Callable[[], AbstractContextManager[Device]]


class Session(Protocol):
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


class Driver(Struct, frozen=True):
    """A way to reach devices. A subclass has a `name`, says what it is in its docstring, and opens a device.

    Its fields are its options: `port: Annotated[int, Meta(ge=1, description=...)] = 80`, with msgspec's Meta. The
    command line gives text, from which the type makes a value, a list at its commas. What the type or `__post_init__`
    (by ValueError) refuses ends the command before anything is built.
    """

    name: ClassVar[str]

    def open(self, device: str, note: Note) -> AbstractContextManager[Device]:
        """Reaches the device that the user calls `device`, and returns it; `note` shows the user a line.

        DeviceError says in one line why it cannot be reached.
        """
        raise NotImplementedError

    def threads_here(self) -> int | None:
        """How many threads it will use of this computer; None where it measures another one.

        For this computer, `measure` looks at what other programs do during the measurement.
        """
        return None


Cores = tuple[Annotated[int, Meta(ge=0, le=9999)], ...]
Threads = Annotated[int, Meta(ge=1, le=4096)]
