"""The options that several verbs share, each with its one name, help and completion."""

from __future__ import annotations

import contextlib
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bstsearch.cli.errors import translated
from bstsearch.errors import BstsearchError, UsageError
from bstsearch.space import PRECISIONS
from bstsearch.space_names import NAMES


class SplitName(StrEnum):
    """The parts of a data set."""

    train = "train"
    validation = "validation"
    test = "test"


class BudgetEnd(StrEnum):
    """Which end of a range a budget holds for."""

    high = "high"
    middle = "middle"


def complete_device(context: typer.Context, incomplete: str) -> list[str]:
    """The names of the stored device profiles that start with `incomplete`."""
    from bstsearch.cli.remembered import recall
    from bstsearch.profiles.stored import profile_folders, stored_profiles

    profiles = context.params.get("profiles")
    if profiles is None:
        with contextlib.suppress(BstsearchError, OSError, RecursionError):  # the command itself will say it
            profiles = recall().profiles
    names = stored_profiles(profile_folders(Path(profiles) if profiles else None))
    earlier, comma, begun = incomplete.rpartition(",")
    return sorted(f"{earlier}{comma}{name}" for name in names if name.startswith(begun))


def complete_space(incomplete: str) -> list[str]:
    """The names of spaces that start with `incomplete`."""
    return [name for name in NAMES if name.startswith(incomplete)]


def complete_precision(incomplete: str) -> list[str]:
    """The precisions that start with `incomplete`."""
    return [name for name in PRECISIONS if name.startswith(incomplete)]


def _admit_family(text: str | None) -> None:
    """Makes the family in the user's file known, before the verb begins; UsageError or InputError tell why not."""
    if text is not None:
        with translated():  # Typer reads options outside of any verb
            from bstsearch.doors import admit
            from bstsearch.model.lookup import get_family

            get_family(admit("family", text))


SUPERNET_HELP = "Supernet folder, as 'bstsearch train' writes it."
SupernetOption = Annotated[
    Path,
    typer.Option("--supernet", metavar="DIR", help=SUPERNET_HELP, show_default="the demo supernet in the package"),
]
LastSupernetOption = Annotated[
    Path | None,
    typer.Option(
        "--supernet",
        metavar="DIR",
        help=SUPERNET_HELP,
        show_default="the one profiled last, else the demo supernet in the package",
    ),
]
ModelOption = Annotated[
    Path,
    typer.Option(
        "--model",
        metavar="DIR",
        help="Exported folder, bundle or supernet folder.",
        show_default="the demo supernet in the package",
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option("--device", metavar="NAME", help="Device profile to use.", autocompletion=complete_device),
]
LastDeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="NAME",
        help="Device profile to use.",
        show_default="the one profiled last, else this machine's; of a bundle the first that it knows",
        autocompletion=complete_device,
    ),
]
LastDevicesOption = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="NAME[,NAME...]",
        help="Device profiles to use, one or more.",
        show_default="the one profiled last, else this machine, measured first",
        autocompletion=complete_device,
    ),
]
ProfilesOption = Annotated[
    Path | None,
    typer.Option("--profiles", metavar="DIR", help="Folder of device profiles to look in first."),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="NAME",
        help="Data set by name, one of your own as path/file.py:NAME, or a file or folder of texts.",
        show_default="the one that the model is for",
    ),
]
DataDirOption = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="Folder of the data set, if it is not in a package."),
]
SpaceOption = Annotated[
    str,
    typer.Option(
        "--space",
        metavar="NAME|FILE",
        help="Which submodels: trained (all that the supernet was trained on), bst (those of them whose layers are "
        "alike), elastic, elastic-tokens, or a JSON file that changes some keys of the space.",
        autocompletion=complete_space,
    ),
]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        "--precision",
        metavar="NAME[,NAME...]",
        help="Compute in these: float32, float16, int8.",
        show_default="as --space or an id says; else float32",
        autocompletion=complete_precision,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Change one size of the preset; may be given again."),
]
FamilyOption = Annotated[
    str | None,
    typer.Option(
        "--family",
        metavar="FILE.py:NAME",
        callback=_admit_family,
        help="Family of models in a Python file of your own; the file is run.",
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace an existing output.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed of everything random.")]


def split_devices(text: str) -> list[str]:
    """The names in "pixel7,raspberrypi4", each once; UsageError where one is empty.

    >>> split_devices("pixel7, raspberrypi4")
    ['pixel7', 'raspberrypi4']
    """
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise UsageError(f"--device {text!r} has an empty name; write it like pixel7,raspberrypi4")
    return list(dict.fromkeys(names))
