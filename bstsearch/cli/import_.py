"""`bstsearch import`: a published checkpoint as a supernet."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bstsearch.cli.options import DataDirOption, ForceOption, JsonOption
from bstsearch.cli.output import Column, Output
from bstsearch.files import refuse_existing, writing_folder
from bstsearch.model.supernet_folder import CONFIG

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
        int | None, typer.Option(min=1, metavar="N", help="Attention heads of a layer.", show_default="of 64 each")
    ] = None,
    question_length: Annotated[
        int | None, typer.Option(min=3, metavar="N", help="Tokens of a question.", show_default="as published")
    ] = None,
    is_forced: ForceOption = False,
    is_json: JsonOption = False,
) -> None:
    """Make a supernet of a published checkpoint.

    It may be BST's, openvqa's or mcan-vqa's MCAN, UNITER, or CLIP-ViL. Only tensors are read, and nothing in the
    file is run. Every tensor is used, known to be of no use to the model, or an error. Words and answers come from
    --vocabulary and --answers, or from the data set's own files in --data-dir; without them the supernet can be
    profiled, but not scored.

    \b
    Examples:
      bstsearch import --family mcan --checkpoint epoch15.pkl --out runs/bst --data-dir vqa-v2
      bstsearch import --family mcan --checkpoint epoch11.pkl --out runs/gqa --vocabulary dicts.json
      bstsearch import --family uniter --checkpoint model.pt --out runs/uniter --vocabulary vocab.txt \\
        --answers ans2label.json
    """
    from bstsearch.published.checkpoint import import_checkpoint
    from bstsearch.published.words import build_words

    output = Output(is_json)
    refuse_existing(out, marker=CONFIG, is_forced=is_forced)
    with output.progress("reading the checkpoint") as bar:
        found = import_checkpoint(
            checkpoint, family, data=data and data.value, heads=heads, question_length=question_length
        )
        bar.report("reading words and answers")
        words = build_words(found, vocabulary=vocabulary, answers=answers, folder=data_dir)
        bar.report("writing the supernet")
        with writing_folder(out, marker=CONFIG, is_forced=is_forced) as folder:
            found.supernet.save(folder)
            if words is not None:
                words.save(folder)
    _show(output, found, out)
    if words is None:
        output.warning(
            f"{out} has no vocabulary, so it can be profiled but not scored; "
            "give --data-dir, or --vocabulary and --answers"
        )
    output.hint(f"next: bstsearch profile --supernet {shlex.quote(str(out))}")


def _show(output: Output, found: Imported, out: Path) -> None:
    submodels = [submodel.id for submodel in found.supernet.space.grid()]
    dead = {rule: {"tensors": len(names), "numbers": found.dead_parameters[rule]} for rule, names in found.dead.items()}
    rows = [["used", f"{len(found.used):,}", f"{found.parameters:,}"]]
    rows += [[f"not used: {rule}", f"{one['tensors']:,}", f"{one['numbers']:,}"] for rule, one in dead.items()]
    columns = [Column("checkpoint"), Column("tensors", is_number=True), Column("parameters", is_number=True)]
    name = found.supernet.family.name.replace("_", "-")
    title = f"{name} for {found.data} in {out}: {len(submodels)} submodels"
    output.table(columns, rows, title=title)
    output.json(
        {
            "path": str(out),
            "family": found.supernet.family.name,
            "data": found.data,
            "used": {"tensors": len(found.used), "parameters": found.parameters},
            "not_used": dead,
            "submodels": submodels,
        }
    )
