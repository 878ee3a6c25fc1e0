"""`bstsearch worker`: helps a search that another process leads, on this machine or another."""

from __future__ import annotations

from typing import Annotated

import typer

from bstsearch.cli.options import DataDirOption, DataOption, FamilyOption, JsonOption, SupernetOption
from bstsearch.cli.output import Output
from bstsearch.model.supernet_folder import DEMO


def worker(
    storage: Annotated[
        str, typer.Option(metavar="URL", help="The --storage of the search, or its study.db if the disk is shared.")
    ],
    study: Annotated[
        str | None, typer.Option(metavar="NAME", help="The study, as 'bstsearch pareto' told its name.")
    ] = None,
    supernet: SupernetOption = DEMO,
    data: DataOption = None,
    data_dir: DataDirOption = None,
    is_attached: Annotated[bool, typer.Option("--attached", hidden=True)] = False,
    _family: FamilyOption = None,
    is_json: JsonOption = False,
) -> None:
    """Score submodels for a search that runs elsewhere.

    It takes one submodel after the other, until the search is over. Start as many as you like, on any machine that has
    the same supernet, data and version of bstsearch. Each may be stopped at any time: what it was scoring goes back,
    and another one scores it.

    \b
    Example:
      bstsearch worker --storage postgresql://me@server/studies --study shapes-local
    """
    from bstsearch.searching.crew import end_with_parent
    from bstsearch.searching.joining import join_search

    if is_attached:
        end_with_parent()
    output = Output(is_json)
    with output.listening("joining") as listener:
        joined = join_search(storage, study, supernet=supernet, data=data, data_dir=data_dir, listener=listener)
    output.text(f"{joined.scored} submodels scored for {joined.study} in {joined.storage}; nothing is left to do")
    output.json(joined.to_json())
