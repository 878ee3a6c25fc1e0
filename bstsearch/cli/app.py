"""The command line: registers the verbs, and keeps what they run to the processor time that they get.

A verb is a function in the file of its name; its docstring is its help: one short line, details, an example.
Those files import nothing heavy at their top level, so `bstsearch --help` answers at once; a run of one verb does
without the files of the others.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import typer

from bstsearch import __version__
from bstsearch.cli.errors import Verbs, end_on_signals, show_tracebacks, translated
from bstsearch.cli.output import Output, open_closed_streams
from bstsearch.environment import limit_threads, prepare

# In the order of use: a verb, and its file and function. The last one has verbs of its own.
VERBS = {
    "space": "space.space",
    "inspect": "inspect.inspect",
    "import": "import_.import_",
    "train": "train.train",
    "profile": "profile.profile",
    "pareto": "pareto.pareto",
    "worker": "worker.worker",
    "export": "export.export",
    "eval": "evaluate.evaluate",
    "ask": "ask.ask",
    "serve": "serve.serve",
    "devices": "devices.devices",
}
DEVICES = {"show": "devices.show", "validate": "devices.validate"}


@functools.cache
def make_app(names: Iterable[str] = tuple(VERBS)) -> typer.Typer:
    """The command line with these verbs; reading the options of one takes milliseconds."""
    app = typer.Typer(
        name="bstsearch",
        cls=Verbs,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # plain help: the same in a pipe, and rich need not be imported for it
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(bstsearch)
    for name in names:
        if name == "devices":
            app.add_typer(_make_devices(), name=name)
        else:
            app.command(name)(_verb(VERBS[name]))
    return app


def _make_devices() -> typer.Typer:
    app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
    app.callback()(_verb(VERBS["devices"]))
    for name, place in DEVICES.items():
        app.command(name)(_verb(place))
    return app


def _verb(place: str) -> Callable[..., Any]:
    file, _, function = place.partition(".")
    verb: Callable[..., Any] = getattr(importlib.import_module(f"bstsearch.cli.{file}"), function)
    return translated()(verb)


def __getattr__(name: str) -> typer.Typer:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return make_app()


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        Output().text(f"bstsearch {__version__}")
        raise typer.Exit


def bstsearch(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Train one slimmable Transformer, measure your device, export the submodel that fits it."""
    show_tracebacks(debug)
    _keep_to_quota()


def _keep_to_quota() -> None:
    """Has torch start no more threads than the container's quota feeds: it looks at affinity, but not at quotas."""
    from bstsearch.measuring.runner import available_cores, cpu_quota

    if cpu_quota() is not None:
        limit_threads(available_cores())


def main() -> None:
    """Runs the command line; the console script `bstsearch`."""
    open_closed_streams()
    prepare()
    end_on_signals()
    asked = tuple(name for name in sys.argv[1:2] if name in VERBS)
    with translated():
        make_app(asked or tuple(VERBS))(prog_name="bstsearch")
