"""The options that several verbs share, each with its one name, help and completion."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class SplitName(StrEnum):
    """The parts of a data set."""

    train = "train"
    validation = "validation"
    test = "test"


def complete_device(context: typer.Context, incomplete: str) -> list[str]:
    """The names of the stored device profiles that start with `incomplete`."""
    from bstsearch.devices.profile import profile_folders, stored_profiles

    names = stored_profiles(profile_folders(context.params.get("profiles")))
    return sorted(name for name in names if name.startswith(incomplete))


SupernetOption = Annotated[
    Path,
    typer.Option(
        "--supernet",
        metavar="DIR",
        help="Supernet folder, as 'bstsearch train' writes it.",
        show_default="the demo supernet in the package",
    ),
]
ModelOption = Annotated[
    Path,
    typer.Option(
        "--model",
        metavar="DIR",
        help="Exported folder or supernet folder.",
        show_default="the demo supernet in the package",
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option("--device", metavar="NAME", help="Device profile to use.", autocompletion=complete_device),
]
ProfilesOption = Annotated[
    Path | None,
    typer.Option("--profiles", metavar="DIR", help="Folder of device profiles to look in first."),
]
DataDirOption = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="Folder of the data set, where no package holds it (VQA-v2, GQA)."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Change one size of the preset; may be given again."),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace an existing output.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed of everything random.")]
