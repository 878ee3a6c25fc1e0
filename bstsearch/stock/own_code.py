"""Classes whose code comes with a model: never run, unless somebody trusts it and says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bstsearch.errors import InputError
from bstsearch.reading import needing, said, shown
from bstsearch.stock.configuration import FILE, Settings
from bstsearch.stock.module import know_class


def run_own_code(folder: Path, settings: Settings) -> None:
    """Runs the code in `folder` that its settings name, and has their class known by its name; nothing is fetched.

    InputError where the code is not in the folder, does not run, or defines no model.
    """
    with needing("a stock model", "transformers"):
        from transformers import PreTrainedModel
        from transformers.dynamic_module_utils import get_class_from_dynamic_module
    name, reference = settings["architectures"][0], _reference(folder, settings)
    try:
        found: Any = get_class_from_dynamic_module(reference, str(folder), local_files_only=True)
    except Exception as error:  # whatever code of others raises
        raise InputError(f"{folder / FILE}: the code of {shown(name)} does not run: {said(error)}") from error
    if not (isinstance(found, type) and issubclass(found, PreTrainedModel)):
        raise InputError(f"{folder / FILE}: {shown(reference)} is no model of transformers")
    know_class(name, found)


def _reference(folder: Path, settings: Settings) -> str:
    """The file and class that "auto_map" names for the model's class: "modeling_mine.Mine"."""
    name, places = settings["architectures"][0], settings["auto_map"]
    references: list[Any] = list(places.values()) if isinstance(places, dict) else []
    for reference in references:
        if isinstance(reference, str) and reference.rpartition(".")[2] == name:
            file = f"{reference.rpartition('.')[0]}.py"
            if "--" in reference or not (folder / file).is_file():
                raise InputError(
                    f"{folder / FILE} asks for {shown(reference)}, which is not in the folder; copy it there"
                )
            return reference
    raise InputError(f"{folder / FILE}: auto_map names no code for {shown(name)}, but for other classes; name it there")
