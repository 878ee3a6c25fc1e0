"""`bstsearch inspect`: what of a stock model can shrink, and the proof of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from bstsearch.cli.options import JsonOption
from bstsearch.cli.output import Column, Output

GROUPS = (
    Column("sizes that shrink together"),
    Column("in steps of", is_number=True),
    Column("axes", is_number=True, rank=2),
    Column("parts", rank=1),
    Column("error", is_number=True),
)
LAYERS = (
    Column("layers"),
    Column("number", is_number=True),
    Column("kept first", rank=1),
    Column("error", is_number=True),
)
COSTS = (Column("submodel"), Column("parameters", is_number=True), Column("MACs", is_number=True))
MOST = 4  # layers of a keep order that are shown


def inspect(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="Folder with a model's config.json, or a supernet made of one.")
    ],
    seconds: Annotated[int, typer.Option(min=1, max=86_400, metavar="N", help="Time for all of it.")] = 110,
    is_trusted: Annotated[
        bool,
        typer.Option("--trust-remote-code", help="Run the code that lies in MODEL, where its config.json asks for it."),
    ] = False,
    is_json: JsonOption = False,
) -> None:
    """Tell what of a Hugging Face model can shrink, with the proof.

    Weights are not needed. A small configuration of the same class is built some dozens of times, with sizes made
    smaller by themselves and together. Each that is found is proved: a narrow model must compute what the full one
    does with zeros around it, in float64. An error of 1e-10 is rounding, a wrong cut is off by 1e-4 at the least. What
    stays as it is comes with the reason, and what the time did not reach is named.

    Code that comes with a model is run with --trust-remote-code only, and for looking only: 'bstsearch import' takes
    classes of transformers.

    \b
    Examples:
      bstsearch inspect all-MiniLM-L6-v2
      bstsearch inspect all-MiniLM-L6-v2 --json
    """
    from bstsearch.stock.importing import inspect_model, kept_inspection

    output = Output(is_json)
    found = kept_inspection(model)
    if found is None:
        with output.listening("looking at the class") as listener:
            found = inspect_model(model, seconds=seconds, is_trusted=is_trusted, listener=listener)
        if not is_trusted:
            output.hint(
                f"next: bstsearch import --checkpoint {shlex.quote(str(model))} --out runs/{model.resolve().name}"
            )
    _show(output, found)
    output.json(found)


def _show(output: Output, found: Mapping[str, Any]) -> None:
    title = f"{found['class']}, transformers {found['transformers']}: all together off by {_error(found['error'])}"
    output.table(GROUPS, [_group(group) for group in found["groups"]], title=title)
    output.table(LAYERS, [_layers(stack) for stack in found["stacks"]])
    output.table((Column("stays as it is"), Column("why")), list(found["fixed"].items()))
    if found["submodels"]:
        output.table(COSTS, [[one["id"], f"{one['parameters']:,}", f"{one['macs']:,}"] for one in found["submodels"]])
    for name in found["unproved"]:
        output.text(f"not proved, for no output depends on it: {name}")
    for name in found["not_reached"]:
        output.text(f"not reached in the time: {name}")


def _group(group: Mapping[str, Any]) -> list[str]:
    several = {",".join(map(str, one["parts"])) for one in group["parts"]}
    steps = " + ".join(map(str, group["steps"].values()))
    return [
        " + ".join(group["sizes"]),
        steps,
        f"{group['axes']}",
        " and ".join(sorted(several)) or "-",
        _error(group["error"]),
    ]


def _layers(stack: Mapping[str, Any]) -> list[str]:
    first = " ".join(map(str, stack["keep_order"][:MOST])) + (" .." if len(stack["keep_order"]) > MOST else "")
    return [stack["prefix"], f"{stack['layers']}", first or "all of them", _error(stack["error"])]


def _error(error: float) -> str:
    return f"{error:.0e}" if error else "0"
