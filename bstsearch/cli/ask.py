"""bstsearch ask: answers a question about an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bstsearch.cli.options import FamilyOption, JsonOption, LastDeviceOption, ModelOption, ProfilesOption
from bstsearch.cli.output import Column, Output
from bstsearch.errors import UsageError
from bstsearch.model.supernet_folder import DEMO, SupernetFolder, read_folder
from bstsearch.space import Submodel

if TYPE_CHECKING:
    from bstsearch.answering.asking import Reply


def ask(
    question: Annotated[str, typer.Argument(help="The question, in quotes.")],
    image: Annotated[Path, typer.Option("--image", metavar="FILE", help="The image that it is about.")],
    model: ModelOption = DEMO,
    submodel: Annotated[
        str | None, typer.Option("--submodel", metavar="ID", help="Submodel of the supernet; default: the full one.")
    ] = None,
    budget_ms: Annotated[
        str | None,
        typer.Option(
            "--budget-ms", metavar="MS", help="Take the most accurate submodel within this latency, or a share (50%)."
        ),
    ] = None,
    device: LastDeviceOption = None,
    profiles: ProfilesOption = None,
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="How many answers to show.")] = 3,
    _family: FamilyOption = None,
    is_json: JsonOption = False,
) -> None:
    """Ask a question about an image.

    \b
    Examples:
      bstsearch ask "what colour is the circle?" --image picture.png --model export/w1of2-d1
      bstsearch ask "is there a circle?" --image picture.png --budget-ms 50%
    """
    from bstsearch.answering.asking import ask_exported, ask_supernet, read_question
    from bstsearch.answering.exported_folder import is_exported, read_exported

    output = Output(is_json)
    folder = read_folder(model)
    asked = read_question(question, image, folder)
    if is_exported(model):
        if submodel or budget_ms:
            raise UsageError(
                f"{model} is an exported folder, which holds one submodel; leave out --submodel, --budget-ms"
            )
        exported = read_exported(model)
        _show(output, exported.submodel_id, ask_exported(asked, exported, top=top))
    else:
        chosen = _choose(output, folder, submodel, budget_ms, device, profiles)
        _show(output, chosen.id, ask_supernet(asked, model, chosen, top=top))


def _choose(
    output: Output,
    folder: SupernetFolder,
    submodel: str | None,
    budget_ms: str | None,
    device: str | None,
    profiles: Path | None,
) -> Submodel:
    """The submodel asked for, or the one that fits the budget, which is then told; else the full model."""
    if submodel and budget_ms:
        raise UsageError("--submodel and --budget-ms exclude each other; give one of them")
    from bstsearch.answering.choice import choose, named

    if submodel:
        return named(folder, submodel)
    if not budget_ms:
        return folder.space.largest

    from bstsearch.cli.candidates import find_profile_of, make_table
    from bstsearch.cli.remembered import Memory
    from bstsearch.profiles.stored import LOCAL
    from bstsearch.search.budget import Bound

    bound, memory = Bound.parse(budget_ms, "--budget-ms"), Memory(output)
    profiles, device = profiles or memory.folder("profiles"), device or memory.device() or LOCAL
    _, profile = find_profile_of(folder, device, profiles)
    chosen, latency = choose(folder, make_table(folder, profile), bound)
    output.note(f"took {chosen.id}: {latency} on {device} with {profile.runtime.name}")
    return chosen


def _show(output: Output, submodel: str, reply: Reply) -> None:
    rows = [[answer, f"{100 * probability:.2f}"] for answer, probability in reply.answers]
    output.table([Column("answer"), Column("probability", "%", is_number=True)], rows)
    output.text()
    output.text(f"{submodel} answered in {reply.time_ms:.3g} ms ({reply.runtime})")
    output.json(_json(submodel, reply))


def _json(submodel: str, reply: Reply) -> dict[str, Any]:
    answers = [{"answer": answer, "probability": probability} for answer, probability in reply.answers]
    return {"submodel": submodel, "answers": answers, "time_ms": reply.time_ms, "runtime": reply.runtime}
