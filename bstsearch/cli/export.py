"""bstsearch export: writes the picked submodel as a folder that runs on its own."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bstsearch.answering.exported_folder import metric_of
from bstsearch.cli.options import (
    DataOption,
    FamilyOption,
    ForceOption,
    JsonOption,
    PrecisionOption,
    ProfilesOption,
    SpaceOption,
)
from bstsearch.cli.output import Column, Output
from bstsearch.cli.remembered import Memory
from bstsearch.cli.web import get_writer
from bstsearch.errors import UsageError
from bstsearch.score import Metric
from bstsearch.space_names import TRAINED, parse_precisions
from bstsearch.tasks import ON_DISK

if TYPE_CHECKING:
    from bstsearch.exporting.run import Exported

OF_CIRCLES = ("easy-vqa", "shapes")  # data sets that ask about circles, among others


def export(
    pick: Annotated[
        str | None,
        typer.Option(
            "--pick",
            metavar="ROW|ID",
            help="Row number of the front, a submodel's id, or the word 'recommended'. "
            "With --elastic or --web a list of rows, such as 1,3,5.",
            show_default="with --elastic or --web all rows",
        ),
    ] = None,
    front: Annotated[
        Path | None,
        typer.Option(
            "--front",
            metavar="FILE",
            help="Front file to pick from.",
            show_default="the one written last, else front/front.json",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder to write.", show_default="export/<id>, or export/elastic"),
    ] = None,
    space: SpaceOption = TRAINED,
    profiles: ProfilesOption = None,
    data: DataOption = None,
    stock: Annotated[
        Path | None,
        typer.Option(
            "--stock",
            metavar="DIR",
            help="Supernet of a Hugging Face model: write the submodel of that id as a folder of the same class, "
            "without a front.",
        ),
    ] = None,
    precision: PrecisionOption = None,
    is_elastic: Annotated[
        bool, typer.Option("--elastic", help="Write many submodels over one file of weights, to choose at run time.")
    ] = False,
    web: Annotated[
        Path | None,
        typer.Option(
            "--web", metavar="DIR", help="Write a page that asks many submodels in a browser, into this folder."
        ),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle",
            metavar="DIR",
            help="With --web: the bundle that --elastic wrote.",
            show_default="one is made of the front",
        ),
    ] = None,
    ort_web: Annotated[
        Path | None,
        typer.Option(
            "--ort-web",
            metavar="DIR",
            help="With --web: the npm package onnxruntime-web, which is copied.",
            show_default="node_modules/onnxruntime-web",
        ),
    ] = None,
    is_forced: ForceOption = False,
    _family: FamilyOption = None,
    is_json: JsonOption = False,
) -> None:
    """Write a submodel of the front as safetensors and ONNX, checked.

    An id may name any submodel that the supernet was trained on, or is in --space. One that the search has not scored
    is scored now. With --precision there are ONNX files in these precisions, too, each scored and timed. With --elastic
    all rows of the front, or those that --pick lists, share one file of weights; each runs as fast as alone. With --web
    they become a page for browsers, of files that any web server can hold.

    \b
    Examples:
      bstsearch export --pick recommended
      bstsearch export --pick 3 --precision float16,int8
      bstsearch export --pick w1of2-d1of3 --stock runs/minilm --out small-minilm
      bstsearch export --elastic
      bstsearch export --web site --bundle export/elastic
    """
    if is_elastic or web or bundle or ort_web:
        chosen = {"pick": pick, "front": front, "space": space != TRAINED, "profiles": profiles, "data": data}
        write = get_writer(web, bundle, ort_web, chosen, elastic=is_elastic, precision=precision, stock=stock, out=out)
        write(pick, front, web or out, space, profiles, data, is_forced=is_forced, is_json=is_json)
        return
    from bstsearch.exporting.run import FRONT
    from bstsearch.exporting.run import export as run

    output, name = Output(is_json), _named(pick)
    if stock is not None:
        _export_stock(output, stock, name, out or Path("export") / name, is_forced=is_forced)
        return
    memory = Memory(output)
    with output.listening("reading") as listener:
        exported = run(
            name,
            front=front or memory.front or FRONT,
            space=space,
            profiles=profiles or memory.folder("profiles"),
            out=out,
            data=data,
            precisions=parse_precisions(precision),
            is_forced=is_forced,
            listener=listener,
        )
    _show(output, exported)


def _named(pick: str | None) -> str:
    """What was picked; UsageError where nothing was."""
    if pick is None:
        raise UsageError("--pick is missing; give a row, an id or 'recommended', or --elastic for all rows")
    return pick


def _export_stock(output: Output, supernet: Path, pick: str, out: Path, *, is_forced: bool) -> None:
    from bstsearch.stock.exporting import export_stock

    with output.listening("reading") as listener:
        told = export_stock(supernet, pick, out, is_forced=is_forced, listener=listener)
    columns = [Column("class"), Column("parameters", is_number=True), Column("of", is_number=True)]
    columns.append(Column("difference\nread back", is_number=True))
    row = [told["class"], f"{told['parameters']:,}", f"{told['of']:,}", f"{told['difference']:.0e}"]
    output.table(columns, [row], title=f"{pick} in {out}, which needs transformers only")
    output.json({"path": str(out), **told})


def _show(output: Output, exported: Exported) -> None:
    """One row for what was searched, one for each file; then what to do next."""
    manifest, metric, is_here = exported.manifest, metric_of(exported.manifest), exported.is_of_this_machine
    score, searched_ms = manifest["accuracy"], exported.pick.candidate.latency.ms
    is_counted = score["correct"] is not None

    def numbers(score: Mapping[str, Any], ms: float) -> list[str]:
        correct = [f"{score['correct']:.10g}"] if is_counted else []
        return [*correct, metric.text(score["value"]), f"{ms:.3g}"]

    rows = [["(searched)", None, None, *numbers(score, searched_ms), "100" if is_here else None]]
    for name, check in manifest["checks"].items():
        size, latency = manifest["files"][name]["bytes"], check["latency"]
        ratio = f"{100 * latency['ratio']:.0f}" if is_here else None
        difference = f"{check['max_difference']:.0e}"
        rows.append([name, f"{size / 1e3:.0f}", difference, *numbers(check["accuracy"], latency["ms"]), ratio])
    what = f"{score['questions']} {score['split']} {'questions' if is_counted else 'examples'}"
    output.table(
        columns(next(iter(manifest["output"])), metric, is_counted=is_counted),
        rows,
        title=f"{manifest['submodel']['id']} in {exported.path}, on {what}",
    )
    output.json(exported.to_json())
    for hint in _hints(manifest, shlex.quote(str(exported.path))):
        output.hint(hint)


def columns(output: str, metric: Metric, *, is_counted: bool) -> list[Column]:
    """The table's columns: of a model with that output, and of scores that count right answers or do not."""
    return [
        Column("file"),
        Column("size", "kB", is_number=True, rank=2),
        Column("largest\ndifference", f"of {output}", is_number=True),
        *([Column("correct", is_number=True, rank=3)] if is_counted else []),
        Column(metric.name, metric.unit, is_number=True),
        Column("latency", "ms", is_number=True),
        Column("of the\nprofile", "%", is_number=True, rank=1),
    ]


def _hints(manifest: Mapping[str, Any], out: str) -> list[str]:
    """What to type next, and how a model that reads images is asked."""
    words = "--data-dir DIR" if manifest["data"] in ON_DISK else "--split test"
    hints = [f"next: bstsearch eval --model {out} {words}"]
    if "image" in manifest["inputs"]:
        question = "what colour is the circle?" if manifest["data"] in OF_CIRCLES else "QUESTION"
        hints.append(f'or ask it: bstsearch ask "{question}" --image FILE --model {out}')
    return hints
