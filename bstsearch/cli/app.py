"""The command line: registers the verbs, and keeps what they run to the processor time that they get.

A verb is a function in the file of its name; its docstring is its help: one short line, details, an example.
Those files import nothing heavy at their top level, so `bstsearch --help` answers at once.
"""

from __future__ import annotations

import os
from typing import Annotated

import typer

from bstsearch import __version__
from bstsearch.cli import devices
from bstsearch.cli.ask import ask
from bstsearch.cli.errors import Verbs, show_tracebacks, translated
from bstsearch.cli.evaluate import evaluate
from bstsearch.cli.export import export
from bstsearch.cli.import_ import import_
from bstsearch.cli.output import Output
from bstsearch.cli.pareto import pareto
from bstsearch.cli.profile import profile
from bstsearch.cli.space import space
from bstsearch.cli.train import train

app = typer.Typer(
    name="bstsearch",
    cls=Verbs,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: the same in a pipe, and rich need not be imported for it
    context_settings={"help_option_names": ["-h", "--help"]},
)

for name, verb in (
    ("space", space),
    ("import", import_),
    ("train", train),
    ("profile", profile),
    ("pareto", pareto),
    ("export", export),
    ("eval", evaluate),
    ("ask", ask),
):
    app.command(name)(translated()(verb))

device_app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
device_app.callback()(translated()(devices.devices))
device_app.command("show")(translated()(devices.show))
device_app.command("validate")(translated()(devices.validate))
app.add_typer(device_app, name="devices")


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        Output().text(f"bstsearch {__version__}")
        raise typer.Exit


@app.callback()
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
    from bstsearch.devices.runner import available_cores, cpu_quota

    if cpu_quota() is not None:
        os.environ.setdefault("OMP_NUM_THREADS", str(available_cores()))


def main() -> None:
    """Runs the command line; the console script `bstsearch`."""
    # Where other programs keep the cores busy, a thread that spins while it waits for one that has no core takes that
    # core's time: scoring the demo beside two busy loops then takes 158 s in place of 60 s. Idle machines lose nothing.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with translated():
        app(prog_name="bstsearch")
