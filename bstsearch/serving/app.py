"""The addresses of a server: /ask, the Open Inference Protocol v2, /metrics (no torch)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from bstsearch import __version__
from bstsearch.reading import decoded
from bstsearch.serving.asked import extra_seconds, read_asked
from bstsearch.serving.engine import Inputs
from bstsearch.serving.limits import ClientLeftError, RefusedError
from bstsearch.serving.service import Service, Ticket, milliseconds
from bstsearch.serving.tensors import Infer, check_outputs, outputs_json, read_inputs

NAME, ANY = "bstsearch", "elastic"  # the server, and the model that any submodel may be
LARGE = 1 << 16  # bytes of a body that is read away from the event loop
CLIENT_LEFT = 499
BINARY = "inference-header-content-length"  # tells where tensors begin that are not in JSON
SWITCH_S = 0.0005  # that the busy event loop keeps a thread waiting which comes back from a model; Python's is 0.005
ENDING = (signal.SIGTERM, signal.SIGINT)

Read = TypeVar("Read")


def make_app(service: Service, page: Path | None = None) -> Starlette:
    """The application that serves it, and a folder `page` of static files; the engine runs from startup to shutdown."""
    model = "/v2/models/{model}"
    app = Starlette(
        routes=[
            Route("/ask", _ask, methods=["POST"]),
            Route("/v2/health/live", _live),
            Route("/v2/health/ready", _ready),
            Route("/v2", _server),
            Route(model, _model),
            Route(f"{model}/ready", _ready),
            Route(f"{model}/infer", _infer, methods=["POST"]),
            Route("/metrics", _metrics),
            *([] if page is None else [Mount("/", StaticFiles(directory=page, html=True))]),
        ],
        exception_handlers={
            RefusedError: _refused,
            ClientLeftError: _left,
            HTTPException: _http_error,
            Exception: _failed,
        },
        lifespan=_running,
    )
    app.state.service = service
    return app


@contextlib.asynccontextmanager
async def _running(app: Starlette) -> AsyncIterator[None]:
    service: Service = app.state.service
    _be_unready_on_signals(service)
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()  # what is there stays, so that no collection looks through it while requests wait
    service.engine.start()
    service.tell_held()
    watch = asyncio.create_task(service.door.watch())
    try:
        yield
    except asyncio.CancelledError:  # the server is ended at once
        return
    watch.cancel()
    service.is_ready = False
    await asyncio.to_thread(service.engine.stop)
    sys.setswitchinterval(before)
    gc.unfreeze()


def _be_unready_on_signals(service: Service) -> None:
    """Has the server say that it is not ready from the signal on that ends it, before it does what it does with it."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in ENDING:
        before = signal.getsignal(number)

        def end(number: int, frame: Any, before: Any = before) -> None:
            service.is_ready = False
            before(number, frame)

        if callable(before):
            signal.signal(number, end)


async def _ask(request: Request) -> Response:
    service = _service(request)
    reader = service.ask_reader
    if reader is None:
        line = f"this bundle does not say how to read questions and pictures; send tensors to /v2/models/{ANY}/infer"
        raise RefusedError(404, line)
    async with service.request(request) as (ticket, body):
        kind = request.headers.get("content-type", "")
        asked, pixels = await _read(body, lambda: reader.read(read_asked(body, kind, service.limits)))
        answered = await service.answer(
            request,
            ticket,
            lambda: reader.inputs(asked, pixels),
            deadline_ms=asked.deadline_ms,
            submodel=asked.submodel,
            extra=extra_seconds(pixels),
        )
        answers = reader.answers(answered.outputs[0], asked.top)
        time_ms = milliseconds(ticket.stages)
        return _sent(service, ticket, {"answers": answers, "submodel": answered.submodel, "time_ms": time_ms})


async def _infer(request: Request) -> Response:
    service, name = _service(request), _known(request)

    def read(body: bytes) -> tuple[Infer, Inputs]:
        asked: Infer = decoded(body, Infer, "the request")
        check_outputs(asked.outputs, service.outputs)
        return asked, read_inputs(asked.inputs, service.inputs, service.limits.axis)

    if BINARY in request.headers:
        raise RefusedError(400, "binary tensors are not read; send their numbers in JSON (binary_data=False)")
    async with service.request(request) as (ticket, body):
        asked, inputs = await _read(body, lambda: read(body))
        answered = await service.answer(
            request,
            ticket,
            lambda: inputs,
            deadline_ms=None if asked.parameters is None else asked.parameters.deadline_ms,
            submodel=None if name == ANY else name,
        )
        reply: dict[str, Any] = {
            "model_name": name,
            **({} if asked.id is None else {"id": asked.id}),
            "parameters": {
                "submodel": answered.submodel,
                **{f"{stage}_ms": ms for stage, ms in milliseconds(ticket.stages).items()},
            },
            "outputs": outputs_json(service.outputs, answered.outputs),
        }
        return _sent(service, ticket, reply)


async def _live(_request: Request) -> Response:
    return _json({"live": True})


async def _ready(request: Request) -> Response:
    named = {"name": _known(request)} if "model" in request.path_params else {}
    is_ready = _service(request).is_ready
    return _json({**named, "ready": is_ready}, 200 if is_ready else 503)


async def _server(_request: Request) -> Response:
    return _json({"name": NAME, "version": __version__, "extensions": []})


async def _model(request: Request) -> Response:
    service, name = _service(request), _known(request)
    return _json(
        {
            "name": name,
            "platform": "onnxruntime_onnx",
            "inputs": msgspec.to_builtins(service.inputs),
            "outputs": msgspec.to_builtins(service.outputs),
        }
    )


async def _metrics(request: Request) -> Response:
    return Response(_service(request).metrics.text(), media_type=CONTENT_TYPE_LATEST)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    headers = {} if error.retry_s is None else {"Retry-After": str(max(1, math.ceil(error.retry_s)))}
    if not error.is_read:
        headers["Connection"] = "close"
    return _json({"error": error.line}, error.status, headers)


async def _http_error(_request: Request, error: Exception) -> Response:
    """What Starlette says of an address that is none, or of another method."""
    assert isinstance(error, HTTPException)
    return _json({"error": error.detail}, error.status_code, error.headers)


async def _left(_request: Request, _error: Exception) -> Response:
    return Response(status_code=CLIENT_LEFT)  # which nobody reads


async def _failed(_request: Request, error: Exception) -> Response:
    """What only a bug can bring about, whose traceback uvicorn logs."""
    return _json({"error": f"unexpected {type(error).__name__}"}, 500)


async def _read(body: bytes, read: Callable[[], Read]) -> Read:
    """What `read` makes of the body; of a large one away from the event loop."""
    return await asyncio.to_thread(read) if len(body) > LARGE else read()


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _known(request: Request) -> str:
    """The model that the address names; RefusedError where there is none of that name."""
    name: str = request.path_params["model"]
    if name != ANY:
        _service(request).check_known(name, 404)
    return name


def _sent(service: Service, ticket: Ticket, reply: Mapping[str, Any]) -> Response:
    """The reply, which is timed until it is sent."""
    return _json(reply, background=BackgroundTask(_tell_sent, service, ticket))


async def _tell_sent(service: Service, ticket: Ticket) -> None:
    service.sent(ticket)


def _json(
    data: Mapping[str, Any],
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    background: BackgroundTask | None = None,
) -> Response:
    return Response(msgspec.json.encode(data), status, headers, "application/json", background)
