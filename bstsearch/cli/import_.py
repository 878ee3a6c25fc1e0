"""`bstsearch import`: a published checkpoint as a supernet."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bstsearch.cli.options import DataDirOption, ForceOption, JsonOption
from bstsearch.cli.output import Column, Output
from bstsearch.errors import UsageError

if TYPE_CHECKING:
    from bstsearch.published.checkpoint import Imported


class DataName(StrEnum):
    """The data sets that published checkpoints answer."""

    vqa_v2 = "vqa-v2"
    gqa = "gqa"
    none = "none"


def import_(
    checkpoint: Annotated[
        Path,
        typer.Option(
            metavar="FILE|DIR",
            help="Published checkpoint: .pkl, .pt, .pth or safetensors; or the folder of a Hugging Face model.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the supernet.")],
    family: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="mcan, uniter or clip-vil.", show_default="hugging-face, for a folder"),
    ] = None,
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
    is_random: Annotated[
        bool, typer.Option("--random", help="Random weights in place of a folder's, to train from scratch.")
    ] = False,
    is_forced: ForceOption = False,
    is_json: JsonOption = False,
) -> None:
    """Make a supernet of a checkpoint or a Hugging Face model.

    It may be MCAN (of BST, openvqa or mcan-vqa), UNITER, or CLIP-ViL. Only tensors are read, and nothing in the file is
    run. A tensor that is neither used nor known to be unused is an error, and so is one that is not finite. What shapes
    cannot tell comes from the model's public configurations, and is said. Words and answers come from --vocabulary and
    --answers, or from the data set's own files in --data-dir; without them the supernet can be profiled, but not
    scored.

    A folder is one of a Hugging Face model, which is looked at first as 'bstsearch inspect' does. No code of its own
    is run. With --random it needs no weights: only its configuration is read, and what its tokenizer and processor
    need is kept.

    \b
    Examples:
      bstsearch import --checkpoint all-MiniLM-L6-v2 --out runs/minilm
      bstsearch import --checkpoint my-vilt --out runs/vilt --random
      bstsearch import --family mcan --checkpoint epoch15.pkl --out runs/bst --data-dir vqa-v2
      bstsearch import --family mcan --checkpoint epoch11.pkl --out runs/gqa --vocabulary dicts.json
      bstsearch import --family uniter --checkpoint model.pt --out runs/uniter --vocabulary vocab.txt \\
        --answers ans2label.json
    """
    from bstsearch.published.run import import_checkpoint

    output = Output(is_json)
    if checkpoint.is_dir():
        _import_folder(output, checkpoint, out, is_random=is_random, is_forced=is_forced)
        return
    if is_random:
        raise UsageError(f"{checkpoint} is a file, and --random is for folders of Hugging Face models; leave it out")
    if family is None:
        raise UsageError(
            f"{checkpoint} is a file, which does not say its family; give --family mcan, uniter or clip-vil"
        )
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


def _import_folder(output: Output, folder: Path, out: Path, *, is_random: bool, is_forced: bool) -> None:
    from bstsearch.stock.importing import import_folder

    with output.listening("looking at the class") as listener:
        found = import_folder(folder, out, is_random=is_random, is_forced=is_forced, listener=listener)
    columns = [Column("submodel"), Column("parameters", is_number=True), Column("MACs", is_number=True)]
    rows = [[one["id"], f"{one['parameters']:,}", f"{one['macs']:,}"] for one in found["submodels"]]
    output.table(columns, rows, title=f"{found['class']} in {out}: all slices together off by {found['error']:.0e}")
    output.json({"path": str(out), **found})
    name = shlex.quote(str(out))
    output.hint(
        f"next: bstsearch train --preset {name} --data NAME"
        if is_random
        else f"next: bstsearch profile --supernet {name}"
    )


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
