"""What a driver is: a way to reach a device, which then holds graphs and times them when told to (no torch).

A driver is a name, options, and `open`. It works in two steps: `open` reaches the device, or says why it cannot, before
any graph is built; the `Device` takes the graphs when they are there, and the `Session` times them. `measure` does the
rest with whichever driver it is given. docs/device.md shows one of your own.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from bstsearch.errors import UsageError
from bstsearch.measuring.runner import Run
from bstsearch.profiles.profile import Hardware, Runtime

__all__ = ["Device", "Driver", "Graph", "Hardware", "Run", "Runtime", "Session", "Visit", "Workload"]

Note = Callable[[str], None]


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


class Driver(BaseModel):
    """A way to reach devices. A subclass has a `name`, says what it is in its docstring, and opens a device.

    Its fields are its options: type, default, and help as `Field(description=...)`. The command line gives text, from
    which the type makes a value. A value that a type or a validator refuses ends the command before anything is built.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]

    @abstractmethod
    def open(self, device: str, note: Note) -> AbstractContextManager[Device]:
        """Reaches the device that the user calls `device`, and returns it; `note` shows the user a line.

        DeviceError says in one line why it cannot be reached.
        """

    def threads_here(self) -> int | None:
        """How many threads it will use of this computer; None where it measures another one.

        For this computer, `measure` looks at what other programs do during the measurement.
        """
        return None


def parse_cores(text: object) -> object:
    """The core numbers in a list like "0,2"; UsageError where it is none. What is no text stays as it is.

    >>> parse_cores("0,2")
    (0, 2)
    """
    if not isinstance(text, str):
        return text
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise UsageError(f"cores {text!r} is no list of core numbers; write it like 0,1")
    return tuple(map(int, parts))


Cores = Annotated[tuple[int, ...], BeforeValidator(parse_cores)]
Threads = Annotated[int, Field(gt=0)]
