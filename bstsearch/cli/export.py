"""bstsearch export: writes the picked submodel as a folder that runs on its own."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bstsearch.cli.front_folder import export_folder
from bstsearch.cli.options import FamilyOption, ForceOption, JsonOption
from bstsearch.cli.output import Column, Output
from bstsearch.cli.remembered import Memory
from bstsearch.files import refuse_existing
from bstsearch.tasks import PACKAGED

if TYPE_CHECKING:
    from bstsearch.search.pick import Pick

FRONT = Path("front/front.json")
COLUMNS = (
    Column("file"),
    Column("size", "kB", is_number=True, rank=2),
    Column("largest\ndifference", "of logits", is_number=True),
    Column("correct", is_number=True, rank=3),
    Column("accuracy", "%", is_number=True),
    Column("latency", "ms", is_number=True),
    Column("of the\nprofile", "%", is_number=True, rank=1),
)


def export(
    pick: Annotated[
        str,
        typer.Option(
            "--pick", metavar="ROW|ID", help="Row number of the front, a submodel's id, or the word 'recommended'."
        ),
    ],
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
        Path | None, typer.Option("--out", metavar="DIR", help="Folder to write.", show_default="export/<id>")
    ] = None,
    has_int8: Annotated[bool, typer.Option("--int8", help="Write an int8 ONNX file, too.")] = False,
    is_forced: ForceOption = False,
    _family: FamilyOption = None,
    is_json: JsonOption = False,
) -> None:
    """Write a submodel of the front as safetensors and ONNX, checked.

    \b
    Examples:
      bstsearch export --pick recommended
      bstsearch export --pick 3 --int8
    """
    from bstsearch.answering.exported_folder import MANIFEST
    from bstsearch.search.pick import read_pick

    output = Output(is_json)
    picked = read_pick(front or Memory(output).front or FRONT, pick)
    out = out or export_folder(picked.candidate)
    refuse_existing(out, marker=MANIFEST, is_forced=is_forced)  # before torch is loaded
    output.note(f"took {picked}")

    from bstsearch.export.run import export as write

    with output.progress("writing") as bar:
        manifest = write(picked, out, has_int8=has_int8, is_forced=is_forced, progress=bar.report)
    _show(output, picked, manifest, out)


def _show(output: Output, picked: Pick, manifest: Mapping[str, Any], out: Path) -> None:
    accuracy, checks = manifest["accuracy"], manifest["checks"]
    searched = picked.candidate.latency.ms
    is_here = _is_of_this_machine(manifest["device"])
    rows = [["(searched)", None, None, *_numbers(accuracy, searched), "100" if is_here else None]]
    for name, check in checks.items():
        size, latency = manifest["files"][name]["bytes"], check["latency"]
        numbers = _numbers(check["accuracy"], latency["ms"])
        ratio = f"{100 * latency['ratio']:.0f}" if is_here else None
        rows.append([name, f"{size / 1e3:.0f}", f"{check['max_difference']:.0e}", *numbers, ratio])
    title = f"{manifest['submodel']['id']} in {out}, on {accuracy['questions']} {accuracy['split']} questions"
    output.table(COLUMNS, rows, title=title)
    output.json({"path": str(out), **manifest})
    _warn(output, checks, manifest["device"])
    for claim in manifest["not_measured"]:
        output.warning(f"not measured: {claim}")
    for hint in _hints(manifest, shlex.quote(str(out))):
        output.hint(hint)


def _hints(manifest: Mapping[str, Any], out: str) -> list[str]:
    """What to type next, and how a model that reads images is asked."""
    words = "--split test" if manifest["data"] in PACKAGED else "--data-dir DIR"
    hints = [f"next: bstsearch eval --model {out} {words}"]
    if "image" in manifest["inputs"]:
        question = "what colour is the circle?" if manifest["data"] == "easy-vqa" else "QUESTION"
        hints.append(f'or ask it: bstsearch ask "{question}" --image FILE --model {out}')
    return hints


def _numbers(accuracy: Mapping[str, Any], ms: float) -> list[str]:
    return [f"{accuracy['correct']}", f"{100 * accuracy['value']:.2f}", f"{ms:.3g}"]


def _is_of_this_machine(device: Mapping[str, Any]) -> bool:
    """Whether the profile was measured the way exports are checked: here, in ONNX Runtime."""
    return device["obtained"] == "measured" and device.get("via") in (None, "local")


def _warn(output: Output, checks: Mapping[str, Any], device: Mapping[str, Any]) -> None:
    from bstsearch.answering.exported_folder import INT8, ONNX
    from bstsearch.export.checks import FAR

    ratio, name = checks[ONNX]["latency"]["ratio"], device["name"]
    if not _is_of_this_machine(device):
        output.note(f"the latencies of the files are this machine's; {name} is another device")
    elif abs(ratio - 1) > FAR:
        output.warning(
            f"{ONNX} takes {ratio:.2g} times as long as the profile of {name} says: another machine, another load, "
            f"or an old profile; 'bstsearch profile --device {name} --via local' measures this machine"
        )
    if INT8 in checks and checks[INT8]["latency"]["ms"] >= checks[ONNX]["latency"]["ms"]:
        output.warning(f"{INT8} is no faster here than {ONNX}: so small a model spends its time between the products")
