"""A Linux board, measured over ssh with ONNX Runtime on its processor (no torch).

The board needs a login with a key, Python, numpy and onnxruntime; nothing is installed there. `runner.py` is sent to
it, works in a private temporary folder, and takes that folder with it when it ends, however it ends.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from bstsearch.measuring.driver import Cores, Device, Driver, Note, Run, Session, Threads, Timed, Visit, Workload
from bstsearch.measuring.drivers.ssh.connection import Connection, connected
from bstsearch.measuring.drivers.ssh.failures import check_host, check_python
from bstsearch.measuring.machine import Facts, hardware_of, runtime_of
from bstsearch.measuring.runner import INPUTS
from bstsearch.profiles.profile import Hardware, Runtime, Text
from bstsearch.reading import Count

MODEL = "model.onnx"


class Started(Struct, forbid_unknown_fields=True):
    """What a board says of itself."""

    hardware: Facts
    version: Text
    threads: Count


class Ssh(Driver, frozen=True, kw_only=True):
    """A Linux board with a login."""

    name = "ssh"

    host: Annotated[str, Meta(description="USER@BOARD, or what else ssh knows it by.")]
    threads: Annotated[
        Threads | None, Meta(description="Threads of the runtime; default: the board's physical cores.")
    ] = None
    cores: Annotated[Cores, Meta(description="Run on these cores only, as in 0,1.")] = ()
    board_python: Annotated[str, Meta(description="The Python that has onnxruntime.")] = "python3"

    def __post_init__(self) -> None:
        """UsageError where there can be no such host or Python."""
        check_host(self.host)
        check_python(self.board_python)

    def open(self, device: str, note: Note) -> contextlib.AbstractContextManager[Device]:  # noqa: ARG002 - every driver's
        """The board, logged in to."""
        return open_device(self.host, threads=self.threads, cores=self.cores, python=self.board_python, note=note)


@contextlib.contextmanager
def open_device(
    host: str,
    *,
    threads: int | None,
    note: Note,
    cores: tuple[int, ...] = (),
    python: str = "python3",
    command: Sequence[str] = ("ssh",),
) -> Iterator[Device]:
    """The board `host`, logged in to and able to run graphs; `note` is told of each step that takes a while.

    `host` is whatever `ssh` takes: user@name, a name of ~/.ssh/config, ssh://user@name:port. `threads` is by default
    the board's physical cores, or those of `cores`, to which its runner is kept. `python` names an interpreter there,
    from the home folder on. `command` is the OpenSSH client, with options. DeviceError where the board cannot be
    reached, cannot run graphs, or leaves.
    """
    note(f"connecting to {host}")
    with connected(host, python, command) as connection:
        started: Started = connection.ask("start", Started, threads=threads, cores=cores)
        hardware, runtime = hardware_of(started.hardware), runtime_of(started.version, started.threads, cores)
        yield _Login(connection, host, note, hardware, runtime)


class _Login:
    def __init__(self, connection: Connection, host: str, note: Note, hardware: Hardware, runtime: Runtime) -> None:
        self._connection, self._host, self._note = connection, host, note
        self._hardware, self._runtime = hardware, runtime

    def prepare(self, done: int, total: int) -> None:  # noqa: ARG002 - the protocol's
        """Lets the board know that it is not forgotten: without a request for some minutes, it ends by itself."""
        self._connection.ask("alive")

    @contextlib.contextmanager
    def take(self, workload: Workload) -> Iterator[Session]:
        graphs = workload.graphs
        size = sum(path.stat().st_size for path in (workload.inputs, *(graph.path for graph in graphs.values())))
        self._note(f"sending {len(graphs)} graphs to {self._host}, {size / 1e6:.1f} MB")
        self._connection.ask("pool", size=max(graph.weight_bytes for graph in graphs.values()))
        self._connection.send(workload.inputs, INPUTS)
        files = {name: f"{number}.onnx" for number, name in enumerate(graphs)}
        for name, file in files.items():
            self._connection.send(graphs[name].path, file)
        yield _Board(self._connection, files, self._hardware, self._runtime)


class _Board:
    def __init__(self, connection: Connection, files: dict[str, str], hardware: Hardware, runtime: Runtime) -> None:
        self.hardware, self.runtime = hardware, runtime
        self._connection, self._files = connection, files

    def report(self, text: str, done: int, total: int) -> None:
        """Shows nothing: there is no screen to show it on."""

    def open(self, names: Sequence[str]) -> None:
        self._connection.ask("open", graphs={name: self._files[name] for name in names})

    def time(self, visits: Sequence[Visit]) -> list[tuple[Run, ...]]:
        asked = [(visit.name, visit.count) for visit in visits]
        found: list[list[Timed]] = self._connection.ask("time", list[list[Timed]], visits=asked)
        return [tuple(Run(*run) for run in runs) for runs in found]

    def peak_memory(self, model: Path) -> int | None:
        self._connection.send(model, MODEL)
        peak: int | None = self._connection.ask("peak_memory", Count | None, model=MODEL)
        return peak
