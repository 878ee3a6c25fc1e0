"""The command line: registers the verbs, and nothing else.

A verb is a function in its own file; its docstring is its help: one line, then an example.

    def pareto(supernet: SupernetOption = DEMO, is_json: JsonOption = False) -> None:
        \"\"\"Search the submodels and show the Pareto front.

        \\b
        Example:
          bstsearch pareto --budget-ms 50%
        \"\"\"

Those files import nothing heavy at their top level, so `bstsearch --help` answers at once.
"""

from __future__ import annotations

import importlib
from typing import Annotated

import typer

from bstsearch import __version__
from bstsearch.cli.errors import show_tracebacks, translated
from bstsearch.cli.output import Output

app = typer.Typer(
    name="bstsearch",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: the same in a pipe, and rich need not be imported for it
    context_settings={"help_option_names": ["-h", "--help"]},
)

for verb, module, function in (
    ("train", "train", "train"),
    ("profile", "profile", "profile"),
    ("pareto", "pareto", "pareto"),
    ("export", "export", "export"),
    ("eval", "evaluate", "evaluate"),
    ("ask", "ask", "ask"),
):
    # While the verbs are being written; plain imports in the end.
    try:
        imported = importlib.import_module(f"bstsearch.cli.{module}")
    except ModuleNotFoundError:
        continue
    app.command(verb)(translated()(getattr(imported, function)))


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


def main() -> None:
    """Runs the command line; the console script `bstsearch`."""
    with translated():
        app(prog_name="bstsearch")
