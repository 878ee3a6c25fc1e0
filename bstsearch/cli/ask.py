"""bstsearch ask: answers a question about an image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bstsearch.cli.options import FamilyOption, JsonOption, LastDeviceOption, ModelOption, ProfilesOption
from bstsearch.cli.output import Column, Output
from bstsearch.cli.remembered import Memory
from bstsearch.model.supernet_folder import DEMO


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
    from bstsearch.answering.asking import ask as run
    from bstsearch.answering.bundle_folder import is_bundle

    output = Output(is_json)
    if budget_ms and not submodel and not is_bundle(model):  # only then does a profile matter
        memory = Memory(output)
        profiles, device = profiles or memory.folder("profiles"), device or memory.device()
    with output.listening("answering") as listener:
        reply = run(
            question,
            image,
            model=model,
            submodel=submodel,
            budget_ms=budget_ms,
            device=device,
            profiles=profiles,
            top=top,
            listener=listener,
        )
    rows = [[answer, f"{100 * probability:.2f}"] for answer, probability in reply.answers]
    output.table([Column("answer"), Column("probability", "%", is_number=True)], rows)
    output.text()
    output.text(f"{reply.submodel} answered in {reply.time_ms:.3g} ms ({reply.runtime})")
    output.json(reply.to_json())
