"""A server from its options: a bundle with its sessions behind an application, run by uvicorn (no torch)."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import logging
import math
import socket
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from uvicorn.config import STARTUP_FAILURE
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.supervisors import Multiprocess

from bstsearch.answering.bundle_folder import BundleFolder, read_bundle
from bstsearch.environment import share_metrics
from bstsearch.errors import BstsearchError, DeviceError, InputError, UsageError
from bstsearch.listener import SILENT, Listener
from bstsearch.measuring.runner import available_cores
from bstsearch.reading import no_folder, shown
from bstsearch.serving.app import make_app
from bstsearch.serving.asked import AskReader
from bstsearch.serving.costs import LiveCosts
from bstsearch.serving.engine import Engine
from bstsearch.serving.limits import MEBIBYTE, Limits
from bstsearch.serving.metrics import Metrics
from bstsearch.serving.service import Service
from bstsearch.serving.sessions import Sessions, measure
from bstsearch.serving.tensors import TYPES, Signature, signatures

LIMITS = Limits()
FULL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
DRAIN_S = int(LIMITS.deadline_ms / 1000) + 5  # all that was accepted has its answer by then


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What is served, where, by how many processes, and with what."""

    bundle: Path
    host: str = "127.0.0.1"
    port: int = 8000
    threads: int | None = None
    workers: int = 1
    memory_mb: float | None = None
    page: Path | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class OpenServer:
    """A server whose address is taken: who connects waits until it runs."""

    options: Options
    bundle: BundleFolder
    app: Starlette | None  # None: each of its processes makes its own
    socket: socket.socket

    @property
    def where(self) -> str:
        """Its address."""
        host = self.options.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.socket.getsockname()[1]}"

    def to_json(self) -> dict[str, Any]:
        """What `bstsearch serve --json` prints."""
        return {"bundle": str(self.bundle.path), "address": self.where, "submodels": list(self.bundle.by_accuracy)}

    def run(self) -> None:
        """Serves until a signal ends it, once all that was accepted has its answer; InputError where a process fails.

        SIGTERM and SIGINT end it well, so that no KeyboardInterrupt leaves it.
        """
        with self.socket:
            if self.app is not None:
                with contextlib.suppress(KeyboardInterrupt):  # uvicorn gives the signal on once it has stopped
                    uvicorn.Server(_config(self.app)).run(sockets=[self.socket])
                return
            with tempfile.TemporaryDirectory() as folder:
                share_metrics(Path(folder))
                config = _config(functools.partial(_app, self.options), workers=self.options.workers, factory=True)
                processes = Multiprocess(config, sockets=[self.socket])
                processes.run()
            if any(process.exitcode == STARTUP_FAILURE for process in processes.processes):
                raise InputError(
                    f"{self.options.bundle}: a process could not begin to serve it; export the bundle again"
                )


def open_server(options: Options, listener: Listener = SILENT) -> OpenServer:
    """A server of the bundle; InputError where it is damaged, DeviceError where the address cannot be had.

    The one process of a server opens and times each submodel here; of several, each does when it starts.
    """
    if not math.isfinite(options.memory_mb or 0):
        raise UsageError(f"--memory-mb is {options.memory_mb}; give a number of megabytes, or leave it out")
    if not options.host:
        raise UsageError("--host is empty; give an address such as 127.0.0.1")
    if options.page is not None and not options.page.is_dir():
        raise InputError(f"{no_folder(options.page)}; give a folder of 'bstsearch export --web', or leave out --page")
    bundle = read_bundle(options.bundle)
    address = _listening(options.host, options.port)
    with contextlib.ExitStack() as stack:
        stack.enter_context(address)
        app = make_app(make_service(bundle, options, listener), options.page) if options.workers == 1 else None
        stack.pop_all()
    return OpenServer(options=options, bundle=bundle, app=app, socket=address)


def make_service(bundle: BundleFolder, options: Options, listener: Listener = SILENT) -> Service:
    """The bundle with its sessions, once each submodel has been opened and timed."""
    import onnxruntime  # noqa: F401 - so that its own memory is none of the sessions'

    reader = AskReader.of(bundle.path, LIMITS)
    names = bundle.by_accuracy
    kept = min(bundle.bundle.submodels, key=lambda one: next(iter(one.latencies.values())).ms).id
    most = None if options.memory_mb is None else int(options.memory_mb * MEBIBYTE)
    sessions = Sessions(bundle, most_bytes=most, kept=kept)
    session = sessions.get(kept)
    inputs, outputs = signatures(session.get_inputs()), signatures(session.get_outputs())
    costs = LiveCosts(measure(sessions, _example(inputs), names, listener), sessions.loading)
    threads = options.threads or max(1, available_cores() // options.workers)
    return Service(
        bundle=bundle,
        sessions=sessions,
        engine=Engine(sessions, costs, threads=threads),
        inputs=inputs,
        outputs=outputs,
        ask_reader=reader,
        limits=LIMITS,
        metrics=Metrics(),
    )


def _app(options: Options) -> Starlette:
    """The application of one of several processes, which ends where it cannot be."""
    try:
        return make_app(make_service(read_bundle(options.bundle), options), options.page)
    except BstsearchError as error:
        logging.getLogger("uvicorn.error").critical(str(error))
        raise SystemExit(STARTUP_FAILURE) from error


def _example(inputs: list[Signature]) -> dict[str, Any]:
    """Inputs to time a model with: ones, and of an axis of any size one."""
    return {one.name: np.ones([max(1, size) for size in one.shape], dtype=TYPES[one.datatype]) for one in inputs}


def _listening(host: str, port: int) -> socket.socket:
    """A socket at that address; DeviceError where it cannot be had.

    What connects to it sends at once (asyncio sees to that only where the socket names its protocol). Else the body of
    a reply waits until its head is acknowledged, on Linux for 40 ms.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        address = socket.create_server((host, port), family=family, backlog=LIMITS.connections)
        address.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return address
    except (OSError, OverflowError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DeviceError(
            f"cannot listen on {shown(host)}, port {port}: {reason}; choose another with --port"
        ) from error


def _config(app: Any, **options: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Bounded,
        ws="none",
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_S,
        **options,
    )


class _Bounded(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """Closes a connection that has not sent the head of a request within some seconds, and those that are too many.

    uvicorn waits for a head without end, and where there are too many it refuses those that came before, too.
    """

    def connection_made(self, transport: Any) -> None:
        """Takes the connection, and looks at it from time to time."""
        super().connection_made(transport)
        if len(self.connections) > LIMITS.connections:
            transport.write(FULL)
            transport.close()
            return
        self._look(None)

    def _look(self, before: object) -> None:
        if self.transport.is_closing():
            return
        is_working = self.cycle is not None and not self.cycle.response_complete
        if self.cycle is before and self._was_seen and not is_working:
            self.transport.close()
            return
        self._was_seen = True
        asyncio.get_running_loop().call_later(LIMITS.slowest_s, self._look, self.cycle)

    _was_seen = False
