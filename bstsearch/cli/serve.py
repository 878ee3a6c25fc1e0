"""`bstsearch serve`: answers questions over HTTP, each before its deadline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bstsearch.cli.options import JsonOption
from bstsearch.cli.output import Output
from bstsearch.reading import needing


def serve(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The folder of 'bstsearch export --elastic'.")],
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; 0.0.0.0 lets others in who reach this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="The port; 0 takes a free one.")] = 8000,
    threads: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=256, help="Answers at a time in each process.", show_default="one for each core"
        ),
    ] = None,
    workers: Annotated[int, typer.Option(metavar="N", min=1, max=64, help="Processes.")] = 1,
    memory_mb: Annotated[
        float | None,
        typer.Option(
            "--memory-mb",
            metavar="MB",
            min=1,
            help="What the submodels of a process may take; beyond it, those go that were used longest ago.",
            show_default="as much as all take",
        ),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A folder of static files at /, such as that of 'bstsearch export --web'."),
    ] = None,
    is_json: JsonOption = False,
) -> None:
    """Answer over HTTP with a bundle, each request in time.

    Each is answered by the most accurate submodel that lets all others keep their deadlines. POST /ask takes a picture,
    a question and deadline_ms; /v2 is the Open Inference Protocol, /metrics is for Prometheus. SIGTERM or Ctrl-C ends
    it once all that was accepted has its answer.

    \b
    Examples:
      bstsearch serve export/elastic
      curl -F image=@picture.png -F "question=is there a circle?" -F deadline_ms=20 http://127.0.0.1:8000/ask
    """
    with needing("serving", extra="serve"):
        from bstsearch.serving.server import Options, open_server

    output = Output(is_json)
    options = Options(
        bundle=bundle, host=host, port=port, threads=threads, workers=workers, memory_mb=memory_mb, page=page
    )
    with output.listening("reading the bundle") as listener:
        server = open_server(options, listener)
    output.text(f"{bundle} on {server.where}; Ctrl-C ends it")
    output.json(server.to_json())
    server.run()
    output.text("ended; all that was accepted has been answered")
