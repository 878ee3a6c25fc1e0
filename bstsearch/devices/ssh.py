"""A Linux board, measured over ssh with ONNX Runtime on its processor (no torch).

The board needs a login with a key, Python, numpy and onnxruntime; nothing is installed there. `runner.py` is sent to
it, works in a private temporary folder, and takes that folder with it when it ends, however it ends.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bstsearch.devices.driver import Driver, Run, Visit, Workload
from bstsearch.devices.machine import hardware_of, runtime_of
from bstsearch.devices.profile import Hardware, Runtime
from bstsearch.devices.runner import INPUTS
from bstsearch.devices.ssh_connection import Connection, connected

MODEL = "model.onnx"


@contextlib.contextmanager
def open_driver(
    workload: Workload,
    host: str,
    *,
    threads: int | None,
    note: Callable[[str], None],
    cores: tuple[int, ...] = (),
    python: str = "python3",
    command: Sequence[str] = ("ssh",),
) -> Iterator[Driver]:
    """The board `host` at work on `workload`; `note` is told of each step that takes a while.

    `host` is whatever `ssh` takes: user@name, a name of ~/.ssh/config, ssh://user@name:port. `threads` is by default
    the board's physical cores, or those of `cores`, to which its runner is kept. `python` names an interpreter there,
    from the home folder on. `command` is the OpenSSH client, with options. DeviceError where the board cannot be
    reached, cannot run graphs, or leaves.
    """
    note(f"connecting to {host}")
    with connected(host, python, command) as connection:
        pool_bytes = max(graph.weight_bytes for graph in workload.graphs.values())
        started = connection.ask("start", threads=threads, cores=cores, pool_bytes=pool_bytes)
        sizes = [path.stat().st_size for path in (workload.inputs, *(graph.path for graph in workload.graphs.values()))]
        note(f"sending {len(workload.graphs)} graphs to {host}, {sum(sizes) / 1e6:.1f} MB")
        connection.send(workload.inputs, INPUTS)
        files = {name: f"{number}.onnx" for number, name in enumerate(workload.graphs)}
        for name, file in files.items():
            connection.send(workload.graphs[name].path, file)
        hardware = hardware_of(started["hardware"])
        yield _Board(connection, files, hardware, runtime_of(started["version"], started["threads"], cores))


class _Board:
    def __init__(self, connection: Connection, files: dict[str, str], hardware: Hardware, runtime: Runtime) -> None:
        self.hardware, self.runtime = hardware, runtime
        self._connection, self._files = connection, files

    def report(self, text: str, done: int, total: int) -> None:
        """Shows nothing: there is no screen to show it on."""

    def open(self, names: Sequence[str]) -> None:
        self._connection.ask("open", graphs={name: self._files[name] for name in names})

    def time(self, visits: Sequence[Visit]) -> list[tuple[Run, ...]]:
        found = self._connection.ask("time", visits=[(visit.name, visit.count) for visit in visits])
        return [tuple(Run(*run) for run in runs) for runs in found]

    def peak_memory(self, model: Path) -> int | None:
        self._connection.send(model, MODEL)
        peak: int | None = self._connection.ask("peak_memory", model=MODEL)
        return peak
