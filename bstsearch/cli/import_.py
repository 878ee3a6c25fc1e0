"""`bstsearch import`: a published checkpoint as a supernet."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bstsearch.cli.options import DataDirOption, ForceOption, JsonOption
from bstsearch.cli.output import Column, Output

if TYPE_CHECKING:
    from bstsearch.published.checkpoint import Imported


class DataName(StrEnum):
    """The data sets that published checkpoints answer."""

    vqa_v2 = "vqa-v2"
    gqa = "gqa"
    none = "none"


def import_(
    family: Annotated[str, typer.Option(metavar="NAME", help="mcan, uniter or clip-vil.")],
    checkpoint: Annotated[
        Path, typer.Option(metavar="FILE", help="Checkpoint: .pkl, .pt or .pth of the published code, or safetensors.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the supernet.")],
    data: Annotated[
        DataName | None, typer.Option(help="Data set that it answers.", show_default="told by its sizes")
    ] = None,
    data_dir: DataDirOption = None,
    vocabulary: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Words: a BERT's vocab.txt, openvqa's dicts.json for GQA, or {word: id} as JSON."
        ),
    ] = None,
    answers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Answers: ans2label.json, or openvqa's answer_dict.json.")
    ] = None,
    heads: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Attention heads of a layer.", show_default="as published for its width"),
    ] = None,
    question_length: Annotated[
        int | None, typer.Option(min=3, metavar="N", help="Tokens of a question.", show_default="as published")
    ] = None,
    is_forced: ForceOption = False,
    is_json: JsonOption = False,
) -> None:
    """Make a supernet of a published checkpoint.

    It may be MCAN (of BST, openvqa or mcan-vqa), UNITER, or CLIP-ViL. Only tensors are read, and nothing in the file is
    run. A tensor that is neither used nor known to be unused is an error, and so is one that is not finite. What shapes
    cannot tell comes from the model's public configurations, and is said. Words and answers come from --vocabulary and
    --answers, or from the data set's own files in --data-dir; without them the supernet can be profiled, but not
    scored.

    \b
    Examples:
      bstsearch import --family mcan --checkpoint epoch15.pkl --out runs/bst --data-dir vqa-v2
      bstsearch import --family mcan --checkpoint epoch11.pkl --out runs/gqa --vocabulary dicts.json
      bstsearch import --family uniter --checkpoint model.pt --out runs/uniter --vocabulary vocab.txt \\
        --answers ans2label.json
    """
    from bstsearch.published.run import import_checkpoint

    output = Output(is_json)
    with output.listening("reading the checkpoint") as listener:
        found = import_checkpoint(
            family,
            checkpoint,
            out,
            data=data and data.value,
            data_dir=data_dir,
            vocabulary=vocabulary,
            answers=answers,
            heads=heads,
            question_length=question_length,
            is_forced=is_forced,
            listener=listener,
        )
    _show(output, found, out)
    output.hint(f"next: bstsearch profile --supernet {shlex.quote(str(out))}")


def _show(output: Output, found: Imported, out: Path) -> None:
    data = found.to_json()
    rows = [["used", f"{data['used']['tensors']:,}", f"{data['used']['parameters']:,}"]]
    rows += [
        [f"not used: {rule}", f"{one['tensors']:,}", f"{one['numbers']:,}"] for rule, one in data["not_used"].items()
    ]
    columns = [Column("checkpoint"), Column("tensors", is_number=True), Column("parameters", is_number=True)]
    name = found.supernet.family.name.replace("_", "-")
    output.table(columns, rows, title=f"{name} for {found.data} in {out}: {len(data['submodels'])} submodels")
    output.json({"path": str(out), **data})
