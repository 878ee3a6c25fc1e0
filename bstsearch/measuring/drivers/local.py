"""This machine, measured with ONNX Runtime on its processor, in this process (no torch)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from bstsearch.errors import DeviceError
from bstsearch.measuring import runner
from bstsearch.measuring.driver import Cores, Device, Driver, Note, Run, Session, Threads, Visit, Workload
from bstsearch.measuring.machine import available_cores, runtime_of, this_hardware
from bstsearch.measuring.runner import Runner, RunnerError
from bstsearch.profiles.profile import Hardware, Runtime


class Local(Driver, frozen=True, kw_only=True):
    """This machine."""

    name = "local"

    threads: Annotated[
        Threads | None, Meta(description="Threads of the runtime; default: the physical cores it may use.")
    ] = None
    cores: Annotated[Cores, Meta(description="Run on these cores only, as in 0,1.")] = ()

    def open(self, device: str, note: Note) -> contextlib.AbstractContextManager[Device]:  # noqa: ARG002 - every driver's
        """This machine, by whatever name."""
        return open_device(threads=self.threads, cores=self.cores)

    def threads_here(self) -> int:
        """Those asked for, else one for each core."""
        return self.threads or len(self.cores) or available_cores()


@contextlib.contextmanager
def open_device(*, threads: int | None = None, cores: tuple[int, ...] = ()) -> Iterator[Device]:
    """This machine, which writes the weights of its workload beside the graphs.

    `threads` is by default the physical cores that this process may use: all, or those of `cores`, to which it is
    kept while it measures. DeviceError where ONNX Runtime cannot run, or there are no such cores.
    """
    with _device_errors():
        version = runner.runtime_version()
    hardware = this_hardware()
    with _kept_to(cores):
        runtime = runtime_of(version, threads or available_cores(), cores)
    yield _Machine(hardware, runtime, cores)


class _Machine:
    def __init__(self, hardware: Hardware, runtime: Runtime, cores: tuple[int, ...]) -> None:
        self._hardware, self._runtime, self._cores = hardware, runtime, cores

    def prepare(self, done: int, total: int) -> None:
        """Shows nothing: there is no screen to show it on."""

    @contextlib.contextmanager
    def take(self, workload: Workload) -> Iterator[Session]:
        weight_bytes = max(graph.weight_bytes for graph in workload.graphs.values())
        for folder in {graph.path.parent for graph in workload.graphs.values()}:
            runner.write_pool(folder, weight_bytes)
        with _kept_to(self._cores):
            yield _Timed(workload, self._hardware, self._runtime)


class _Timed:
    def __init__(self, workload: Workload, hardware: Hardware, runtime: Runtime) -> None:
        self.hardware, self.runtime = hardware, runtime
        self._workload, self._runner = workload, Runner(runtime.threads, workload.inputs)

    def report(self, text: str, done: int, total: int) -> None:
        """Shows nothing: there is no screen to show it on."""

    def open(self, names: Sequence[str]) -> None:
        with _device_errors():
            self._runner.open({name: self._workload.graphs[name].path for name in names})

    def time(self, visits: Sequence[Visit]) -> list[tuple[Run, ...]]:
        with _device_errors():
            return [tuple(self._runner.time(visit.name, visit.count)) for visit in visits]

    def peak_memory(self, model: Path) -> int | None:
        with _device_errors():
            return self._runner.peak_memory(model)


@contextlib.contextmanager
def _kept_to(cores: Sequence[int]) -> Iterator[None]:
    if not cores:
        yield
        return
    with _device_errors():
        before = runner.pin(cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def _device_errors() -> Iterator[None]:
    try:
        yield
    except RunnerError as error:
        raise DeviceError(str(error)) from error
