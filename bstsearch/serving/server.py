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
from prometheus_client.multiprocess import mark_process_dead
from starlette.applications import Starlette
from uvicorn.config import STARTUP_FAILURE
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.supervisors import Multiprocess

from bstsearch.answering.bundle_folder import BundleFolder, read_bundle
from bstsearch.environment import share_metrics
from bstsearch.errors import BstsearchError, DeviceError, InputError, UsageError
from bstsearch.listener import SILENT, Listener
from bstsearch.measuring.runner import available_cores
from bstsearch.reading import no_folder, parsing, said, shown
from bstsearch.serving.app import make_app
from bstsearch.serving.asked import AskReader
from bstsearch.serving.costs import LiveCosts
from bstsearch.serving.engine import Engine
from bstsearch.serving.limits import MEBIBYTE, Limits
from bstsearch.serving.metrics import Metrics
from bstsearch.serving.scheduling import worthwhile
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

        SIGTERM and SIGINT end it well; KeyboardInterrupt where a second SIGINT ends it before that.
        """
        logging.getLogger("uvicorn.error").addFilter(_is_told)
        with self.socket:
            if self.app is not None:
                server = uvicorn.Server(_config(self.app))
                with contextlib.suppress(KeyboardInterrupt):  # uvicorn gives the signal on once it has stopped
                    server.run(sockets=[self.socket])
                if server.force_exit:
                    raise KeyboardInterrupt
                return
            with tempfile.TemporaryDirectory() as folder:
                share_metrics(Path(folder))
                config = _config(functools.partial(_app, self.options), workers=self.options.workers, factory=True)
                processes = _Processes(config, sockets=[self.socket])
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
    most = None if options.memory_mb is None else int(options.memory_mb * MEBIBYTE)
    sessions = Sessions(bundle, most_bytes=most)
    session = sessions.get(names[-1])
    inputs, outputs = signatures(session.get_inputs()), signatures(session.get_outputs())
    del session  # else it would stay in memory
    with parsing(bundle.path):
        seconds = measure(sessions, _example(inputs, bundle), names, listener)
    sessions.keep(min(seconds, key=lambda name: seconds[name]))
    costs = LiveCosts(seconds, sessions.loading)
    threads = options.threads or max(1, available_cores() // options.workers)
    return Service(
        bundle=bundle,
        sessions=sessions,
        engine=Engine(sessions, costs, choices=worthwhile(seconds, bundle.goodness), threads=threads),
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
    except Exception as error:  # any other exit code would have uvicorn begin anew, without end
        told = str(error) if isinstance(error, BstsearchError) else f"unexpected {type(error).__name__}: {said(error)}"
        logging.getLogger("uvicorn.error").critical(told)
        raise SystemExit(STARTUP_FAILURE) from error


def _example(inputs: list[Signature], bundle: BundleFolder) -> dict[str, Any]:
    """Inputs to time a model with: ones, as large as those that the bundle was exported with."""
    return {
        one.name: np.ones(bundle.sizes_of(one.name) or [max(1, size) for size in one.shape], dtype=TYPES[one.datatype])
        for one in inputs
    }


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
        lifespan="on",
        timeout_graceful_shutdown=DRAIN_S,
        **options,
    )


def _is_told(record: logging.LogRecord) -> bool:
    """Whether uvicorn is to tell it: no request that ends with the server, where that is ended at once."""
    return record.exc_info is None or record.exc_info[0] is not asyncio.CancelledError


class _Processes(Multiprocess):
    """Takes a process that died out of what /metrics adds up."""

    def keep_subprocess_alive(self) -> None:
        """Begins one in place of each that died."""
        before = {process.pid for process in self.processes}
        super().keep_subprocess_alive()
        for pid in before - {process.pid for process in self.processes}:
            mark_process_dead(pid)  # type: ignore[no-untyped-call]


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
